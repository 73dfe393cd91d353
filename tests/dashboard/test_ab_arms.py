"""The A/B page of a test with several new models."""

import pytest

from contracts.access import ResourceKind
from contracts.arms import DropCause
from contracts.audit import AuditFilter
from contracts.enums import ExperimentStatus
from contracts.errors import ConflictError, ForbiddenError
from contracts.experiment_decisions import ExperimentDecision
from contracts.experiments import ABExperiment, StartABTestRequest
from contracts.identity import Role
from contracts.record import utc_now
from dashboard import writing
from tests.dashboard.conftest import come_in, open_page, text_of
from tests.dashboard.story import Story
from tests.stages.ab_test_story import rated

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]

MIDDLE, HIGH = [3, 4] * 40, [4, 5] * 40


@pytest.fixture
def experiment(story: Story, services) -> ABExperiment:
    """Small is better than the present model, large was dropped, tiny is like it."""
    with services.unit_of_work() as uow:
        first = uow.experiments.get(story.experiment_id)
        uow.experiments.stop(story.experiment_id, ExperimentStatus.STOPPED)
        others = [uow.models.ensure_base(name, f"/models/{name}", 0.1, name[0] * 64).model_id for name in ("l", "t")]
        arms = [
            {"name": "now", "model_id": first.model_a_id},
            {"name": "small", "model_id": first.model_b_id},
            {"name": "large", "model_id": others[0]},
            {"name": "tiny", "model_id": others[1]},
        ]
        request = StartABTestRequest.model_validate({"experiment_name": "autumn", "arms": arms, "target_samples": 2000})
        started: ABExperiment = uow.experiments.start(request)
        uow.experiments.drop_arm(started.experiment_id, "large", utc_now(), DropCause.GUARDRAIL, "large does harm")
    for arm, ratings in (("now", MIDDLE), ("small", HIGH), ("large", MIDDLE), ("tiny", MIDDLE)):
        rated(services, started, arm, ratings)
    return started


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("ko", ["새 모델(small)이 현재 모델(now)보다 좋습니다. 아직 판정하지 않은 tiny의 결과를 기다리며", "now · 현재 모델",
                "small · 새 모델", "더 좋음", "테스트에서 뺌 안전장치를 어겨 사용자를 나머지 모델로 옮겼습니다.", "비교 중", "99.7 %",
                "37 % : 21 % : 21 % : 21 %"]),
        ("en", ["The new model (small) is better than the present one (now); tiny is not decided yet", "dropped"]),
    ],
)  # fmt: skip
def test_each_new_model_has_its_line_and_the_verdict_is_one_sentence(experiment, language, expected):
    text = text_of(open_page("ab-tests", language, experiment=experiment.experiment_id))
    assert [part for part in expected if part not in text] == [], text


def test_a_person_chooses_among_the_arms_that_are_left(experiment, services):
    decision = ExperimentDecision(
        experiment_id=experiment.experiment_id, winner="small", control="now", cause="verdict", reason="r", look=None,
        actor="monitor_ab_test", decided_at=utc_now(),
    )  # fmt: skip
    with services.unit_of_work() as uow:
        uow.experiment_decisions.decide(decision)
    app = open_page("ab-tests", "ko", experiment=experiment.experiment_id)
    radio = app.radio(key=f"answer-winner-{experiment.experiment_id}")
    assert radio.options == [
        "새 모델(small)로 교체", "새 모델(tiny)로 교체", "현재 모델(now) 유지", "승자 없이 종료(현재 모델 유지)",
    ]  # fmt: skip
    assert "새 모델(small)이 현재 모델(now)보다 좋습니다." in text_of(app)
    # what is refused stays told when the page looks again by itself
    radio.set_value("tiny")
    app.text_input(key=f"answer-reason-{experiment.experiment_id}").set_value("더 작습니다")
    (send,) = [button for button in app.button if button.label == "답 보내기"]
    send.click().run()
    assert "A base model is not promoted by itself" in text_of(app)
    assert "A base model is not promoted by itself" in text_of(app.run())


def test_a_new_model_is_dropped_after_a_confirmation_with_a_reason(experiment, services):
    number = experiment.experiment_id
    app = open_page("ab-tests", "ko", experiment=number)
    app.button(key=f"drop-{number}").click().run()
    assert app.radio(key=f"drop-arm-{number}").options == ["small · regulations-assistant v1", "tiny · t (base)"]
    app.radio(key=f"drop-arm-{number}").set_value("tiny").run()
    assert "새 모델(tiny)에는 사용자를 더 보내지 않습니다" in text_of(app)
    app.button(key="confirm-drop").click().run()
    assert [warning.value for warning in app.warning][-1:] == ["빼는 이유를 적어 주십시오."]
    with services.unit_of_work() as uow:
        assert uow.experiments.get(number).arm("tiny").dropped_at is None
    app.text_input(key=f"drop-reason-{number}").set_value("너무 느립니다")
    app.button(key="confirm-drop").click().run()
    assert app.success[0].value == "tiny 모델을 뺐습니다. 테스트는 나머지 모델로 계속됩니다."
    with services.unit_of_work() as uow:
        dropped = uow.experiments.get(number).arm("tiny")
        (entry,) = uow.audit.search(AuditFilter(action="experiment.arm_dropped"), limit=2)
    assert (dropped.drop_cause, dropped.drop_reason) == (DropCause.PERSON, "너무 느립니다")
    assert (entry.actor, entry.details["arm"]) == ("kim", "tiny")


def test_the_last_new_model_cannot_be_dropped(experiment, visit):
    number = experiment.experiment_id
    writing.drop_arm(visit, number, "tiny", reason="slow")
    app = open_page("ab-tests", "ko", experiment=number)
    assert [button.key for button in app.button if str(button.key).startswith("drop-")] == []
    with pytest.raises(ConflictError):
        writing.drop_arm(visit, number, "small", reason="slow")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST])
def test_who_may_not_stop_the_test_is_shown_no_button_and_is_refused(experiment, services, monkeypatch, role):
    number = experiment.experiment_id
    with services.unit_of_work() as uow:
        account = uow.users.credentials("kim")
        assert account is not None
        uow.ownership.claim(ResourceKind.AB_TEST, number, account.account.user_id)
    visit = come_in(monkeypatch, "lee", role, ("tolls",))
    app = open_page("ab-tests", "ko", experiment=number)
    assert "새 모델 하나 빼기" not in text_of(app)
    assert [button.key for button in app.button if str(button.key).startswith("drop-")] == []
    with pytest.raises(ForbiddenError):
        writing.drop_arm(visit, number, "tiny", reason="slow")
