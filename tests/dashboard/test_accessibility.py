"""axe-core finds no serious violation on any page, light or dark."""

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import pytest

from benchmarks.page_open import make_dataset
from contracts.enums import Arm, ExperimentStatus
from contracts.experiments import ABExperiment, StartABTestRequest
from contracts.uploads import UploadRequest
from dashboard import writing
from dashboard.views.datasets import PARTS
from stages.services import Services
from tests.conftest import REPOSITORY_ROOT
from tests.dashboard.conftest import PAGES
from tests.dashboard.model_story import tell_versions
from tests.dashboard.story import Story
from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS, dashboard, log_tab_in
from tests.dashboard.test_uploading import table
from tests.serving_api.running import add_model
from tests.stages.ab_test_story import rated

if TYPE_CHECKING:
    from playwright.sync_api import Page, Playwright

pytestmark = [pytest.mark.slow, pytest.mark.deep]

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
ASK = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .filter(found => ['serious', 'critical'].includes(found.impact))
    .map(found => `${found.id}: ` + found.nodes.map(node => `${node.html.slice(0, 120)} ${node.any[0]?.message ?? ''}`).join(' | '))"""

NOT_PALE = "[data-stale] { opacity: 1 !important; transition: none !important }"
"""What is being drawn again is pale for a moment, on a busy machine for seconds."""


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


def ask_axe(tab: "Page", axe: str) -> list[str]:
    """What it finds once the page is drawn and nothing fades in any more."""
    tab.get_by_text("서울 기준").last.wait_for(timeout=180_000)
    tab.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')", timeout=180_000)
    tab.add_style_tag(content=NOT_PALE)
    tab.wait_for_timeout(1500)
    tab.evaluate(axe)
    found: list[str] = tab.evaluate(ASK)
    return found


@contextmanager
def opened(playwright: "Playwright", port: int, axe: str, colours: Literal["light", "dark"]) -> Iterator["Page"]:
    """A tab of somebody who is logged in; the login page was looked at too."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
    context = browser.new_context(
        viewport={"width": 1440, "height": 1000}, color_scheme=colours, bypass_csp=True, reduced_motion="reduce"
    )
    tab = context.new_page()
    tab.goto(f"http://127.0.0.1:{port}/login?lang=ko")
    tab.evaluate(axe)
    assert tab.evaluate(ASK) == []
    log_tab_in(tab, port)
    yield tab
    browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_page_has_a_serious_violation(visit, story, axe, tmp_path, colours):
    from playwright.sync_api import sync_playwright

    found = {}
    with dashboard(tmp_path) as port, sync_playwright() as playwright, opened(playwright, port, axe, colours) as tab:
        for page in (*PAGES, "administration"):
            tab.goto(f"http://127.0.0.1:{port}/{'' if page == 'overview' else page}?lang=ko")
            found[page] = ask_axe(tab, axe)
    assert {page: faults for page, faults in found.items() if faults} == {}


@pytest.fixture
def several(story: Story, services: Services) -> ABExperiment:
    """A running test of three models with ratings, and one that is long under way for a model."""
    with services.unit_of_work() as uow:
        present = uow.experiments.get(story.experiment_id)
        uow.experiments.stop(story.experiment_id, ExperimentStatus.STOPPED)
        third = uow.models.ensure_base("tiny", "/models/tiny", 0.1, "t" * 64).model_id
        arms = [
            {"name": name, "model_id": model_id}
            for name, model_id in (("now", present.model_a_id), ("small", present.model_b_id), ("tiny", third))
        ]
        request = StartABTestRequest.model_validate({"experiment_name": "autumn", "arms": arms, "target_samples": 900})
        started: ABExperiment = uow.experiments.start(request)
    for arm, ratings in (("now", [3, 4] * 40), ("small", [4, 5] * 40), ("tiny", [3, 4] * 40)):
        rated(services, started, arm, ratings)
    return started


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_part_that_a_person_opens_has_a_serious_violation(visit, several, services, axe, tmp_path, colours):
    """Upload with its mapping, the parts of a dataset, the design of three arms, the arms of a test, a model's actions."""
    from playwright.sync_api import sync_playwright

    name_dir = services.settings.datasets_dir / "versions" / "asked"
    dataset = make_dataset(name_dir, services, 400).dataset_id
    versions = tell_versions(services)
    for version in ("1", "2", "3"):
        add_model(services, "rules", version, f"rules-v{version}", "http://127.0.0.1:1/v1", Arm.B)
    found = {}
    with dashboard(tmp_path) as port, sync_playwright() as playwright, opened(playwright, port, axe, colours) as tab:
        tab.set_default_timeout(180_000)

        def look(name: str, path: str, *pressed: str) -> None:
            tab.goto(f"http://127.0.0.1:{port}/{path}&lang=ko")
            tab.get_by_text("서울 기준").last.wait_for(timeout=180_000)
            for button in pressed:
                tab.get_by_role("button", name=button, exact=True).first.click()
            found[name] = ask_axe(tab, axe)

        for part in PARTS:
            look(part, f"datasets?dataset={dataset}&part={part}")
        content = table(40)
        wanted = UploadRequest(name="tolls", file_name="tolls.csv", size_bytes=len(content))
        writing.begin_upload(visit, wanted, "1" * 32)
        writing.take_part(visit, "1" * 32, 0, content)
        look("upload with its mapping", f"datasets?dataset={dataset}&part=rows")
        look("design of three arms", "ab-tests?design=1", "새 모델 추가")
        look("arms of a test", f"ab-tests?experiment={several.experiment_id}", "새 모델 하나 빼기")
        look("promotion", f"models?model={versions.candidate}", "운영으로 올리기")
        for part in ("comparison", "certificates", "evaluations", "question", "card"):
            look(f"model's {part}", f"models?model={versions.candidate}&part={part}")
    assert {part: faults for part, faults in found.items() if faults} == {}
