"""The comparison of trainings as a person uses it: lines that grow, files that are saved."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.dashboard.curves_story import START, STEPS, SWEEP, add_job, tell_curves, tell_sweep, write_metrics
from tests.dashboard.test_server import CHROMIUM_ARGUMENTS, dashboard, log_tab_in

pytestmark = [
    pytest.mark.deep,
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("chromium") is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk"
    ),
]
VIEWS = ((1440, "ko", "light"), (1440, "en", "dark"), (390, "ko", "dark"), (390, "en", "light"))


def running_job(services) -> tuple[int, Path]:
    """A training in its 600th step, and its metrics."""
    job_id = add_job(services, "rates-now", learning_rate=0.003, steps=0)
    with services.unit_of_work() as uow:
        uow.jobs.mark_running(job_id, [0])
    path = services.settings.jobs_dir / f"train-{job_id}" / "metrics.jsonl"
    write_metrics(path, 0.003, "sft", 0.2, 1.0, STEPS // 2)
    return job_id, path


def test_lines_grow_while_a_job_runs_and_chart_and_values_can_be_saved(visit, services, tmp_path):
    from playwright.sync_api import expect, sync_playwright

    told = tell_curves(services)
    running, metrics = running_job(services)
    tell_sweep(services, [told.slow, told.fast])
    pictures = os.environ.get("DASHBOARD_PICTURES")
    outside: set[str] = set()
    with dashboard(tmp_path) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS)
        for width, language, colours in VIEWS if pictures else VIEWS[:1]:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
            tab = context.new_page()
            tab.on(
                "request",
                lambda request: (
                    None
                    if str(port) in request.url or request.url.startswith(("data:", "blob:"))
                    else outside.add(request.url)
                ),
            )
            log_tab_in(tab, port, language=language)
            jobs = f"{told.slow},{told.fast},{running}" + (
                f",{told.preferences},{told.waiting}" if language == "en" else ""
            )
            tab.goto(f"http://127.0.0.1:{port}/experiments?lang={language}&jobs={jobs}&smoothing=0.9&sweep={SWEEP}")
            tab.locator(".js-plotly-plot").nth(6).wait_for(timeout=60_000)
            content = tab.locator("[data-testid=stMain]")
            assert content.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
            if pictures:
                tab.set_viewport_size({"width": width, "height": content.evaluate("main => main.scrollHeight") + 20})
                tab.wait_for_timeout(2500)
                tab.screenshot(path=Path(pictures) / f"experiments-{width}-{language}-{colours}.png")
                tab.set_viewport_size({"width": width, "height": 900})
            if (width, language) != (1440, "ko"):
                context.close()
                continue
            first = tab.locator(".js-plotly-plot").first
            with metrics.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"step": 700, "epoch": 3.0, "timestamp": START + 700, "loss": 0.5}) + "\n")
            expect_last_step(tab, running, 700)
            first.hover()
            with tab.expect_download() as saved:
                first.locator(".modebar-btn").click()
            assert saved.value.suggested_filename == f"loss-{told.slow}-{told.fast}-{running}.png"
            picture = Path(saved.value.path()).read_bytes()
            assert picture.startswith(b"\x89PNG")
            if pictures:
                (Path(pictures) / "saved-chart.png").write_bytes(picture)
            with tab.expect_download() as saved:
                tab.get_by_text("곡선 CSV 내려받기").click()
            assert len(Path(saved.value.path()).read_text(encoding="utf-8").splitlines()) > 2 * STEPS
            expect(tab.get_by_text("MLflow에서 보기").first).to_be_visible()
            context.close()
        browser.close()
    assert outside == set()


def expect_last_step(tab, job_id: int, step: int) -> None:
    """The job's line reaches the step, without a click."""
    tab.wait_for_function(
        """([name, step]) => [...document.querySelector('.js-plotly-plot').data].some(
            trace => trace.name === name && trace.showlegend !== false && trace.x[trace.x.length - 1] === step)""",
        arg=[f"#{job_id}", step],
        timeout=30_000,
    )
