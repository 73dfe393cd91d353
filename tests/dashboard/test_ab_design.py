"""An A/B test is designed beside the planner's word on it, and a test that is too small is started only knowingly."""

import pytest
import streamlit as st

from ab_testing.several_arms import plan_several_arms
from contracts.enums import Arm, ExperimentPolicy, GuardrailName, ModelStatus
from contracts.errors import ConflictError, ForbiddenError
from contracts.experiment_plans import SizeRequest
from contracts.experiments import ABExperiment, StartABTestRequest
from contracts.identity import Role
from contracts.promotions import StatusRequest
from dashboard import writing
from dashboard.reading.ab_design import models_to_compare
from stages.promote import set_aside
from stages.services import Services
from tests.dashboard.conftest import come_in, open_page, text_of
from tests.dashboard.test_login import audited
from tests.ports import free_port
from tests.serving_api.running import add_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]


@pytest.fixture
def models(services, monkeypatch):
    st.cache_data.clear()
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    return [
        add_model(services, "rules", version, f"rules-v{version}", "http://127.0.0.1:1/v1", arm)
        for version, arm in (("1", Arm.A), ("2", Arm.B), ("3", Arm.B))
    ]


def running(services: Services) -> list[ABExperiment]:
    with services.unit_of_work() as uow:
        return uow.experiments.running()


def test_200_samples_find_0_46_and_not_0_3_and_start_only_after_a_confirmation(models, services):
    app = open_page("ab-tests", "ko")
    app.button(key="design-open").click().run()
    assert "테스트 이름을 영문이나 숫자로" in text_of(app)
    assert "design-start-now" not in [button.key for button in app.button]
    app.text_input(key="design-name").set_value("tolls-1").run()
    app.selectbox(key="design-a").set_value(models[0].model_id).run()
    app.selectbox(key="design-b").set_value(models[1].model_id).run()
    text = text_of(app)
    assert "표본 200개로는 약 0.46 이상의 차이만 찾을 수 있고 목표인 0.30은(는) 놓칠 가능성이 큽니다" in text
    assert "필요한 표본 510" in text and "걸리는 기간 10일" in text
    assert app.button(key="design-start-now").disabled
    app.checkbox(key="design-accept").check().run()
    app.multiselect(key="design-guardrails").set_value([GuardrailName.FAILURES]).run()
    app.slider(key="design-share").set_value(20).run()
    app.slider(key="design-out").set_value(10).run()
    app.button(key="design-start-now").click().run()
    assert "tolls-1" in text_of(app)
    [started] = running(services)
    assert (started.model_a_id, started.model_b_id) == (models[0].model_id, models[1].model_id)
    assert started.traffic_split["b"] == 0.2 and started.traffic.holdout == 0.1
    assert started.plan is not None and started.plan.guardrails == [GuardrailName.FAILURES]
    assert started.plan.policy is ExperimentPolicy.APPROVE and not started.plan.is_enough
    assert audited(services, "experiment.start_asked") == [("kim", f"experiment/{started.experiment_id}", "127.0.0.1")]


def test_as_many_samples_as_it_takes_need_no_confirmation(models):
    app = open_page("ab-tests", "en", design=1)
    app.text_input(key="design-name").set_value("tolls-2").run()
    app.number_input(key="design-target").set_value(0).run()
    assert not app.button(key="design-start-now").disabled
    assert "knowing that it is too small" not in text_of(app)


def test_beside_a_version_in_production_the_newest_is_proposed_and_not_the_base_model(story, visit, services):
    assert [found.model_id for found in models_to_compare(visit)] == [story.base_model_id, story.model_id]
    served = add_model(services, "rules", "1", "rules-v1", "http://127.0.0.1:1/v1", Arm.A)
    with services.unit_of_work() as uow:
        uow.models.set_status(served.model_id, ModelStatus.PRODUCTION)
    st.cache_data.clear()
    offered = [found.model_id for found in models_to_compare(visit)]
    assert offered == [served.model_id, story.model_id, story.base_model_id]


def test_archived_versions_and_those_that_do_not_answer_are_not_offered(models, services):
    with services.unit_of_work() as uow:
        uow.models.set_deployment(models[1].model_id, None)
    set_aside(StatusRequest(model_id=models[2].model_id, actor="kim", reason="r"), ModelStatus.ARCHIVED, services)
    text = text_of(open_page("ab-tests", "ko", design=1))
    assert "비교할 모델이 부족합니다" in text


def test_a_viewer_sees_no_form_and_a_forged_start_is_refused(models, services, monkeypatch):
    viewer = come_in(monkeypatch, "seo", Role.VIEWER)
    assert "design-open" not in [button.key for button in open_page("ab-tests", "ko").button]
    assert "design-name" not in [field.key for field in open_page("ab-tests", "ko", design=1).text_input]
    forged = StartABTestRequest(experiment_name="x", model_a_id=models[0].model_id, model_b_id=models[1].model_id)
    with pytest.raises(ForbiddenError):
        writing.start_experiment(viewer, forged)
    assert running(services) == []


def test_the_server_refuses_what_is_too_small_whatever_the_page_says(models, visit):
    asked = StartABTestRequest(experiment_name="x", model_a_id=models[0].model_id, model_b_id=models[1].model_id)
    with pytest.raises(ConflictError, match="too small for the effect"):
        writing.start_experiment(visit, asked)


def test_several_new_models_are_planned_as_on_the_command_line_and_start_under_their_names(models, services):
    app = open_page("ab-tests", "en", design=1)
    app.text_input(key="design-name").set_value("tolls-3").run()
    app.number_input(key="design-target").set_value(0).run()
    app.button(key="design-add").click().run()
    assert app.button(key="design-add").disabled, "each of the three models has its arm"
    assert "design-share" not in [slider.key for slider in app.slider]
    planned = plan_several_arms(SizeRequest(effect=0.3), 2)
    text = text_of(app)
    for expected in (f"Samples needed {planned.samples_needed_with_looks:,}", "A 41 %", "B 29 %", "C 29 %"):
        assert expected in text, text
    app.text_input(key="design-name-c").set_value("b").run()
    assert "Please check the names of the models" in text_of(app)
    assert "design-start-now" not in [button.key for button in app.button]
    app.text_input(key="design-name-c").set_value("small").run()
    app.toggle(key="design-own-shares").set_value(True).run()
    app.number_input(key="design-share-a").set_value(2).run()
    app.button(key="design-start-now").click().run()
    assert "tolls-3" in text_of(app)
    [started] = running(services)
    chosen = [(arm.name, arm.share) for arm in started.arms]
    assert chosen == [("a", 0.5), ("b", 0.25), ("small", 0.25)]
    assert len(started.model_ids) == 3
    assert started.plan is not None and started.plan.is_enough


def test_a_new_model_that_is_taken_from_the_form_leaves_the_others_as_they_are(models):
    app = open_page("ab-tests", "ko", design=1)
    app.button(key="design-add").click().run()
    kept = app.selectbox(key="design-c").value
    app.button(key="design-remove-b").click().run()
    assert app.selectbox(key="design-c").value == kept
    assert "design-b" not in [box.key for box in app.selectbox]
    assert "design-share" in [slider.key for slider in app.slider], "two models are divided as before"
