"""The report of the demo's dataset as a person opens it."""

import os
import shutil
from pathlib import Path

import pytest

from contracts.data_policy import DataPolicy
from contracts.datasets import ImportRequest, PrepareRequest
from contracts.enums import SplitUnit
from data_prep.imports.importing import import_files
from data_prep.preparation.preparing import Preparation, prepare_version
from data_prep.versions.manifest import request_key
from operators.params import DEMO_VALUES
from tests.conftest import REPOSITORY_ROOT
from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    imported = import_files(
        ImportRequest(dataset_name="regulations", input_files=DEMO_VALUES["input_files"]),
        imports_dir=folder / "imports",
        relative_to=REPOSITORY_ROOT,
        allowed_roots=[REPOSITORY_ROOT / "demo"],
        min_free_disk_gb=0,
    )
    request = PrepareRequest(import_id=imported.import_id, dataset_name="regulations", split_unit=SplitUnit.QUESTION)
    policy = DataPolicy()
    key = request_key(request, imported, {}, policy)
    version, _ = prepare_version(
        Preparation(imported=imported, request=request, policy=policy, request_key=key, workers=1), folder / "versions"
    )
    return version / "report.html"


def test_the_report_is_whole_at_every_width_in_both_languages_and_asks_nobody(report, tmp_path):
    """`REPORT_PICTURES=/some/folder` keeps the pictures."""
    from playwright.sync_api import sync_playwright

    pictures = Path(os.environ.get("REPORT_PICTURES", str(tmp_path)))
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        for width in (1080, 390):
            tab = browser.new_page(viewport={"width": width, "height": 900})
            tab.on("request", lambda request: asked.append(request.url))
            tab.goto(report.as_uri())
            for language, title, other in (("ko", "데이터셋 보고서", "English"), ("en", "Dataset report", "한국어")):
                assert tab.get_by_role("heading", level=1).inner_text().startswith(title)
                assert tab.evaluate("document.documentElement.scrollWidth") == width
                tab.screenshot(path=pictures / f"report-{width}-{language}.png", full_page=True)
                tab.get_by_role("button", name=other).click()
        browser.close()
    assert asked == [report.as_uri()] * 2


def test_a_report_that_is_moved_alone_is_still_whole(report, tmp_path):
    from playwright.sync_api import sync_playwright

    moved = shutil.copyfile(report, tmp_path / "sent-by-mail.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        tab = browser.new_page()
        faults: list[str] = []
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.goto(moved.as_uri())
        assert tab.locator("svg").count() >= 4
        browser.close()
    assert faults == []
