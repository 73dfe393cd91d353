"""The runner's rules, each pass made by hand: no process is started here."""

import json
import os
import shutil
import subprocess
import time
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from contracts.enums import JobState, LeaseKind, ServerBackend, WaitReason
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from contracts.record import JsonObject, utc_now
from contracts.training import TrainRequest
from deployment.permanent import ServerState
from deployment.specification import ServerSpec
from runner.api import create_app
from runner.card_use import card_uses
from runner.leases import SWEEP_SECONDS, orphans
from runner.service import RunnerService
from settings import load_settings
from stages.services import open_services
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from storage.processes import host_name, identity_of
from tests.runner.conftest import TOKEN, submission
from training.checkpoints import CheckpointManifest, checkpoint_records, commit_checkpoint


@pytest.fixture
def service(services):
    """A service whose passes the test makes."""
    services.settings.jobs_dir.mkdir(parents=True)
    return RunnerService(services)


@pytest.fixture
def all_cards_taken(services):
    """Somebody else holds both cards."""
    with services.unit_of_work() as uow:
        uow.leases.acquire("somebody#1", 2, host_name(), 2)


@pytest.fixture
def started(monkeypatch):
    """Keys of the jobs that got cards; their launchers do nothing."""
    keys = []

    launchers = []

    def start(_settings, _folder, submitted, _cards, _gpus):
        keys.append(submitted.job_key)
        launchers.append(subprocess.Popen(["sleep", "60"]))
        return launchers[-1]

    monkeypatch.setattr("runner.service.start_launcher", start)
    yield keys
    for launcher in launchers:
        launcher.kill()
        launcher.wait()


@pytest.fixture
def door(service):
    return TestClient(create_app(service, TOKEN), headers={"Authorization": f"Bearer {TOKEN}"})


def end_attempt(services, job_key, attempt, state="failed"):
    write_json_atomically(
        JobFolder(services.settings.jobs_dir / job_key).attempt(attempt).exit,
        {"state": state, "exit_code": 3, "finished_at": utc_now().isoformat(), "error": None},
    )


def test_the_same_attempt_again_is_the_same_job(service, services):
    first = service.submit(submission())
    assert service.submit(submission(owner="another caller")) == first
    assert [view.job_key for view in service.views()] == ["train-1"]


def test_a_key_with_another_request_is_refused(service):
    service.submit(submission())
    with pytest.raises(ConflictError, match="another request"):
        service.submit(submission(request={"job_name": "other"}))


def test_a_request_stored_before_it_had_a_field_is_the_same_request(service, services):
    whole = TrainRequest(job_name="tiny", dataset_id=1, base_model="tiny").model_dump(mode="json")
    old = {name: value for name, value in whole.items() if name not in {"seed", "num_gpus"}}
    service.submit(submission(request=old))
    assert service.submit(submission(request=whole)).attempt == 1
    with pytest.raises(ConflictError, match="another request"):
        service.submit(submission(request={**whole, "seed": 1}))


def test_a_new_attempt_is_accepted_only_after_the_one_before_has_ended(service, services):
    service.submit(submission())
    with pytest.raises(ConflictError, match="has not ended"):
        service.submit(submission(attempt=2))
    end_attempt(services, "train-1", 1)
    assert service.submit(submission(attempt=2)).state is JobState.QUEUED
    with pytest.raises(ConflictError, match="later attempt"):
        service.submit(submission(attempt=1))


def test_a_new_attempt_frees_the_cards_of_the_one_before(service, services):
    service.submit(submission())
    with services.unit_of_work() as uow:
        uow.leases.acquire("train-1#1", 2, host_name(), 2)
    end_attempt(services, "train-1", 1)
    service.submit(submission(attempt=2))
    with services.unit_of_work() as uow:
        assert uow.leases.all() == []


def test_more_gpus_than_the_host_has_are_refused_at_once(service):
    with pytest.raises(InvalidRequestError, match="1 to 2"):
        service.submit(submission(num_gpus=3))
    assert service.views() == []


def test_a_job_waits_queued_while_others_hold_the_cards(service, services):
    # the sweep of the first pass finds this lease alive: its job is queued
    service.submit(submission(job_key="train-2"))
    with services.unit_of_work() as uow:
        uow.leases.acquire("train-2#1", 2, host_name(), 2)
    service.submit(submission(job_key="train-3"))
    assert service._advance(service._followed["train-3"])
    assert service.view("train-3").state is JobState.QUEUED


def test_a_smaller_job_does_not_overtake_one_that_waits_for_more_cards(service, services, monkeypatch):
    started = []
    monkeypatch.setattr("runner.service.start_launcher", lambda *arguments: started.append(arguments[2].job_key))
    service._swept_at = time.monotonic()
    with services.unit_of_work() as uow:
        uow.leases.acquire("somebody#1", 1, host_name(), 2)
    service.submit(submission(job_key="train-2", num_gpus=2))
    service.submit(submission(job_key="train-3", num_gpus=1))
    service.make_pass()
    assert started == []
    with services.unit_of_work() as uow:
        uow.leases.release("somebody#1")
    service.make_pass()
    assert started == ["train-2"]


def silence(services, owner, seconds):
    """The holder was last known to live so many seconds ago."""
    with services.unit_of_work() as uow:
        uow.session.execute(
            text("UPDATE gpu_leases SET heartbeat_at = now() - make_interval(secs => :s) WHERE owner = :o"),
            {"s": seconds, "o": owner},
        )


def owners(services):
    with services.unit_of_work() as uow:
        return {lease.owner for lease in uow.leases.all()}


def test_cards_of_attempts_that_are_over_or_unknown_are_freed(service, services):
    service.submit(submission())
    service.submit(submission(job_key="train-2"))
    end_attempt(services, "train-2", 1)
    with services.unit_of_work() as uow:
        for owner in ("train-1#1", "train-2#1", "gone-9#1", "coming-9#1"):
            uow.leases.acquire(owner, 1, host_name(), 4)
    silence(services, "gone-9#1", 46)
    service._sweep_leases()
    assert owners(services) == {"train-1#1", "coming-9#1"}


def test_a_sweep_that_fails_stops_no_job(service, started, monkeypatch):
    def fail(*_):
        raise RuntimeError("a broken file")

    monkeypatch.setattr("runner.service.sweep_leases", fail)
    service.submit(submission())
    service.make_pass()
    assert started == ["train-1"]


def test_a_dead_hosts_cards_are_freed_within_a_minute_and_its_model_servers_keep_theirs(service, services):
    with services.unit_of_work() as uow:
        uow.leases.acquire("train-8#1", 1, "another-host", 4)
        uow.leases.acquire("train-9#1", 1, "another-host", 4)
        uow.leases.acquire("model-server-x", 1, "another-host", 4, kind=LeaseKind.SERVING)
    for owner in ("train-8#1", "model-server-x"):
        silence(services, owner, 60 - SWEEP_SECONDS)
    service._sweep_leases()
    assert owners(services) == {"train-9#1", "model-server-x"}


def test_the_card_of_a_deployed_model_server_is_never_taken(service, services):
    state = services.settings.run_dir / "model_servers" / "kept.json"
    state.parent.mkdir(parents=True)
    state.write_text(
        ServerState(
            key="kept",
            backend=ServerBackend.VLLM,
            port=1,
            spec=ServerSpec(model_path="/m", served_model_name="m"),
        ).model_dump_json()
    )
    with services.unit_of_work() as uow:
        for owner in ("model-server-kept", "model-server-gone"):
            uow.leases.acquire(owner, 1, host_name(), 2, kind=LeaseKind.SERVING)
        # a day without a word
    silence(services, "model-server-kept", 86_400)
    silence(services, "model-server-gone", 86_400)
    service._sweep_leases()
    assert owners(services) == {"model-server-kept"}


def test_a_running_job_has_its_cards_again_after_its_lease_was_freed(service, services):
    service.submit(submission())
    attempt = JobFolder(services.settings.jobs_dir / "train-1").attempt(1)
    launcher: JsonObject = {**identity_of(os.getpid()), "gpu_ids": [1], "started_at": "2026-01-01T00:00:00Z"}
    write_json_atomically(attempt.launcher, launcher)
    service._sweep_leases()
    with services.unit_of_work() as uow:
        assert [(lease.gpu_index, lease.owner) for lease in uow.leases.all()] == [(1, "train-1#1")]


def test_a_card_whose_job_lives_is_not_given_out_though_the_database_lost_its_lease(service, services, started):
    service.submit(submission())
    attempt = JobFolder(services.settings.jobs_dir / "train-1").attempt(1)
    launcher: JsonObject = {**identity_of(os.getpid()), "gpu_ids": [0], "started_at": "2026-01-01T00:00:00Z"}
    write_json_atomically(attempt.launcher, launcher)
    service._swept_at = time.monotonic()
    service.submit(submission(job_key="train-2"))
    service.make_pass()
    with services.unit_of_work() as uow:
        assert [(lease.gpu_index, lease.owner) for lease in uow.leases.all()] == [(1, "train-2#1")]


def test_a_job_whose_foreground_process_died_with_its_launcher_is_ended_and_its_cards_freed(service, services):
    folder = JobFolder(services.settings.jobs_dir / "train-1")
    folder.attempt(1).root.mkdir(parents=True)
    write_json_atomically(folder.submission, submission().model_dump(mode="json"))
    write_json_atomically(
        folder.attempt(1).launcher,
        {"pid": 1, "start_ticks": -1, "boot_id": "none", "gpu_ids": [0], "started_at": "2026-01-01T00:00:00Z"},
    )
    with services.unit_of_work() as uow:
        uow.leases.acquire("train-1#1", 1, host_name(), 2)
    service._sweep_leases()
    service.make_pass()
    service.make_pass()
    assert service.view("train-1").state is JobState.LOST
    assert owners(services) == set()


def test_two_one_gpu_jobs_run_at_once_and_a_third_knows_its_place(service, services, started):
    for number in (1, 2, 3):
        service.submit(submission(job_key=f"train-{number}", expected_seconds=3600))
    service.make_pass()
    assert started == ["train-1", "train-2"]
    service.make_pass()
    place = service.view("train-3").place
    assert place is not None
    assert (place.position, place.waiting, place.reason) == (1, 1, WaitReason.CARDS)
    assert place.expected_start_at is not None
    assert place == service.views()[2].place
    assert service.view("train-1").place is None


def test_the_project_that_used_less_goes_first_and_priority_goes_before_it(service, services, started):
    used = JobFolder(services.settings.jobs_dir / "train-0")
    used.attempt(1).root.mkdir(parents=True)
    write_json_atomically(used.submission, submission(job_key="train-0", project="busy").model_dump(mode="json"))
    write_json_atomically(
        used.attempt(1).launcher, {"started_at": (utc_now() - timedelta(hours=5)).isoformat(), "gpu_ids": [0]}
    )
    end_attempt(services, "train-0", 1, "succeeded")
    service._uses += card_uses(used)
    service.submit(submission(job_key="train-1", project="busy"))
    service.submit(submission(job_key="train-2", project="idle"))
    service.submit(submission(job_key="train-3", project="busy", priority="high"))
    service.make_pass()
    assert started == ["train-3", "train-2"]


def test_no_job_gets_a_card_that_is_kept_for_model_servers(services, started, monkeypatch):
    monkeypatch.setenv("TUNEWAY_SERVING_GPUS", "[0]")
    services = open_services(load_settings())
    services.settings.jobs_dir.mkdir(parents=True)
    service = RunnerService(services)
    with pytest.raises(InvalidRequestError, match="1 to 1"):
        service.submit(submission(num_gpus=2))
    for number in (1, 2):
        service.submit(submission(job_key=f"train-{number}"))
    service.make_pass()
    service.make_pass()
    assert started == ["train-1"]
    with services.unit_of_work() as uow:
        assert [lease.gpu_index for lease in uow.leases.all()] == [1]


def test_a_full_disk_fails_the_job_with_what_to_do(services, monkeypatch):
    services.settings.jobs_dir.mkdir(parents=True)
    service = RunnerService(services)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 10, 0))
    service.submit(submission())
    service.make_pass()
    view = service.view("train-1")
    assert view.state is JobState.FAILED
    assert view.error is not None
    assert view.error["code"] == "capacity"
    assert "free some space" in str(view.error["next_step"])


def test_a_queued_job_is_stopped_without_ever_starting(service, services, all_cards_taken):
    service.submit(submission())
    assert service.stop("train-1", 1).state is JobState.STOPPED
    service.make_pass()
    assert JobFolder(services.settings.jobs_dir / "train-1").attempt(1).settled.exists()


def test_a_stop_meant_for_an_earlier_attempt_does_not_touch_the_present_one(service, services):
    service.submit(submission())
    end_attempt(services, "train-1", 1)
    service.submit(submission(attempt=2))
    with pytest.raises(ConflictError, match="attempt 2"):
        service.stop("train-1", 1)
    assert service.view("train-1").state is JobState.QUEUED


def test_jobs_left_unsettled_are_adopted_and_settled_ones_are_left_alone(service, services):
    service.submit(submission())
    service.submit(submission(job_key="train-2"))
    end_attempt(services, "train-2", 1)
    service._settle(service._followed["train-2"])
    (services.settings.jobs_dir / "train-3").mkdir()
    (services.settings.jobs_dir / "train-4").mkdir()
    (services.settings.jobs_dir / "train-4" / "submission.json").write_text("{broken")
    later = RunnerService(services)
    later.start()
    later.close()
    assert "train-2" not in later._followed
    assert "train-4" not in later._followed
    assert JobFolder(services.settings.jobs_dir / "train-1").submission.exists()


def test_an_unknown_job_is_answered_with_what_to_do(service):
    with pytest.raises(NotFoundError):
        service.view("train-9")


def test_without_the_token_nothing_but_health_is_told(service):
    stranger = TestClient(create_app(service, TOKEN))
    assert stranger.get("/health").json()["slots"] == 2
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        answer = stranger.get("/jobs", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")
    assert stranger.post("/jobs", json={}).status_code == 401


def test_the_door_tells_views_logs_and_results(door, services):
    assert door.post("/jobs", json=submission().model_dump(mode="json")).json()["state"] == "queued"
    assert [view["job_key"] for view in door.get("/jobs").json()] == ["train-1"]
    folder = JobFolder(services.settings.jobs_dir / "train-1")
    text = "학습을 시작합니다\n"
    folder.attempt(1).log.write_bytes(text.encode() + "끝".encode()[:2])  # the last character is half written
    chunk = door.get("/jobs/train-1/log").json()
    assert chunk == {"text": text, "next_offset": len(text.encode())}
    assert door.get("/jobs/train-1/log", params={"offset": chunk["next_offset"]}).json()["text"] == ""
    answer = door.get("/jobs/train-1/result")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    folder.result.write_text(json.dumps({"steps": 3}))
    assert door.get("/jobs/train-1/result").json() == {"steps": 3}


def test_every_error_has_its_four_parts(door):
    fields = {"code", "what", "value", "allowed", "next_step", "retryable"}
    for answer, status in (
        (door.get("/jobs/train-9"), 404),
        (door.post("/jobs", json={"job_key": "../x", "kind": "train", "request": {}}), 422),
        (door.get("/jobs/NOT%20A%20KEY"), 422),
        (door.post("/jobs", json=submission(num_gpus=8).model_dump(mode="json")), 422),
    ):
        assert answer.status_code == status, answer.text
        assert set(answer.json()) == fields


def saved(folder, step):
    """A whole checkpoint of that step."""
    staged = folder.checkpoints / ".staging"
    staged.mkdir(parents=True)
    (staged / "adapter_model.safetensors").write_text("weights")
    manifest = CheckpointManifest(step=step, epoch=0.5, metrics={"loss": 1.5}, train_seconds=1, files={})
    commit_checkpoint(staged, folder.checkpoints / f"checkpoint-{step}", manifest)


def test_an_attempt_goes_on_from_the_checkpoint_that_was_chosen(service, services):
    service.submit(submission())
    folder = service.folder("train-1")
    for step in (25, 50):
        saved(folder, step)
    end_attempt(services, "train-1", 1)
    with pytest.raises(InvalidRequestError, match="checkpoint-25, checkpoint-50"):
        service.submit(submission(attempt=2, resume_from="checkpoint-26"))
    assert service.view("train-1").attempt == 1
    assert service.submit(submission(attempt=2, resume_from="checkpoint-25")).attempt == 2
    assert [record.name for record in checkpoint_records(folder.checkpoints)] == ["checkpoint-25"]


def test_the_rows_of_checkpoints_follow_the_folder_while_the_job_runs(service, services):
    with services.unit_of_work() as uow:
        dataset = uow.datasets.add(
            name="tiny", content_hash="0" * 64, file_path="/d", total_samples=1, train_samples=1, val_samples=0,
            test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
        )  # fmt: skip
        request = TrainRequest(job_name="tiny", dataset_id=dataset.dataset_id, base_model="demo-base")
        job_id = uow.jobs.create(request, hyperparameters={}, base_model_path="/m")

    def rows():
        with services.unit_of_work() as uow:
            return [(row.name, row.step, row.metrics) for row in uow.jobs.checkpoints(job_id)]

    service.submit(submission(finetuning_job_id=job_id))
    folder = service.folder("train-1")
    write_json_atomically(folder.attempt(1).launcher, {**identity_of(os.getpid()), "gpu_ids": [0]})
    saved(folder, 25)
    service.make_pass()
    assert rows() == [("checkpoint-25", 25, {"loss": 1.5})]
    saved(folder, 50)
    shutil.rmtree(folder.checkpoints / "checkpoint-25")
    service.make_pass()
    assert rows() == [("checkpoint-50", 50, {"loss": 1.5})]


def test_a_machine_that_started_anew_leaves_the_attempt_lost_and_its_cards_free(service, services):
    service.submit(submission())
    folder = service.folder("train-1")
    with services.unit_of_work() as uow:
        uow.leases.acquire("train-1#1", 1, host_name(), 2)
    # this very process number is alive, but it belongs to the time before the restart
    before = {**identity_of(os.getpid()), "boot_id": "the machine before its restart"}
    write_json_atomically(folder.attempt(1).launcher, {**before, "gpu_ids": [0]})
    service.make_pass()
    service.make_pass()
    view = service.view("train-1")
    assert view.state is JobState.LOST
    assert view.error is not None
    assert view.error["retryable"]
    with services.unit_of_work() as uow:
        assert uow.leases.all() == []
    assert service.submit(submission(attempt=2)).state is JobState.QUEUED


def test_a_job_that_another_host_accepted_is_left_to_that_host(service, services):
    folder = JobFolder(services.settings.jobs_dir / "train-1")
    write_json_atomically(folder.submission, submission().model_dump(mode="json"))
    write_json_atomically(folder.attempt(1).queued, {"at": utc_now().isoformat(), "host": "another"})
    elsewhere: JsonObject = {**identity_of(os.getpid()), "host": "another", "pid": 1, "gpu_ids": [0]}
    write_json_atomically(folder.attempt(1).launcher, elsewhere)
    service.start()
    service.make_pass()
    service.close()
    assert service.view("train-1").state is JobState.RUNNING
    assert orphans(services.settings, set(), host_name()) == []
