"""The trigger follows a job and ends its task."""

import asyncio

import pytest
from airflow.sdk.module_loading import import_string
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent

from contracts.enums import StageName, StageStatus
from operators.runner_job_trigger import CAUGHT_UP_LINES, RunnerJobTrigger
from stages.runner_client import RunnerClient
from storage.job_folder import JobFolder
from tests.operators.conftest import submission
from tests.ports import free_port

JOB = "evaluate-7"


def trigger(**changes):
    return RunnerJobTrigger(
        **{"job_key": JOB, "attempt": 1, "run_id": "run-1", "stage": "evaluate", "poll_seconds": 0.02, **changes}
    )


async def only_event(trigger):
    events = [event async for event in trigger.run()]
    assert len(events) == 1
    return events[0]


def evaluate_row(services):
    with services.unit_of_work() as uow:
        return next(row for row in uow.pipeline_runs.get("run-1").stages if row.stage is StageName.EVALUATE)


@pytest.fixture
def submitted(runner, services, pipeline_run):
    RunnerClient(services.settings.model_copy(update={"runner_port": runner.port})).submit(submission(JOB))
    return runner


def test_another_process_makes_the_same_trigger():
    classpath, arguments = trigger(attempt=3).serialize()
    again = import_string(classpath)(**arguments)
    assert again.serialize() == (classpath, arguments)
    assert again.attempt == 3


async def test_a_job_that_succeeds_ends_its_task_green(submitted):
    submitted.start(JOB)
    submitted.end(JOB, "succeeded")
    assert isinstance(await only_event(trigger()), TaskSuccessEvent)


async def test_it_waits_while_the_job_is_queued_and_running(submitted):
    following = asyncio.create_task(only_event(trigger()))
    await asyncio.sleep(0.2)
    submitted.start(JOB)
    await asyncio.sleep(0.2)
    assert not following.done()
    submitted.end(JOB, "succeeded")
    assert isinstance(await following, TaskSuccessEvent)


async def test_a_job_that_fails_ends_its_task_red_and_its_row_says_why(submitted, services):
    error = {"code": "invalid_data", "what": "The file is empty", "value": "cases.jsonl", "allowed": "one row",
             "next_step": "check how it was exported", "retryable": False}  # fmt: skip
    submitted.start(JOB)
    submitted.end(JOB, "failed", error=error)
    assert isinstance(await only_event(trigger()), TaskFailedEvent)
    row = evaluate_row(services)
    assert row.status is StageStatus.FAILED
    assert row.error == error


async def test_every_line_of_the_job_is_shown_once_and_the_last_one_without_a_line_feed_too(submitted, capsys):
    submitted.start(JOB)
    submitted.say(JOB, "첫째 줄\n둘째 ")
    following = asyncio.create_task(only_event(trigger()))
    await asyncio.sleep(0.2)
    submitted.say(JOB, "줄\n끝")
    await asyncio.sleep(0.2)
    submitted.end(JOB, "succeeded")
    await following
    # Airflow's logger writes to stdout here, to the task log in a triggerer
    shown = [line for line in capsys.readouterr().out.splitlines() if "RunnerJobTrigger" in line]
    assert [next(word for word in ("첫째 줄", "둘째 줄", "끝") if word in line) for line in shown] == [
        "첫째 줄", "둘째 줄", "끝",
    ]  # fmt: skip


async def test_taking_over_a_long_job_repeats_only_the_end_of_its_log(submitted, services):
    from operators.runner_job_trigger import LogTail
    from stages.runner_client import AsyncRunnerClient
    from stages.services import open_services

    submitted.start(JOB)
    submitted.say(JOB, "".join(f"step {number}\n" for number in range(60_000)))
    async with AsyncRunnerClient(open_services().settings) as client:
        tail = LogTail()
        first = await tail.new_lines(client, JOB, 1)
        assert len(first) == CAUGHT_UP_LINES
        assert first[-1] == "step 59999"
        assert await tail.new_lines(client, JOB, 1) == []


async def test_a_runner_that_is_restarted_changes_nothing(submitted):
    submitted.start(JOB)
    following = asyncio.create_task(only_event(trigger()))
    await asyncio.sleep(0.2)
    await asyncio.to_thread(submitted.close)
    await asyncio.sleep(0.3)
    assert not following.done()
    await asyncio.to_thread(submitted.open)
    submitted.end(JOB, "succeeded")
    assert isinstance(await following, TaskSuccessEvent)


@pytest.mark.parametrize(("state", "event"), [("succeeded", TaskSuccessEvent), ("lost", TaskFailedEvent)])
async def test_a_job_whose_runner_is_silent_ends_by_what_its_folder_says(submitted, state, event):
    submitted.start(JOB)
    following = asyncio.create_task(only_event(trigger()))
    await asyncio.sleep(0.2)
    await asyncio.to_thread(submitted.close)
    submitted.end(JOB, state)
    assert isinstance(await following, event)


async def test_a_job_whose_launcher_beats_is_followed_however_long_its_runner_is_silent(submitted, services):
    submitted.start(JOB)
    await asyncio.to_thread(submitted.close)
    heartbeat = JobFolder(services.settings.jobs_dir / JOB).attempt(1).heartbeat
    following = asyncio.create_task(only_event(trigger(unreachable_limit_seconds=1.0)))
    for beat in range(15):
        heartbeat.write_text(str(beat))
        await asyncio.sleep(0.2)
    assert not following.done()
    assert isinstance(await following, TaskFailedEvent)


async def test_the_runner_of_the_jobs_host_is_asked_not_the_triggerers_own(submitted, services, monkeypatch):
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    submitted.start(JOB)
    submitted.say(JOB, "한 줄\n")
    following = asyncio.create_task(only_event(trigger(runner_url=f"http://127.0.0.1:{submitted.port}")))
    await asyncio.sleep(0.3)
    assert not following.done()
    submitted.end(JOB, "succeeded")
    assert isinstance(await following, TaskSuccessEvent)


async def test_a_task_that_is_marked_leaves_its_wish_in_the_folder_where_the_runner_is_silent(submitted):
    submitted.start(JOB)
    await asyncio.to_thread(submitted.close)
    await trigger().on_kill()
    assert submitted.stop_was_asked(JOB)


async def test_a_runner_that_stays_away_ends_the_task_red_after_the_limit(submitted, services):
    await asyncio.to_thread(submitted.close)
    event = await only_event(trigger(unreachable_limit_seconds=0.1))
    assert isinstance(event, TaskFailedEvent)
    assert evaluate_row(services).error["retryable"] is True


async def test_a_job_that_is_gone_ends_the_task_red_instead_of_breaking_the_triggerer(runner, services, pipeline_run):
    assert isinstance(await only_event(trigger(job_key="evaluate-8")), TaskFailedEvent)
    assert evaluate_row(services).error["code"] == "not_found"


async def test_a_later_attempt_ends_the_watch_over_an_earlier_one(submitted, services):
    submitted.start(JOB)
    submitted.end(JOB, "failed")
    RunnerClient(services.settings.model_copy(update={"runner_port": submitted.port})).submit(submission(JOB, 2))
    assert isinstance(await only_event(trigger(attempt=1)), TaskFailedEvent)


async def test_a_person_who_ends_the_task_ends_the_job(submitted):
    submitted.start(JOB)
    await trigger().on_kill()
    assert submitted.stop_was_asked(JOB)


async def test_the_trigger_of_an_earlier_attempt_never_stops_a_later_one(submitted, services):
    submitted.start(JOB)
    submitted.end(JOB, "failed")
    RunnerClient(services.settings.model_copy(update={"runner_port": submitted.port})).submit(submission(JOB, 2))
    submitted.start(JOB, attempt=2)
    await trigger(attempt=1).on_kill()
    assert not submitted.stop_was_asked(JOB, attempt=2)
