"""What Prometheus reads of a host: cards, jobs, queue, leases, disk, and what PostgreSQL knows."""

import re

import pytest

from contracts.enums import Arm, ExperimentStatus, LeaseKind
from contracts.gpus import CardReading
from contracts.record import utc_now
from contracts.training import JobProgress
from runner.service import RunnerService
from stages import platform_metrics
from storage.exposition import Readings
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from tests.ports import free_port
from tests.serving_api.running import add_model, start_experiment

LINE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (-?[0-9.e+-]+)$')


def read(text):
    """Values by name and labels, of a text that Prometheus would take."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.match(r"^# (HELP|TYPE) tuneway_[a-z_]+ ", line), line
            continue
        match = LINE.fullmatch(line)
        assert match, line
        found[match[1], match[2] or ""] = float(match[3])
    return found


@pytest.fixture
def runner(services):
    services.settings.jobs_dir.mkdir(parents=True)
    return RunnerService(services)


def put_job(services, key, *, progress=None):
    folder = JobFolder(services.settings.jobs_dir / key)
    folder.attempt(1).root.mkdir(parents=True)
    submission = {"job_key": key, "kind": "train", "request": {}}
    write_json_atomically(folder.submission, submission)
    write_json_atomically(folder.attempt(1).queued, {"at": utc_now().isoformat()})
    if progress is not None:
        write_json_atomically(folder.attempt(1).launcher, {"started_at": utc_now().isoformat(), "gpu_ids": [0]})
        write_json_atomically(folder.progress, progress.model_dump(mode="json"))


@pytest.mark.slow
def test_jobs_leases_tests_and_the_disk_are_told(runner, services):
    put_job(
        services,
        "train-1",
        progress=JobProgress(stage="training", step=7, total_steps=9, loss=1.5, updated_at=utc_now()),
    )
    put_job(services, "train-2")
    with services.unit_of_work() as uow:
        uow.leases.restore("train-1/1", [0], "this-host", LeaseKind.TRAINING)
    found = read(runner.metrics())
    assert found["tuneway_jobs", 'state="running"'] == found["tuneway_jobs", 'state="queued"'] == 1
    assert (found["tuneway_job_step", 'job_key="train-1"'], found["tuneway_job_steps", 'job_key="train-1"']) == (7, 9)
    assert found["tuneway_job_loss", 'job_key="train-1"'] == 1.5
    assert 0 <= found["tuneway_jobs_waiting_seconds", ""] < 600
    (lease,) = [
        value for (name, labels), value in found.items() if name == "tuneway_lease_age_seconds" and 'gpu="0"' in labels
    ]
    assert 0 <= lease < 600
    assert found["tuneway_database_up", ""] == 1
    assert found["tuneway_ab_tests_running", ""] == 0
    (free,) = [value for (name, _), value in found.items() if name == "tuneway_disk_free_bytes"]
    assert free > 0


@pytest.mark.slow
def test_a_running_test_is_counted_and_one_that_is_over_is_not(runner, services):
    a, b = (add_model(services, "m", str(arm), f"m{arm}", "http://127.0.0.1:9/v1", arm) for arm in Arm)
    experiment = start_experiment(services, a, b)
    assert read(runner.metrics())["tuneway_ab_tests_running", ""] == 1
    with services.unit_of_work() as uow:
        uow.experiments.stop(experiment.experiment_id, ExperimentStatus.STOPPED)
    assert read(runner.metrics())["tuneway_ab_tests_running", ""] == 0


@pytest.mark.slow
def test_without_postgresql_the_rest_is_told(services, monkeypatch):
    from settings import load_settings
    from stages.services import open_services

    monkeypatch.setenv("TUNEWAY_DATABASE_URL", f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none")
    away = open_services(load_settings())
    away.settings.jobs_dir.mkdir(parents=True)
    found = read(RunnerService(away).metrics())
    assert found["tuneway_database_up", ""] == 0
    assert ("tuneway_ab_tests_running", "") not in found
    assert found["tuneway_jobs", 'state="running"'] == 0


def test_what_a_card_does_not_tell_is_left_out(services, monkeypatch):
    cards = [
        CardReading(
            index=0, memory_used_bytes=5, memory_bytes=9, busy_ratio=0.5, temperature_celsius=61, power_watts=300
        ),
        CardReading(
            index=1, memory_used_bytes=0, memory_bytes=9, busy_ratio=None, temperature_celsius=None, power_watts=None
        ),
    ]
    monkeypatch.setattr(platform_metrics, "card_readings", lambda: cards)
    services.settings.jobs_dir.mkdir(parents=True)
    found = read(platform_metrics.platform_metrics(services, [], host="h", cards=2))
    assert found["tuneway_gpu_temperature_celsius", 'gpu="0",host="h"'] == 61
    assert found["tuneway_gpu_busy_ratio", 'gpu="0",host="h"'] == 0.5
    assert ("tuneway_gpu_temperature_celsius", 'gpu="1",host="h"') not in found
    assert found["tuneway_gpu_memory_total_bytes", 'gpu="1",host="h"'] == 9


def test_a_label_cannot_break_out_of_its_line():
    readings = Readings({"tuneway_x": "A thing."})
    readings.add("tuneway_x", 1, job_key='a"} 2\nevil 3\\')
    assert read(readings.text()) == {("tuneway_x", 'job_key="a\\"} 2\\nevil 3\\\\"'): 1.0}
    with pytest.raises(KeyError):
        readings.add("tuneway_unknown", 1)


@pytest.mark.slow
def test_the_door_tells_it_without_a_token(services):
    from fastapi.testclient import TestClient

    from runner.api import create_app

    services.settings.jobs_dir.mkdir(parents=True)
    answer = TestClient(create_app(RunnerService(services), "token")).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert read(answer.text)
