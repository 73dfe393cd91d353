"""A person starts a job with keyboard and mouse: the server as `tuneway up` starts it, a real browser."""

import os
from pathlib import Path

import pytest

from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS, dashboard, log_tab_in
from tests.dashboard.trainable import make_trainable

pytestmark = [pytest.mark.slow, pytest.mark.deep]


@pytest.fixture
def quiet_services(quiet_services, airflow):
    """The same, with Airflow's part at an address of its own."""


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
@pytest.mark.parametrize(
    ("width", "language", "colours"), [(1440, "ko", "light"), (390, "en", "dark"), (1440, "en", "dark")]
)
def test_a_job_is_started_with_keyboard_and_mouse(visit, services, airflow, tmp_path, width, language, colours):
    from playwright.sync_api import expect, sync_playwright

    dataset = make_trainable(services)
    words = {
        "ko": {"open": "새 학습 작업", "next": "다음", "model": "기반 모델", "choose": "레시피", "fits": "메모리가 충분합니다",
               "steps": "30스텝", "rank": "LoRA 랭크", "says": "레시피의 값: 8", "start": "학습 시작"},
        "en": {"open": "New job", "next": "Next", "model": "Base model", "choose": "Recipe", "fits": "There is enough memory",
               "steps": "30 steps", "rank": "LoRA rank", "says": "Recipe: 8", "start": "Start training"},
    }[language]  # fmt: skip
    pictures = Path(os.environ.get("DASHBOARD_PICTURES", str(tmp_path)))
    with airflow, dashboard(tmp_path) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        tab = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=colours).new_page()
        tab.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)

        def picture(name: str) -> None:
            content = tab.locator("[data-testid=stMain]")
            assert content.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
            tab.set_viewport_size({"width": width, "height": content.evaluate("main => main.scrollHeight") + 20})
            tab.wait_for_timeout(700)
            tab.screenshot(path=pictures / f"wizard-{name}-{width}-{language}-{colours}.png")
            tab.set_viewport_size({"width": width, "height": 1000})

        def go_on() -> None:
            tab.get_by_role("button", name=words["next"]).focus()
            tab.keyboard.press("Enter")

        log_tab_in(tab, port, language=language)
        tab.goto(f"http://127.0.0.1:{port}/jobs?lang={language}&new=1&dataset={dataset}")
        model = tab.get_by_role("combobox", name=words["model"])
        model.focus()
        tab.keyboard.type("small")
        tab.keyboard.press("Enter")
        expect(tab.get_by_role("button", name=words["next"])).to_be_enabled()
        picture("model")
        go_on()
        recipe = tab.get_by_role("combobox", name=words["choose"])
        recipe.focus()
        tab.keyboard.type("demo-lora")
        tab.keyboard.press("Enter")
        expect(tab.get_by_role("button", name=words["next"])).to_be_enabled()
        picture("method")
        go_on()
        expect(tab.get_by_text(words["fits"])).to_be_visible()
        # without a key pressed, the time appears when the rows have been looked at
        expect(tab.get_by_text(words["steps"])).to_be_visible()
        rank = tab.get_by_role("spinbutton", name=words["rank"])
        rank.fill("4")
        tab.keyboard.press("Enter")
        expect(tab.get_by_text(words["says"])).to_be_visible()
        picture("settings")
        go_on()
        start = tab.get_by_role("button", name=words["start"])
        expect(start).to_be_visible()
        picture("review")
        start.dblclick()
        expect(tab.get_by_role("heading", name="rules-lora")).to_be_visible()
        assert "job=1" in tab.url and "new=1" not in tab.url
        picture("started")
        browser.close()
    assert [run["conf"] for run in airflow.runs.values()] == [{"job_id": 1}]
    with services.unit_of_work() as uow:
        (job,) = uow.jobs.newest(limit=10)
    assert (job.job_name, job.hyperparameters["lora_rank"]) == ("rules-lora", 4)
