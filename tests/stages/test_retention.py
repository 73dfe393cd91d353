"""What nobody needs leaves the disk; what something refers to stays, whatever is killed meanwhile."""

import json
import os
import time

import pytest

from contracts.audit import AuditFilter
from contracts.record import utc_now
from contracts.retention import PrunableKind
from contracts.training import CheckpointRecord, TrainRequest
from stages import retention
from stages.retention import prune
from storage.files import write_json_atomically
from storage.job_folder import JobFolder

pytestmark = pytest.mark.slow
DAY = 86400.0


def job(services, *, days_ago, state="succeeded", name="tolls"):
    """A training job with a row and a checkpoint, which ended so long ago."""
    with services.unit_of_work() as uow:
        dataset = uow.datasets.add(
            name=f"rules-{name}", content_hash=name.ljust(64, "0"), file_path="/d", total_samples=1, train_samples=1, val_samples=0,
            test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
        )  # fmt: skip
        request = TrainRequest(job_name=name, dataset_id=dataset.dataset_id, base_model="tiny")
        number = uow.jobs.create(request, hyperparameters={}, base_model_path="/m")
        uow.jobs.record_checkpoint(
            number, CheckpointRecord(name="checkpoint-3", step=3, epoch=1, path="/c", size_bytes=9, metrics={})
        )
    folder = JobFolder(services.settings.jobs_dir / f"train-{number}")
    (folder.checkpoints / "checkpoint-3").mkdir(parents=True)
    (folder.checkpoints / "checkpoint-3" / "adapter_model.safetensors").write_bytes(b"x" * 900)
    folder.output.mkdir()
    (folder.output / "adapter_model.safetensors").write_bytes(b"y" * 90)
    folder.attempt(1).root.mkdir()
    write_json_atomically(folder.submission, {"job_key": folder.root.name, "kind": "train", "request": {}})
    write_json_atomically(folder.attempt(1).launcher, {"started_at": utc_now().isoformat(), "gpu_ids": [0]})
    if state != "running":
        ended = {"state": state, "exit_code": 0, "finished_at": utc_now().isoformat(), "error": None}
        write_json_atomically(folder.attempt(1).exit, ended)
    if state == "succeeded":
        write_json_atomically(folder.result, {})
        age(folder.result, days_ago)
    return folder


def age(path, days):
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))


def checkpoints_of(services, folder):
    with services.unit_of_work() as uow:
        return uow.jobs.checkpoints(int(folder.root.name.removeprefix("train-")))


def test_checkpoints_of_jobs_that_completed_long_ago_go_and_everything_else_stays(services):
    old = job(services, days_ago=31, name="old")
    young = job(services, days_ago=29, name="young")
    failed = job(services, days_ago=400, state="failed", name="failed")
    seen = prune(services, "test", is_dry_run=True)
    assert [(one.kind, one.path) for one in seen.removed] == [(PrunableKind.CHECKPOINTS, str(old.checkpoints))]
    assert old.checkpoints.exists()

    done = prune(services, "test")
    assert (done.freed_bytes, done.is_dry_run) == (900, False)
    assert not old.checkpoints.exists()
    assert (old.output / "adapter_model.safetensors").exists()
    assert young.checkpoints.exists() and failed.checkpoints.exists()
    assert checkpoints_of(services, old) == []
    assert len(checkpoints_of(services, young)) == 1
    with services.unit_of_work() as uow:
        (entry,) = uow.audit.search(AuditFilter(action="storage.pruned"), limit=5)
    assert (entry.actor, entry.details["checkpoints"], entry.details["freed_bytes"]) == ("test", 1, 900)
    assert prune(services, "test").removed == []


def test_what_an_unfinished_job_refers_to_stays(services):
    old = job(services, days_ago=100, name="old")
    other = job(services, days_ago=0, state="running", name="other")
    other.plan.write_text(json.dumps({"goes_on_from": f"{old.checkpoints}/checkpoint-3"}))
    assert prune(services, "test").removed == []
    other.plan.write_text("{}")
    assert [one.path for one in prune(services, "test").removed] == [str(old.checkpoints)]


def test_a_kill_in_the_middle_is_made_good_by_the_next_call(services, monkeypatch):
    old = job(services, days_ago=31, name="old")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(retention, "_forget_checkpoints", killed)
    with pytest.raises(KeyboardInterrupt):
        prune(services, "test")
    assert not old.checkpoints.exists()
    assert len(checkpoints_of(services, old)) == 1
    monkeypatch.undo()
    prune(services, "test")
    assert checkpoints_of(services, old) == []
    assert list(old.root.glob(".*.removed")) == []


def test_old_logs_go_and_folders_that_are_empty_then(services):
    settings = services.settings
    logs = settings.airflow_home / "logs" / "dag_id=a" / "run_id=b"
    logs.mkdir(parents=True)
    for name, days in (("attempt=1.log", 91), ("attempt=2.log", 1)):
        (logs / name).write_text("line")
        age(logs / name, days)
    alone = settings.airflow_home / "logs" / "dag_id=c" / "attempt=1.log"
    alone.parent.mkdir()
    alone.write_text("line")
    age(alone, 91)
    assert {one.kind for one in prune(services, "test").removed} == {PrunableKind.TASK_LOGS}
    assert sorted(path.name for path in logs.iterdir()) == ["attempt=2.log"]
    assert not alone.parent.exists()
