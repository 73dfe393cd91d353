"""Jobs as a person handles them, from their folders alone: no runner answers here."""

import os

import pytest

from contracts.enums import CompressionMethod, JobState
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError, UnavailableError
from contracts.jobs import JobSubmission
from contracts.record import utc_now
from settings import load_settings
from stages.jobs import describe_job, find_job, list_jobs, resume_job, stop_job
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from storage.processes import identity_of
from tests.ports import free_port
from tests.stages.compression import FACTS, compression_report
from training.checkpoints import CheckpointManifest, commit_checkpoint


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    return load_settings()


def make_job(settings, number=1, name="tolls-2026-11", state=None):
    """A job folder: queued, or ended as `state` says."""
    folder = JobFolder(settings.jobs_dir / f"train-{number}")
    submission = JobSubmission(job_key=folder.root.name, kind="train", request={"job_name": name})
    write_json_atomically(folder.submission, submission.model_dump(mode="json"))
    if state is not None:
        end = {"state": state, "exit_code": 1, "finished_at": utc_now().isoformat(), "error": None}
        write_json_atomically(folder.attempt(1).exit, end)
    return folder


def save(folder, step):
    staged = folder.checkpoints / ".staging"
    staged.mkdir(parents=True)
    (staged / "adapter_model.safetensors").write_text("weights")
    manifest = CheckpointManifest(step=step, epoch=0.5, metrics={}, train_seconds=1, files={})
    commit_checkpoint(staged, folder.checkpoints / f"checkpoint-{step}", manifest)


@pytest.mark.parametrize("given", ["train-17", "17", "tolls-2026-11"])
def test_a_job_is_found_by_key_number_and_name(settings, given):
    make_job(settings, 17)
    assert find_job(given, settings).root.name == "train-17"


@pytest.mark.parametrize(("given", "nearest"), [("trian-17", "train-17"), ("tols-2026-11", "tolls-2026-11")])
def test_a_misspelt_job_is_answered_with_the_nearest(settings, given, nearest):
    make_job(settings, 17)
    with pytest.raises(NotFoundError, match=rf"did you mean {nearest}\?"):
        find_job(given, settings)


def test_the_list_can_be_limited_to_what_still_runs(settings):
    make_job(settings, 1, "first", "failed")
    make_job(settings, 2, "second")
    assert {job.name for job in list_jobs(settings)} == {"first", "second"}
    assert [job.name for job in list_jobs(settings, {JobState.QUEUED})] == ["second"]


def make_compression(settings, number=3):
    """A compression that has ended with its result."""
    folder = JobFolder(settings.jobs_dir / f"compress-{number}")
    submission = JobSubmission(
        job_key=folder.root.name, kind="compress", request={"job_name": "small", "compression": "int8"}
    )
    write_json_atomically(folder.submission, submission.model_dump(mode="json"))
    write_json_atomically(
        folder.attempt(1).exit,
        {"state": "succeeded", "exit_code": 0, "finished_at": utc_now().isoformat(), "error": None},
    )
    write_json_atomically(folder.result, compression_report().model_dump(mode="json"))
    return folder


def test_a_compression_is_listed_with_its_method_and_described_with_what_it_did(settings):
    make_job(settings, 17)
    make_compression(settings, 18)
    assert {job.view.job_key: job.compression for job in list_jobs(settings)} == {
        "train-17": None,
        "compress-18": CompressionMethod.INT8,
    }
    assert describe_job(find_job("18", settings), settings).compression == FACTS
    assert describe_job(find_job("17", settings), settings).compression is None


def test_a_description_tells_checkpoints_and_automatic_restarts(settings):
    folder = make_job(settings, state="failed")
    save(folder, 25)
    write_json_atomically(folder.attempt(1).restarts, {"restarts": [{"at": "2026-11-28T00:00:00", "what": "hung"}]})
    detail = describe_job(folder, settings)
    assert [saved.name for saved in detail.checkpoints] == ["checkpoint-25"]
    assert [restart["what"] for restart in detail.restarts] == ["hung"]
    assert (detail.name, detail.has_result, detail.view.state) == ("tolls-2026-11", False, JobState.FAILED)


def test_stopping_what_has_ended_changes_nothing_and_tells_where_it_can_go_on(settings):
    folder = make_job(settings, state="lost")
    save(folder, 50)
    view, step = stop_job(folder, settings)
    assert (view.state, step) == (JobState.LOST, 50)
    assert not folder.attempt(1).stop.exists()


def test_without_a_runner_a_living_launcher_is_asked_by_the_stop_file(settings, monkeypatch):
    folder = make_job(settings)
    write_json_atomically(folder.attempt(1).launcher, identity_of(os.getpid()))

    def launcher_ends(_seconds):
        assert folder.attempt(1).stop.exists()
        make_job(settings, state="stopped")

    monkeypatch.setattr("stages.jobs.time.sleep", launcher_ends)
    view, step = stop_job(folder, settings)
    assert (view.state, step) == (JobState.STOPPED, None)


def test_without_runner_and_launcher_nobody_could_stop_the_job(settings):
    folder = make_job(settings)
    with pytest.raises(UnavailableError, match="tuneway up"):
        stop_job(folder, settings)


def test_what_cannot_go_on_is_refused_with_the_command_that_helps(settings):
    with pytest.raises(ConflictError, match="tuneway job stop train-1"):
        resume_job(make_job(settings), None, settings)
    finished = make_job(settings, 2, state="succeeded")
    finished.result.write_text("{}")
    with pytest.raises(ConflictError, match="tuneway job show train-2"):
        resume_job(finished, None, settings)
    with pytest.raises(InvalidRequestError, match="no name of a checkpoint"):
        resume_job(make_job(settings, 3, state="failed"), "../../etc", settings)
    without = make_job(settings, 5, state="failed")
    save(without, 25)
    with pytest.raises(InvalidRequestError, match="did you mean checkpoint-25"):
        resume_job(without, "checkpoint-26", settings)
    with pytest.raises((UnavailableError, NotFoundError)):
        resume_job(make_job(settings, 4, state="failed"), None, settings)
