"""A run of `resume_training` goes back once, to the checkpoint it was given, and nothing of the job is lost."""

import pytest
from airflow.sdk.exceptions import TaskDeferred

from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from contracts.jobs import JobSubmission
from contracts.pipeline import ResumeTrainingRequest
from contracts.training import TrainRequest
from operators import branches, preflight
from operators.run_records import RunRecords
from operators.runner_job_operator import ResumeJobOperator
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from tests.operators.conftest import FakeStore
from tests.stages.test_jobs import save

JOB = "train-1"


@pytest.fixture
def operator(runner, pipeline_run):
    return ResumeJobOperator(task_id="train", num_gpus=1)


@pytest.fixture
def job(runner, services):
    """The first job, which has failed, with checkpoints of three steps."""
    with services.unit_of_work() as uow:
        dataset = uow.datasets.add(
            name="tiny", content_hash="0" * 64, file_path="/d", total_samples=1, train_samples=1, val_samples=0,
            test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
        )  # fmt: skip
        request = TrainRequest(job_name="tolls", dataset_id=dataset.dataset_id, base_model="tiny")
        assert uow.jobs.create(request, hyperparameters={}, base_model_path="/m") == 1
    folder = JobFolder(services.settings.jobs_dir / JOB)
    submission = JobSubmission(job_key=JOB, kind="train", request={"job_name": "tolls"}, num_gpus=1)
    write_json_atomically(folder.submission, submission.model_dump(mode="json"))
    for step in (25, 50, 75):
        save(folder, step)
    runner.start(JOB)
    runner.end(JOB, "failed")
    return folder


def deferral(operator, context):
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    return deferred.value


def steps(folder):
    return sorted(int(path.name.rpartition("-")[2]) for path in folder.glob("checkpoint-*"))


def test_it_goes_back_to_the_chosen_checkpoint_and_sets_the_later_ones_aside(operator, context, task_instance, job):
    task_instance.left = {"validate_request": {"job_id": 1, "checkpoint": "checkpoint-25"}}
    assert deferral(operator, context).trigger.attempt == 2
    assert steps(job.checkpoints) == [25]
    assert steps(job.checkpoints / "set-aside" / "attempt-2") == [50, 75]


def test_its_retry_goes_on_from_the_last_checkpoint_not_from_the_chosen_one(
    operator, context, task_instance, job, runner
):
    task_instance.left = {"validate_request": {"job_id": 1, "checkpoint": "checkpoint-25"}}
    deferral(operator, context)
    save(job, 30)
    runner.start(JOB, 2)
    runner.end(JOB, "lost", 2)
    assert deferral(operator, context).trigger.attempt == 3
    assert steps(job.checkpoints) == [25, 30]


def test_a_worker_that_dies_before_the_job_was_handed_over_still_goes_back(operator, context, task_instance, job):
    task_instance.left = {"validate_request": {"job_id": 1, "checkpoint": "checkpoint-25"}}
    context["task_state_store"] = FakeStore(runner_job={"job_key": JOB, "attempt": 2, "clears": 0})
    deferral(operator, context)
    assert steps(job.checkpoints) == [25]


def test_without_a_choice_it_goes_on_from_the_last(operator, context, task_instance, job):
    task_instance.left = {"validate_request": {"job_id": 1}}
    assert deferral(operator, context).trigger.attempt == 2
    assert steps(job.checkpoints) == [25, 50, 75]


@pytest.mark.parametrize(("num_gpus", "task"), [(1, "train"), (2, "train_two_gpus")])
def test_it_takes_as_many_slots_as_the_job_had(job, num_gpus, task):
    submission = JobSubmission(job_key=JOB, kind="train", request={}, num_gpus=num_gpus)
    write_json_atomically(job.submission, submission.model_dump(mode="json"))
    run = RunRecords("resume_training", "run-1", {"validate_request": {"job_id": 1}}.get)
    assert branches.gpu_count_of_job(run) == task


def test_what_cannot_go_on_is_refused_before_a_slot_is_taken(services, job):
    with pytest.raises(NotFoundError, match="no such fine-tuning job"):
        preflight.job_can_go_on(ResumeTrainingRequest(job_id=2), services)
    with pytest.raises(InvalidRequestError, match="did you mean checkpoint-25"):
        preflight.job_can_go_on(ResumeTrainingRequest(job_id=1, checkpoint="checkpoint-26"), services)
    job.result.write_text("{}")
    with pytest.raises(ConflictError, match="result already"):
        preflight.job_can_go_on(ResumeTrainingRequest(job_id=1), services)
