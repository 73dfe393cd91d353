"""The buttons of a job's page do what they say, through the runner."""

import pytest
import streamlit as st

from contracts.enums import JobState, JobStatus
from contracts.jobs import JobSubmission
from contracts.training import TrainRequest
from settings import load_settings
from stages.runner_client import RunnerClient
from storage.job_folder import JobFolder
from tests.dashboard.conftest import open_page, text_of
from tests.operators.conftest import runner
from tests.stages.test_jobs import save

__all__ = ["runner"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]


@pytest.fixture
def job(runner, services):
    """A job that waits for a card, with checkpoints of three steps."""
    with services.unit_of_work() as uow:
        dataset = uow.datasets.add(
            name="tolls", content_hash="0" * 64, file_path="/d", total_samples=1, train_samples=1, val_samples=0,
            test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
        )  # fmt: skip
        request = TrainRequest(job_name="tolls", dataset_id=dataset.dataset_id, base_model="demo-base")
        job_id = uow.jobs.create(request, hyperparameters={}, base_model_path="/m")
    submission = JobSubmission(job_key=f"train-{job_id}", kind="train", request={}, finetuning_job_id=job_id)
    RunnerClient(load_settings()).submit(submission)
    folder = JobFolder(services.settings.jobs_dir / submission.job_key)
    for step in (25, 50, 75):
        save(folder, step)
    return folder


def test_a_job_is_stopped_and_then_goes_on_from_the_chosen_checkpoint(runner, services, job):
    app = open_page("jobs", "ko", job=1)
    app.button(key="stop-1").click().run()
    assert runner.state("train-1") == (1, JobState.STOPPED)
    assert "75스텝의 체크포인트에서 이어서 학습할 수 있습니다" in " ".join(element.value for element in app.success)

    with services.unit_of_work() as uow:  # as the runner's next pass does it
        uow.jobs.fail(1, JobStatus.STOPPED, {"what": "The job was stopped on request"})
    st.cache_data.clear()  # a reader would see it seconds later
    app = open_page("jobs", "ko", job=1)
    chosen = app.selectbox(key="checkpoint-1")
    assert [option.partition(" ")[0] for option in chosen.options] == [
        "checkpoint-75",
        "checkpoint-50",
        "checkpoint-25",
    ]
    chosen.set_value("checkpoint-25").run()
    assert "뒤의 체크포인트 2개는 지우지 않고 따로 둡니다" in text_of(app)
    app.button(key="resume-1").click().run()
    assert runner.state("train-1") == (2, JobState.QUEUED)
    aside = job.checkpoints / "set-aside" / "attempt-2"
    assert sorted(path.name for path in aside.iterdir()) == ["checkpoint-50", "checkpoint-75"]
    assert "다음 시도를 실행기에 넘겼습니다" in " ".join(element.value for element in app.info)


def test_without_a_runner_the_page_says_what_to_do(runner, services, job):
    runner.close()
    app = open_page("jobs", "ko", job=1)
    app.button(key="stop-1").click().run()
    assert "tuneway up" in text_of(app)
