"""Every page over an installation with a history, as a browser draws it: wide and narrow, both languages, light and dark.

`DASHBOARD_GALLERY=/some/folder pytest -m deep tests/dashboard/test_gallery.py` leaves a picture of each;
`docs/gallery` holds the wide, light, Korean ones.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contracts.enums import Method
from contracts.ratings import PutUpRequest
from contracts.training import TrainRequest
from stages.rating_tasks import items_of, put_up
from stages.services import Services
from tests.conftest import REPOSITORY_ROOT
from tests.dashboard.curves_story import SWEEP, Curves, tell_curves, tell_sweep
from tests.dashboard.model_story import TwoVersions, tell_versions
from tests.dashboard.review_story import GENERATION
from tests.dashboard.story import COMPLETE_RUN, Story, tell
from tests.dashboard.test_rating import TASK
from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS, dashboard, log_tab_in
from tests.dashboard.trainable import make_trainable
from tests.stages.test_rating_tasks import answers_file, rate
from training.recipe import load_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.deep,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk"),
]

SHOWN = REPOSITORY_ROOT / "docs" / "gallery"
MOST_BYTES = 150_000
TALLEST = 2600
"""Pixels of a picture; what is further down is not shown."""


SHORTER_PATHS = """folder => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(folder, '/srv/tuneway')
}"""


@dataclass(frozen=True)
class Installation:
    """What the pages show."""

    story: Story
    versions: TwoVersions
    curves: Curves
    job_to_clone: int

    def addresses(self) -> dict[str, str]:
        """The pages by the names of their pictures."""
        curves, candidate = self.curves, self.versions.candidate
        jobs = f"{curves.slow},{curves.fast}"
        return {
            "overview": "",
            "runs": f"runs?run={COMPLETE_RUN.replace('+', '%2B')}",
            "datasets": f"datasets?dataset={self.story.dataset.dataset_id}",
            "review": f"review?generation={GENERATION}",
            "test-cases": "test-cases",
            "rating": f"rating?task={TASK}",
            "jobs": f"jobs?job={self.story.running_job}",
            "job-wizard": f"jobs?new=1&clone={self.job_to_clone}",
            "experiments": f"experiments?jobs={jobs}&sweep={SWEEP}",
            "models": f"models?model={self.story.model_id}",
            "model-comparison": f"models?model={candidate}&part=comparison",
            "model-certificates": f"models?model={candidate}&part=certificates",
            "ab-tests": f"ab-tests?experiment={self.story.experiment_id}",
            "ab-design": "ab-tests?design=1",
            "audit": "administration?part=audit",
            "accounts": "administration?part=accounts",
        }


@pytest.fixture
def installation(services: Services, visit: object) -> Installation:
    story = tell(services)
    trainable = make_trainable(services)
    versions = tell_versions(services)
    curves = tell_curves(services)
    tell_sweep(services, [curves.slow, curves.fast])
    task = put_up(PutUpRequest(name=TASK, answers_file=answers_file(services, 12)), services)
    assert len(items_of(TASK, services)) == 12
    rate(services, task, "lee", 9)
    rate(services, task, "park", 8)
    with services.unit_of_work() as uow:
        request = TrainRequest(
            job_name="rules-small", dataset_id=trainable, base_model="small", recipe="demo-lora", method=Method.LORA
        )
        recipe = load_recipe("demo-lora", services.settings.recipes_dir).model_dump(mode="json")
        job = uow.jobs.create(
            request, hyperparameters={**recipe, "recipe": "demo-lora"}, base_model_path="/srv/models/base/small"
        )
    return Installation(story, versions, curves, job)


def draw(tab: "Page", port: int, address: str, language: str, width: int, folder: Path) -> None:
    """Open the page, wait until nothing is drawn any more, and make the window as tall as the page."""
    tab.set_viewport_size({"width": width, "height": 900})
    joined = "&" if "?" in address else "?"
    tab.goto(f"http://127.0.0.1:{port}/{address}{joined}lang={language}")
    tab.get_by_text("서울 기준" if language == "ko" else "Seoul time").last.wait_for(timeout=90_000)
    tab.wait_for_function(
        "() => !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-testid=stSpinner]')",
        timeout=90_000,
    )
    assert tab.locator("[data-testid=stException]").count() == 0
    tab.evaluate(SHORTER_PATHS, str(folder))
    main = tab.locator("[data-testid=stMain]")
    assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
    height = main.evaluate("main => main.scrollHeight")
    tab.set_viewport_size({"width": width, "height": min(TALLEST, height + 20)})
    tab.wait_for_timeout(700)


def picture(tab: "Page", path: Path) -> int:
    """The page as WebP; its bytes."""
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(tab.screenshot())) as shot:
        for quality in (82, 70, 55, 40):
            shot.convert("RGB").save(path, "WEBP", quality=quality, method=6)
            if path.stat().st_size <= MOST_BYTES:
                break
    return path.stat().st_size


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_page_is_drawn_whole_wide_and_narrow(installation, tmp_path, language, colours):
    from playwright.sync_api import sync_playwright

    pictures = Path(os.environ.get("DASHBOARD_GALLERY", str(tmp_path)))
    with dashboard(tmp_path) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        tab = browser.new_context(color_scheme=colours).new_page()
        log_tab_in(tab, port, language=language)
        for width in (1440, 390):
            for name, address in installation.addresses().items():
                draw(tab, port, address, language, width, tmp_path)
                assert picture(tab, pictures / f"{name}-{width}-{language}-{colours}.webp") <= MOST_BYTES
        browser.close()


def test_the_gallery_shows_every_page(installation):
    told = (REPOSITORY_ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    names = set(installation.addresses())
    assert {path.stem for path in SHOWN.glob("*.webp")} == names
    assert {name for name in names if f"(gallery/{name}.webp)" not in told} == set()
    assert max(path.stat().st_size for path in SHOWN.glob("*.webp")) <= MOST_BYTES
