"""axe-core finds no serious violation on any page, light or dark."""

import hashlib
import shutil
import subprocess
import tarfile

import pytest

from tests.conftest import REPOSITORY_ROOT
from tests.dashboard.conftest import PAGES
from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS, dashboard, log_tab_in

pytestmark = [pytest.mark.slow, pytest.mark.deep]

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
ASK = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .filter(found => ['serious', 'critical'].includes(found.impact))
    .map(found => `${found.id}: ` + found.nodes.map(node => `${node.html.slice(0, 120)} ${node.any[0]?.message ?? ''}`).join(' | '))"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The library, fetched by npm once a checkout; nothing of the package is run but in the browser."""
    kept = REPOSITORY_ROOT / ".make" / "axe" / f"axe-{VERSION}.min.js"
    if not kept.exists():
        if shutil.which("npm") is None:
            pytest.skip("needs npm, which fetches axe-core")
        kept.parent.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", "--pack-destination", str(kept.parent), f"axe-core@{VERSION}"]
        subprocess.run(command, check=True, capture_output=True, cwd=kept.parent)
        with tarfile.open(kept.parent / f"axe-core-{VERSION}.tgz") as archive:
            source = archive.extractfile("package/axe.min.js")
            assert source is not None
            kept.write_bytes(source.read())
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == SHA256
    return kept.read_text(encoding="utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_page_has_a_serious_violation(visit, story, axe, tmp_path, colours):
    from playwright.sync_api import sync_playwright

    found = {}
    with dashboard(tmp_path) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        context = browser.new_context(
            viewport={"width": 1440, "height": 1000}, color_scheme=colours, bypass_csp=True, reduced_motion="reduce"
        )
        tab = context.new_page()
        tab.goto(f"http://127.0.0.1:{port}/login?lang=ko")
        tab.evaluate(axe)
        found["login"] = tab.evaluate(ASK)
        log_tab_in(tab, port)
        for page in (*PAGES, "administration"):
            tab.goto(f"http://127.0.0.1:{port}/{'' if page == 'overview' else page}?lang=ko")
            tab.get_by_text("서울 기준").last.wait_for(timeout=60_000)
            tab.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')", timeout=60_000)
            # what is drawn fades in
            tab.wait_for_timeout(1500)
            tab.evaluate(axe)
            found[page] = tab.evaluate(ASK)
        browser.close()
    assert {page: faults for page, faults in found.items() if faults} == {}
