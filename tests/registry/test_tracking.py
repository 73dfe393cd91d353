"""What a job tells MLflow arrives, in spite of outages, and never holds the job up."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import UnavailableError
from registry.client import open_client
from registry.tracking import (
    JOB_TAG,
    MlflowTracker,
    ensure_run,
    log_run_results,
    read_metrics,
    send_missing_metrics,
)
from tests.ports import free_port

START = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


def _tracker(url: str, job: str, **options: Any) -> MlflowTracker:
    return MlflowTracker(url, "tests", job, {JOB_TAG: job}, **options)


def _history(url: str, run_id: str, key: str) -> list[tuple[int, float]]:
    return sorted((metric.step, metric.value) for metric in open_client(url).get_metric_history(run_id, key))


def _metrics_file(folder: Path, steps: range) -> Path:
    path = folder / "metrics.jsonl"
    lines = [
        {"step": step, "timestamp": (START + timedelta(seconds=step)).isoformat(), "loss": 1 / (step + 1)}
        for step in steps
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 99, "ti')
    return path


@pytest.mark.slow
def test_params_metrics_artifacts_and_status_arrive(mlflow_server, tmp_path):
    card = tmp_path / "recipe.yaml"
    card.write_text("rank: 8\n")
    tracker = _tracker(mlflow_server.url, "job-whole")
    run_id = tracker.start()
    tracker.log_params({"recipe": "demo-lora", "lora": {"rank": 8, "alpha": 32}})
    for step in range(5):
        tracker.log_metrics(step, {"loss": 5.0 - step, "eval_loss": None, "bad": float("nan")})
    tracker.log_artifact(card, "recipe")
    assert tracker.finish("FINISHED")
    client = open_client(mlflow_server.url)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"recipe": "demo-lora", "lora.rank": "8", "lora.alpha": "32"}
    assert run.data.tags[JOB_TAG] == "job-whole"
    assert run.data.metrics == {"loss": 1.0}
    assert _history(mlflow_server.url, run_id, "loss") == [(step, 5.0 - step) for step in range(5)]
    assert [artifact.path for artifact in client.list_artifacts(run_id, "recipe")] == ["recipe/recipe.yaml"]


@pytest.mark.slow
def test_a_job_that_starts_again_finds_its_run(mlflow_server):
    tags = {JOB_TAG: "job-again"}
    first = ensure_run(mlflow_server.url, "tests", "job-again", tags)
    open_client(mlflow_server.url).set_terminated(first, "KILLED")
    assert ensure_run(mlflow_server.url, "tests", "job-again", tags) == first
    assert ensure_run(mlflow_server.url, "tests", "job-again", tags, run_id=first) == first
    assert open_client(mlflow_server.url).get_run(first).info.status == "RUNNING"
    assert ensure_run(mlflow_server.url, "tests", "job-other", {JOB_TAG: "job-other"}) != first


@pytest.mark.slow
def test_metrics_logged_while_mlflow_is_killed_arrive_when_it_is_back(mlflow_server):
    tracker = _tracker(mlflow_server.url, "job-outage", flush_seconds=90)
    run_id = tracker.start()
    tracker.log_metrics(0, {"loss": 10.0})
    mlflow_server.kill()
    try:
        for step in range(1, 50):
            tracker.log_metrics(step, {"loss": 10.0 - step / 10})
        tracker.log_params({"late": "yes"})
    finally:
        mlflow_server.start()
    assert tracker.finish()
    assert _history(mlflow_server.url, run_id, "loss") == [(step, 10.0 - step / 10) for step in range(50)]
    assert open_client(mlflow_server.url).get_run(run_id).data.params == {"late": "yes"}


@pytest.mark.slow
def test_what_an_outage_swallowed_is_sent_again_from_the_job_folder(mlflow_server, tmp_path):
    tracker = _tracker(mlflow_server.url, "job-resend", flush_seconds=1)
    run_id = tracker.start()
    tracker.log_metrics(0, {"loss": 1.0}, START)
    while not _history(mlflow_server.url, run_id, "loss"):
        time.sleep(0.05)
    mlflow_server.kill()
    try:
        tracker.log_metrics(1, {"loss": 0.5}, START + timedelta(seconds=1))
        assert not tracker.finish()
    finally:
        mlflow_server.start()
    path = _metrics_file(tmp_path, range(4))
    send_missing_metrics(mlflow_server.url, run_id, path)
    assert send_missing_metrics(mlflow_server.url, run_id, path) == 0
    assert dict(_history(mlflow_server.url, run_id, "loss")) == pytest.approx({0: 1, 1: 1 / 2, 2: 1 / 3, 3: 1 / 4})
    assert len(_history(mlflow_server.url, run_id, "loss")) == 4


@pytest.mark.slow
def test_a_call_that_mlflow_refuses_does_not_hold_up_the_next(mlflow_server):
    tracker = _tracker(mlflow_server.url, "job-refused")
    run_id = tracker.start()
    tracker.log_params({"rank": 8})
    tracker.log_params({"rank": 16})
    tracker.log_metrics(1, {"loss": 2.0})
    tracker.finish()
    run = open_client(mlflow_server.url).get_run(run_id)
    assert (run.data.params, run.data.metrics) == ({"rank": "8"}, {"loss": 2.0})


@pytest.mark.slow
def test_results_added_twice_are_there_once(mlflow_server, tmp_path):
    picture = tmp_path / "comparison.png"
    picture.write_bytes(b"png")
    run_id = ensure_run(mlflow_server.url, "tests", "job-results", {JOB_TAG: "job-results"})
    for _ in range(2):
        log_run_results(
            mlflow_server.url,
            run_id,
            metrics={"accuracy_tuned": 0.97},
            tags={"gate": "pass"},
            artifacts={"evaluation": picture},
        )
    assert _history(mlflow_server.url, run_id, "accuracy_tuned") == [(0, 0.97)]
    assert open_client(mlflow_server.url).get_run(run_id).data.tags["gate"] == "pass"


def test_start_says_that_mlflow_is_away():
    tracker = _tracker(f"http://127.0.0.1:{free_port()}", "job-away", start_seconds=0)
    with pytest.raises(UnavailableError, match="MLflow does not answer"):
        tracker.start()


def test_a_metrics_call_returns_while_nothing_is_sent():
    tracker = _tracker(f"http://127.0.0.1:{free_port()}", "job-nowhere", flush_seconds=0.2)
    tracker._run_id = "0" * 32
    tracker._thread = threading.Thread(target=tracker._send_all, daemon=True)
    tracker._thread.start()
    for step in range(1000):
        tracker.log_metrics(step, {"loss": 1.0})
    assert not tracker.finish()


def test_metrics_are_read_up_to_the_line_a_kill_cut_off(tmp_path):
    points = read_metrics(_metrics_file(tmp_path, range(3)))
    assert [(point.key, point.step) for point in points] == [("loss", 0), ("loss", 1), ("loss", 2)]
    assert points[1].timestamp_ms - points[0].timestamp_ms == 1000


def test_a_job_without_metrics_has_none_to_send(tmp_path):
    assert send_missing_metrics("http://127.0.0.1:9", "0" * 32, tmp_path / "metrics.jsonl") == 0
