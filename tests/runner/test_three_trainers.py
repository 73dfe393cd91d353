"""Three real trainings on a host of two slots: two run, the third knows its place and takes the first card that is free."""

from datetime import timedelta

import pytest

from contracts.enums import JobState, WaitReason
from contracts.record import utc_now
from stages.jobs import describe_job, stop_job
from stages.train import create_job
from tests.runner.conftest import wait_until
from tests.training.tiny_model import make_base_model, tiny_request

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ENDLESS = {"batch_size": 4, "num_epochs": 900}


def test_two_run_at_once_and_the_third_waits_with_its_place_until_a_card_is_free(runner, services, tmp_path):
    base = make_base_model(tmp_path / "base")
    names = ("first", "second", "third")
    jobs = [create_job(tiny_request(services, base, name, hyperparameters=ENDLESS), services) for name in names]
    first, second, third = (job.job_key for job in jobs)
    for job in jobs:
        runner.client.submit(job)

    def trains(key):
        view = runner.client.view(key)
        return view.state is JobState.RUNNING and view.progress is not None and view.progress.step > 0

    wait_until(lambda: trains(first) and trains(second), "two trainings make steps", 300)
    assert {tuple(runner.client.view(key).gpu_ids) for key in (first, second)} == {(0,), (1,)}
    wait_until(lambda: describe_job(runner.folder(third), runner.settings).view.place is not None, "the third's place")
    waiting = describe_job(runner.folder(third), runner.settings).view
    assert waiting.state is JobState.QUEUED
    place, now = waiting.place, utc_now()
    assert place is not None
    assert (place.position, place.waiting, place.reason) == (1, 1, WaitReason.CARDS)
    assert place.expected_start_at is not None
    assert now - timedelta(minutes=1) < place.expected_start_at < now + timedelta(days=1)
    with services.unit_of_work() as uow:
        assert sorted(lease.owner for lease in uow.leases.all()) == [f"{first}#1", f"{second}#1"]

    freed = runner.client.view(first).gpu_ids
    stop_job(runner.folder(first), runner.settings)
    wait_until(lambda: runner.client.view(third).state is JobState.RUNNING, "the third has started", 60)
    assert runner.client.view(third).gpu_ids == freed
    assert runner.client.view(third).place is None
    assert trains(second)
