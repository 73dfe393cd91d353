"""Where the pages' records come from."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

import dashboard
from contracts.enums import JobKind
from contracts.jobs import FinetuningJob, JobSubmission
from contracts.training import JobProgress
from dashboard import reading
from dashboard.sessions import installation_of
from settings import load_settings
from stages.services import Services, open_services
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from tests.dashboard.story import COMPLETE_RUN, HOST, RUNNING_RUN

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]


def job(services: Services, job_id: int) -> FinetuningJob:
    with services.unit_of_work() as uow:
        return uow.jobs.get(job_id)


def test_a_curve_comes_from_the_job_folder_first(services, story):
    curve = reading.loss_curve(services, job(services, story.running_job))
    assert curve is not None
    assert curve.source is reading.CurveSource.METRICS
    assert [step for step, _ in curve.train][:2] == [5, 10]
    assert len(curve.train) == 24
    assert [step for step, _ in curve.evaluation] == [50, 100]


def test_a_step_that_was_logged_twice_counts_once_with_its_newest_value(services, story):
    folder = JobFolder(services.settings.jobs_dir / f"train-{story.running_job}")
    with folder.metrics.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"step": 5, "timestamp": 1_795_400_000, "loss": 9.5}) + "\n")
    curve = reading.loss_curve(services, job(services, story.running_job))
    assert curve is not None
    assert curve.train[0] == (5, 9.5)
    assert len(curve.train) == 24


def test_without_its_folder_and_mlflow_a_curve_comes_from_the_report(services, story):
    JobFolder(services.settings.jobs_dir / f"train-{story.finished_job}").metrics.unlink()
    curve = reading.loss_curve(services, job(services, story.finished_job))
    assert curve is not None
    assert curve.source is reading.CurveSource.REPORT
    assert curve.train == [(5, 3.04), (140, 0.47), (280, 0.08)]
    assert curve.evaluation == [(280, 0.1193)]


class MlflowAnswers(BaseHTTPRequestHandler):
    """The answers of MLflow's REST API to get-history, as 3.17 writes them."""

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        series = {"loss": [(10, 1.5), (5, 2.5)], "eval_loss": [(10, 1.7)]}
        key = query["metric_key"][0]
        metrics = [{"key": key, "value": value, "timestamp": 1, "step": step} for step, value in series.get(key, [])]
        body = json.dumps({"metrics": metrics} if metrics else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


def test_without_its_folder_a_curve_comes_from_mlflow(services, story, monkeypatch):
    JobFolder(services.settings.jobs_dir / f"train-{story.finished_job}").metrics.unlink()
    with HTTPServer(("127.0.0.1", 0), MlflowAnswers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{server.server_port}")
        curve = reading.loss_curve(open_services(load_settings()), job(services, story.finished_job))
        server.shutdown()
    assert curve == reading.LossCurve([(5, 2.5), (10, 1.5)], [(10, 1.7)], reading.CurveSource.MLFLOW)


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    points = [(step, 1.0) for step in range(1, 10_001)]
    thinned = reading.thinned(points, reading.CURVE_POINTS)
    assert len(thinned) <= reading.CURVE_POINTS
    assert thinned[0] == (1, 1.0)
    assert thinned[-1] == (10_000, 1.0)


def test_a_running_evaluation_is_found_through_its_lease(services, visit, story):
    folder = JobFolder(services.settings.jobs_dir / "evaluate-7")
    folder.root.mkdir(parents=True)
    submission = JobSubmission(job_key="evaluate-7", kind=JobKind.EVALUATE, request={})
    write_json_atomically(folder.submission, submission.model_dump(mode="json"))
    folder.attempt(1).root.mkdir()
    write_json_atomically(
        folder.attempt(1).launcher, {"pid": 1, "gpu_ids": [1], "started_at": "2026-11-22T06:21:00+00:00"}
    )
    progress = JobProgress.model_validate(
        {"stage": "asking", "step": 30, "total_steps": 200, "updated_at": "2026-11-22T06:22:00+00:00"}
    )
    write_json_atomically(folder.progress, progress.model_dump(mode="json"))
    with services.unit_of_work() as uow:
        uow.leases.acquire("evaluate-7#1", 1, HOST, 2)
    work = {item.key: item for item in reading.read_overview(visit).work}
    assert work["evaluate-7"].kind is JobKind.EVALUATE
    assert work["evaluate-7"].progress == progress


def test_the_job_of_a_run_that_still_trains_is_found_by_its_name(visit, story):
    told = reading.run_story(visit, RUNNING_RUN)
    assert told.job is not None
    assert told.job.job_id == story.running_job


def test_the_cases_of_a_run_fall_into_four_groups(visit, story):
    told = reading.run_story(visit, COMPLETE_RUN)
    assert {outcome.value: len(cases) for outcome, cases in told.cases.items()} == {
        "won": 173,
        "lost": 6,
        "both_wrong": 5,
        "both_right": 16,
    }


def test_two_installations_never_share_an_answer(visit, story, monkeypatch, tmp_path):
    assert len(reading.list_datasets(visit)) == 1
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(tmp_path / "other"))
    other = open_services(load_settings())
    assert installation_of(other) != installation_of(visit)


def test_pages_hold_no_sql_and_no_mlflow():
    folder = Path(dashboard.__file__).parent
    sources = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    assert len(sources) >= 14
    views = [text for path, text in sources.items() if path.parent.name == "views"]
    assert len(views) >= 6
    assert not any("sqlalchemy" in text or "unit_of_work" in text or "httpx" in text for text in views)
    assert not any("import mlflow" in text for text in sources.values())
