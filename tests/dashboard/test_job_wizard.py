"""A job is chosen step by step beside its plan, and started once; what cannot be started is said before."""

import time

import pytest
import streamlit as st
from sqlalchemy import text

from contracts.access import ResourceKind
from contracts.enums import DatasetStatus, JobStatus, Method, Priority
from contracts.errors import ConflictError, ForbiddenError
from contracts.identity import Role
from contracts.job_requests import FinetuneJobRequest
from contracts.training import Hyperparameters, TrainRequest
from dashboard import writing
from dashboard.job_draft import JobDraft
from tests.dashboard.conftest import come_in, open_page, text_of
from tests.dashboard.trainable import make_trainable
from training.recipe import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]


@pytest.fixture
def quiet_services(quiet_services, airflow):
    """The same, with Airflow's part at an address of its own."""


@pytest.fixture
def dataset(services, visit):
    st.cache_data.clear()
    return make_trainable(services)


def go_to(app, *steps, base_model="small", method=Method.LORA, recipe="demo-lora"):
    """Through the steps of the wizard, as far as they are named."""
    for step in steps:
        if step == "base_model":
            app.selectbox(key="wizard-model").set_value(base_model).run()
        if step == "method":
            app.radio(key="wizard-method").set_value(method).run()
            app.selectbox(key=f"wizard-recipe-{method.value}").set_value(recipe).run()
        app.button(key="wizard-next").click().run()
    return app


def settings_of(dataset, language="ko", **chosen):
    """The wizard at the settings, opened by the address of a dataset version."""
    app = open_page("jobs", language, new=1, dataset=dataset)
    return go_to(app, "base_model", "method", **chosen)


def measured(app):
    """The page once the rows' lengths are there, which a browser sees by itself."""
    deadline = time.monotonic() + 120
    while "처음 한 번은 몇 초" in text_of(app):
        assert time.monotonic() < deadline
        time.sleep(0.5)
        app.run()
    return app


def jobs_in(services):
    with services.unit_of_work() as uow:
        return uow.jobs.newest(limit=100)


@pytest.mark.parametrize("rate", ["fast", "", "0", "2", "-1e-4", "nan", "inf"])
def test_a_learning_rate_is_a_number_above_0_and_at_most_1(rate):
    draft = JobDraft(job_name="a", numbers={"learning_rate": rate})
    assert draft.problems() == {"learning_rate"}
    assert JobDraft(job_name="학습 1", numbers={"learning_rate": "2e-4"}).problems() == {"job_name"}


WRONG = [
    ("wizard-job_name", "학습 1", "작업 이름을 고치십시오"),
    ("wizard-learning_rate-demo-lora", "fast", "학습률을 고치십시오"),
]


def test_a_job_is_chosen_step_by_step_beside_its_plan_and_started_once(dataset, services, airflow):
    app = open_page("jobs", "ko")
    app.button(key="wizard-open").click().run()
    assert app.button(key="wizard-next").disabled
    assert "데이터셋 버전을 먼저 선택하십시오" in text_of(app)
    app.selectbox(key="wizard-dataset").set_value(dataset).run()
    assert "학습 1,192건" in text_of(app)
    go_to(app, "dataset", "base_model", "method")

    assert app.text_input(key="wizard-job_name").value == "rules-lora"
    # memory and disk are told at once, the time when the rows have been looked at
    assert "디스크" in text_of(app)
    told = text_of(measured(app))
    assert "충분 메모리가 충분합니다" in told and "±" in told and "연산량으로 계산" in told and "체크포인트" in told
    assert "30스텝" in told  # 192 rows in batches of 32, five times
    for field, value, said in WRONG:
        right = app.text_input(key=field).value
        app.text_input(key=field).set_value(value).run()
        assert [said in element.value for element in app.error] == [True], value
        assert app.button(key="wizard-next").disabled
        assert "왼쪽의 값을 고치면" in text_of(app)
        app.text_input(key=field).set_value(right)

    app.number_input(key="wizard-lora_rank-demo-lora").set_value(4)
    app.number_input(key="wizard-batch_size-demo-lora").set_value(16)
    app.text_input(key="wizard-learning_rate-demo-lora").set_value("2e-4")
    app.selectbox(key="wizard-priority").set_value(Priority.HIGH).run()
    assert "60스텝" in text_of(app)
    app.button(key="wizard-next").click().run()
    review = text_of(app)
    assert "4 (레시피: 8)" in review and "0.0002 (레시피: 0.005)" in review
    # back and forth loses nothing
    app.button(key="wizard-back").click().run()
    assert app.number_input(key="wizard-lora_rank-demo-lora").value == 4
    app.button(key="wizard-next").click().run()
    with airflow:
        app.button(key="wizard-start").click().run()
    (job,) = jobs_in(services)
    assert (job.job_name, job.method, job.hyperparameters["lora_rank"]) == ("rules-lora", Method.LORA, 4)
    assert (job.hyperparameters["learning_rate"], job.hyperparameters["num_epochs"]) == (2e-4, 5)
    assert {run["conf"]["job_id"] for run in airflow.runs.values()} == {job.job_id}
    with services.unit_of_work() as uow:
        queued = uow.jobs.queued(job.job_id)
        assert uow.ownership.of(ResourceKind.JOB, job.job_id).owner == "kim"
    assert queued is not None and queued.priority is Priority.HIGH
    # the page of the new job is shown
    assert app.query_params.get("job") in (str(job.job_id), [str(job.job_id)])
    assert app.selectbox(key="choose-job").value == job.job_id


def test_what_was_entered_just_before_the_step_was_left_counts(dataset):
    app = settings_of(dataset)
    # the browser sends the field and the button at once where the page is still being drawn
    app.text_input(key="wizard-job_name").set_value("학습 1")
    app.button(key="wizard-next").click().run()
    assert [error.value for error in app.error], "a name that cannot be is not taken along"
    app.text_input(key="wizard-job_name").set_value("rules").run()
    app.text_input(key="wizard-job_name").set_value("rules-quick")
    app.number_input(key="wizard-lora_rank-demo-lora").set_value(4)
    app.button(key="wizard-next").click().run()
    text = text_of(app)
    assert "작업 이름 rules-quick" in text and "LoRA 랭크 4" in text, text


def test_a_reload_goes_on_with_what_was_chosen_until_it_is_begun_anew_or_somebody_else_comes(dataset, monkeypatch):
    app = settings_of(dataset)
    app.text_input(key="wizard-job_name").set_value("half-done").run()
    app.number_input(key="wizard-lora_rank-demo-lora").set_value(4).run()
    reloaded = open_page("jobs", "ko", new=1, dataset=dataset)
    assert reloaded.text_input(key="wizard-job_name").value == "half-done"
    assert reloaded.number_input(key="wizard-lora_rank-demo-lora").value == 4
    reloaded.button(key="wizard-anew").click().run()
    assert reloaded.selectbox(key="wizard-model").value is None
    assert "half-done" not in text_of(go_to(reloaded, "base_model", "method"))
    come_in(monkeypatch, "lee", Role.ML_ENGINEER)
    assert open_page("jobs", "ko", new=1).selectbox(key="wizard-dataset").value is None


def test_a_version_that_was_put_away_is_not_offered(dataset, services):
    offered = open_page("jobs", "ko", new=1).selectbox(key="wizard-dataset").options
    assert len(offered) == 1
    with services.unit_of_work() as uow:
        uow.datasets.set_status(dataset, DatasetStatus.DEPRECATED)
    st.cache_data.clear()
    assert "데이터셋" in text_of(open_page("jobs", "ko", new=1))
    assert "wizard-dataset" not in [box.key for box in open_page("jobs", "ko", new=1).selectbox]


def test_a_second_press_starts_no_second_job(dataset, visit, services, airflow):
    request = FinetuneJobRequest(job_name="twice", base_model="small", dataset_id=dataset, recipe="demo-lora")
    with airflow:
        first, second = (writing.start_job(visit, request, "k") for _ in range(2))
        with pytest.raises(ConflictError):
            writing.start_job(visit, request.model_copy(update={"seed": 1}), "k")
    assert first == second
    assert len(jobs_in(services)) == len(airflow.runs) == 1


def test_while_airflow_is_away_the_job_and_what_was_entered_are_kept(dataset, services, airflow):
    app = settings_of(dataset)
    app.button(key="wizard-next").click().run()
    app.button(key="wizard-start").click().run()
    told = text_of(app)
    assert "아직 시작하지 못했습니다" in told and "Airflow does not answer" in told
    (job,) = jobs_in(services)
    assert (job.dag_run_id, job.status) == (None, JobStatus.PENDING)
    with airflow:
        # who loses the right meanwhile starts nothing
        with services.unit_of_work() as uow:
            uow.users.change("kim", role=Role.VIEWER)
        app.button(key="wizard-start").click().run()
        assert airflow.runs == {}
        with services.unit_of_work() as uow:
            uow.users.change("kim", role=Role.ADMIN)
        app.run()
        app.button(key="wizard-start").click().run()
    (job,) = jobs_in(services)
    assert job.dag_run_id in airflow.runs


@pytest.mark.deep
def test_a_job_that_was_kept_is_started_or_stopped_from_its_page(dataset, visit, services, airflow):
    names = ("kept", "unwanted")
    requests = [
        FinetuneJobRequest(job_name=name, base_model="small", dataset_id=dataset, recipe="demo-lora") for name in names
    ]
    kept, unwanted = (writing.start_job(visit, request, "k").job.job_id for request in requests)
    app = open_page("jobs", "ko", job=kept)
    with airflow:
        app.button(key=f"start-{kept}").click().run()
    assert [run["conf"]["job_id"] for run in airflow.runs.values()] == [kept]
    app = open_page("jobs", "ko", job=unwanted)
    app.button(key=f"stop-{unwanted}").click().run()
    assert {job.job_name: job.status for job in jobs_in(services)} == {
        "kept": JobStatus.PENDING,
        "unwanted": JobStatus.STOPPED,
    }


def test_a_clone_begins_with_the_jobs_settings(dataset, visit, services, airflow):
    request = FinetuneJobRequest(
        job_name="first", base_model="small", dataset_id=dataset, recipe="demo-lora", seed=7, priority=Priority.LOW,
        hyperparameters=Hyperparameters(lora_rank=4, learning_rate=3e-4, num_epochs=2.5),
    )  # fmt: skip
    with airflow:
        first = writing.start_job(visit, request, "k").job.job_id
        app = open_page("jobs", "ko", job=first)
        app.button(key=f"clone-{first}").click().run()
        assert app.query_params["clone"] in (str(first), [str(first)])
        assert "작업 first의 설정에서 시작합니다" in text_of(app)
        assert app.text_input(key="wizard-job_name").value == "first-2"
        assert app.number_input(key="wizard-num_epochs-demo-lora").value == 2.5
        app.button(key="wizard-next").click().run()
        app.button(key="wizard-start").click().run()
    again, _ = jobs_in(services)
    with services.unit_of_work() as uow:
        queued, before = uow.jobs.queued(again.job_id), uow.jobs.queued(first)
    assert queued is not None and before is not None
    assert queued.training.model_copy(update={"job_name": "first"}) == before.training
    assert queued.priority is Priority.LOW


@pytest.mark.deep
def test_what_a_clone_cannot_carry_over_is_said(dataset, services):
    training = TrainRequest(job_name="trial", dataset_id=dataset, base_model="small", method=Method.LORA)
    with services.unit_of_work() as uow:
        numbers = {**load_recipe("demo-lora").model_dump(mode="json"), "recipe": "demo-lora", "lora_dropout": 0.25}
        job_id = uow.jobs.create(training, hyperparameters={**numbers, "lora_rank": 2}, base_model_path="/m")
    app = open_page("jobs", "en", new=1, clone=job_id)
    assert app.number_input(key="wizard-lora_rank-demo-lora").value == 2
    assert "not carried over: lora_dropout 0.25" in " ".join(warning.value for warning in app.warning).replace("\\", "")


def test_what_does_not_fit_is_told_with_the_nearest_setting_that_does(dataset, services, monkeypatch):
    monkeypatch.setenv("TUNEWAY_GPU_MEMORY_GB", "1.2")
    app = settings_of(dataset)
    app.number_input(key="wizard-batch_size-demo-lora").set_value(4096).run()
    told = text_of(app)
    assert "메모리에 들어가지 않습니다" in told and "들어가는 가장 가까운 설정: batch_size 4096 →" in told
    assert app.button(key="wizard-next").disabled
    app.button(key="plan-take").click().run()
    assert app.number_input(key="wizard-batch_size-demo-lora").value < 4096
    assert not app.button(key="wizard-next").disabled

    app.button(key="wizard-back").click().run()
    app.button(key="wizard-back").click().run()
    go_to(app, "base_model", "method", base_model="large")
    assert "들어가는 설정이 없습니다" in text_of(app)
    assert app.button(key="wizard-next").disabled


@pytest.mark.deep
def test_without_a_recipe_of_its_own_the_person_is_asked_for_one(dataset):
    app = open_page("jobs", "ko", new=1, dataset=dataset)
    go_to(app, "base_model")
    assert app.selectbox(key="wizard-recipe-lora").value is None
    assert app.button(key="wizard-next").disabled
    app.radio(key="wizard-method").set_value(Method.FULL).run()
    app.selectbox(key="wizard-recipe-full").set_value("demo-full").run()
    app.button(key="wizard-next").click().run()
    assert [field.key for field in app.number_input if "lora" in str(field.key)] == []


def test_a_viewer_sees_no_wizard_and_a_forged_start_is_refused_and_audited(dataset, services, monkeypatch):
    viewer = come_in(monkeypatch, "lee", Role.VIEWER)
    assert not [button for button in open_page("jobs", "ko").button if button.key == "wizard-open"]
    app = open_page("jobs", "ko", new=1)
    assert not [button for button in app.button if str(button.key).startswith("wizard")]
    request = FinetuneJobRequest(job_name="forged", base_model="small", dataset_id=dataset, recipe="demo-lora")
    with pytest.raises(ForbiddenError):
        writing.start_job(viewer, request, "k")
    assert jobs_in(services) == []
    with services.unit_of_work() as uow:
        refused = uow.session.execute(text("SELECT actor, subject FROM audit_logs WHERE action = 'access.refused'"))
        assert ("lee", "job/any") in refused.all()


def test_nobody_plans_or_trains_on_a_dataset_that_they_may_not_read(services, visit, monkeypatch):
    dataset = make_trainable(services, owner="park")
    stranger = come_in(monkeypatch, "choi", Role.ML_ENGINEER, ("tolls",))
    app = open_page("jobs", "ko", new=1, dataset=dataset)
    assert not [button for button in app.button if button.key == "wizard-next"]
    request = FinetuneJobRequest(job_name="theirs", base_model="small", dataset_id=dataset, recipe="demo-lora")
    with pytest.raises(ForbiddenError):
        writing.start_job(stranger, request, "k")
    assert jobs_in(services) == []
