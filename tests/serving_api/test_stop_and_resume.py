"""By the admin API a real training is stopped, and a job goes on from a checkpoint that was chosen."""

from datetime import datetime

import httpx
import pytest

from contracts.enums import JobState, LeaseKind
from contracts.training import TrainRequest
from stages.services import open_services
from stages.train import create_job
from storage.job_state import job_view
from storage.processes import attempt_mark, host_name, processes_of_attempt
from tests.runner.conftest import runner, wait_until
from tests.serving_api.running import ADMIN_TOKEN, running_service
from tests.stages.test_jobs import make_job, save
from tests.training.tiny_model import make_base_model, tiny_request
from training.checkpoints import checkpoint_records

__all__ = ["runner"]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SLOW_STEPS = {"batch_size": 1, "gradient_accumulation_steps": 48, "num_epochs": 500}
"""A second or two each, so that the stop comes in the middle of one; a thousand of them never end by themselves here."""
STOP_SECONDS = 30.0


@pytest.fixture
def admin(runner):
    with (
        running_service(open_services(runner.settings)) as (url, _),
        httpx.Client(
            base_url=f"{url}/api/v1/admin/finetuning/jobs",
            headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
            timeout=60,
        ) as client,
    ):
        yield client


def at_step(runner, key, step):
    progress = runner.client.view(key).progress
    return progress is not None and progress.step >= step and progress.stage == "training"


def test_a_real_training_ends_within_thirty_seconds_with_a_checkpoint(admin, runner, services, tmp_path):
    submission = create_job(
        tiny_request(services, make_base_model(tmp_path / "base"), hyperparameters=SLOW_STEPS), services
    )
    key, number = submission.job_key, submission.finetuning_job_id
    folder = runner.folder(key)
    runner.client.submit(submission)
    wait_until(lambda: at_step(runner, key, 1), "the first step", 400)

    stopped = admin.post(f"{number}/stop").json()

    assert stopped["job"]["state"] == JobState.STOPPED
    assert stopped["job"]["exit_code"] == 143  # it ended by itself: a kill would leave another code
    assert stopped["checkpoint_step"] >= 1
    ended = job_view(folder).finished_at
    assert ended is not None
    asked = datetime.fromisoformat(folder.attempt(1).stop.read_text())
    assert (ended - asked).total_seconds() < STOP_SECONDS
    wait_until(lambda: not processes_of_attempt(attempt_mark(folder.root, 1)), "no process is left")
    with services.unit_of_work() as uow:
        wait_until(folder.attempt(1).settled.exists, "the attempt is settled")
        assert uow.leases.all() == []


def test_a_job_goes_back_to_the_checkpoint_whose_id_is_given(admin, runner, services):
    with services.unit_of_work() as uow:
        dataset = uow.datasets.add(
            name="tiny", content_hash="0" * 64, file_path="/d", total_samples=1, train_samples=1, val_samples=0,
            test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
        )  # fmt: skip
        request = TrainRequest(job_name="tolls", dataset_id=dataset.dataset_id, base_model="tiny")
        number = uow.jobs.create(request, hyperparameters={}, base_model_path="/m")
        # the cards are taken: the job stays in the queue
        uow.leases.acquire("somebody#1", 2, host_name(), 2, kind=LeaseKind.SERVING)
    folder = make_job(runner.settings, number, "tolls", "failed")
    for step in (25, 50, 75):
        save(folder, step)
    with services.unit_of_work() as uow:
        uow.jobs.set_checkpoints(number, checkpoint_records(folder.checkpoints))
    ids = {saved["name"]: saved["checkpoint_id"] for saved in admin.get(f"{number}/checkpoints").json()}
    assert list(ids) == ["checkpoint-25", "checkpoint-50", "checkpoint-75"]

    for wrong in ({"checkpoint_id": 999}, {"checkpoint_id": ids["checkpoint-25"], "checkpoint": "checkpoint-25"}):
        refused = admin.post(f"{number}/resume", json=wrong)
        assert refused.status_code == 422, wrong
    assert [record.step for record in checkpoint_records(folder.checkpoints)] == [25, 50, 75]

    resumed = admin.post(f"{number}/resume", json={"checkpoint_id": ids["checkpoint-25"]}).json()
    assert (resumed["job"]["attempt"], resumed["job"]["state"], resumed["checkpoint_step"]) == (2, "queued", 25)
    assert resumed["set_aside"] == ["attempt-2/checkpoint-50", "attempt-2/checkpoint-75"]
    assert (folder.checkpoints / "set-aside" / "attempt-2" / "checkpoint-50" / "manifest.json").exists()
