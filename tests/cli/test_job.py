"""`tuneway job` as a person types it, without a platform."""

import json

import pytest

from contracts.enums import JobKind, JobState, WaitReason
from contracts.jobs import JobView, QueuePlace
from settings import load_settings
from tests.cli.command_line import tuneway
from tests.ports import free_port
from tests.stages.test_jobs import make_compression, make_job, save


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """Settings of a data folder with a failed job that has a checkpoint, and the variables that name it."""
    variables = {"DATA_DIR": str(tmp_path), "RUNNER_PORT": str(free_port())}
    for name, value in variables.items():
        monkeypatch.setenv(f"TUNEWAY_{name}", value)
    settings = load_settings()
    folder = make_job(settings, 17, "tolls-2026-11", "failed")
    save(folder, 25)
    folder.attempt(1).log.write_text("first\nsecond\nthird\n")
    return folder, variables


def test_the_list_and_one_job_are_shown_for_people_and_for_programs(installation):
    _, variables = installation
    shown = tuneway("job", "list", **variables)
    assert "tolls-2026-11" in shown.stdout
    (listed,) = json.loads(tuneway("job", "list", "--json", **variables).stdout)
    assert (listed["job_key"], listed["name"], listed["state"]) == ("train-17", "tolls-2026-11", "failed")
    korean = tuneway("job", "show", "17", **{**variables, "LANGUAGE": "ko"})
    assert "체크포인트" in korean.stdout
    assert "checkpoint-25" in korean.stdout
    detail = json.loads(tuneway("job", "show", "tolls-2026-11", "--json", **variables).stdout)
    assert [saved["name"] for saved in detail["checkpoints"]] == ["checkpoint-25"]


def test_a_compression_is_no_training(installation):
    _, variables = installation
    make_compression(load_settings(), 18)
    korean = {**variables, "LANGUAGE": "ko"}
    listed = tuneway("job", "list", **korean).stdout
    assert "압축 (int8)" in listed
    assert "학습" in listed
    shown = tuneway("job", "show", "18", **korean).stdout
    assert "1.50배" in shown
    assert "크기: 2.0 MB에서 1.1 MB로" in shown
    detail = json.loads(tuneway("job", "show", "18", "--json", **variables).stdout)
    assert detail["compression"]["speed"]["loads"][0]["ratio"] == 1.5


def test_logs_ends_by_itself_where_the_attempt_has_ended(installation):
    _, variables = installation
    assert tuneway("job", "logs", "train-17", "-n", "2", **variables).stdout == "second\nthird\n"
    assert tuneway("job", "logs", "-f", "train-17", "-n", "1", timeout=30, **variables).stdout == "third\n"
    assert json.loads(tuneway("job", "logs", "17", "--json", **variables).stdout)["lines"][0] == "first"


def test_a_misspelt_job_gets_its_four_parts_and_no_traceback(installation):
    _, variables = installation
    ended = tuneway("job", "stop", "trian-17", "--json", **variables)
    assert ended.returncode == 1
    assert "did you mean train-17?" in ended.stderr
    assert json.loads(ended.stdout)["error"]["code"] == "not_found"
    assert "Traceback" not in ended.stderr


def test_stopping_an_ended_job_says_so_and_resuming_needs_the_runner(installation):
    _, variables = installation
    assert "had ended already: failed" in tuneway("job", "stop", "17", **variables).stderr
    assert json.loads(tuneway("job", "stop", "17", "--json", **variables).stdout)["checkpoint_step"] == 25
    refused = tuneway("job", "resume", "17", "--checkpoint", "checkpoint-25", **variables)
    assert refused.returncode == 1
    assert "tuneway up" in refused.stderr


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "2 of 3, start not known (GPUs are kept for a job before it)"),
        ("ko", "3개 중 2번째, 시작 예상 알 수 없음 (앞 작업을 위해 비워 둠)"),
    ],
)
def test_a_waiting_job_is_shown_with_its_place(language, told):
    from cli.job import _place
    from cli.screen import Screen

    place = QueuePlace(position=2, waiting=3, expected_start_at=None, reason=WaitReason.TURN)
    view = JobView(job_key="train-1", kind=JobKind.TRAIN, state=JobState.QUEUED, attempt=1, place=place)
    assert _place(view, Screen(language)) == told
    assert _place(view.model_copy(update={"place": None}), Screen(language)) == ""
