"""The page of model versions: cards, the comparison with production, evaluations, the card."""

import pytest

from contracts.access import ResourceKind
from contracts.identity import Role
from dashboard import reading
from dashboard.differences import marked
from tests.dashboard.conftest import come_in, open_page, text_of
from tests.dashboard.model_story import QUESTIONS, tell_versions

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]


@pytest.fixture
def versions(services):
    return tell_versions(services)


def test_a_card_opens_its_version(versions):
    app = open_page("models", "ko")
    assert app.selectbox(key="choose-model").value == versions.candidate
    app.button(key=f"open-{versions.production}").click().run()
    assert app.selectbox(key="choose-model").value == versions.production
    assert app.query_params["model"] == str(versions.production)
    assert "assistant v1" in [header.value for header in app.header]


def test_a_version_is_compared_with_production_case_by_case(versions):
    app = open_page("models", "ko", model=versions.candidate, part="comparison")
    text = text_of(app)
    assert "현재 운영 모델 **assistant v1**" in text
    expected = "새로 맞힘 4 새로 틀림 3 둘 다 맞힘 3 둘 다 틀림 0 표현만 바뀜 3 정확 McNemar 검정 p = 1.000"
    assert expected in text
    assert "60.0 % (30.0–80.0 %, n = 10) 70.0 % (35.0–85.0 %, n = 10)" in text
    # question, what was expected, and both answers, as text and with what differs marked
    assert QUESTIONS[6] in text and "정답: 5년, 다섯 해" in text
    assert "✕ assistant v1 · 틀림 모릅니다 ✓ assistant v2 · 맞음 규정에 따라 5년 <b>입니다</b>" in text
    app.segmented_control(key="pick-outcome").set_value("lost").run()
    text = text_of(app)
    assert QUESTIONS[0] in text and QUESTIONS[6] not in text
    assert app.query_params["outcome"] == "lost"


def test_the_address_holds_stage_outcome_and_category(versions):
    app = open_page(
        "models", "en", stage="production", model=versions.candidate, part="comparison", outcome="both_wrong",
        category="tolls",
    )  # fmt: skip
    keys = [button.key for button in app.button if (button.key or "").startswith("open-")]
    assert keys == [f"open-{versions.production}"]
    assert "There is no such case" in text_of(app)
    assert app.selectbox(key="choose-category").value == "tolls"


def test_every_evaluation_is_listed_with_its_interval(versions):
    text = text_of(open_page("models", "en", model=versions.candidate, part="evaluations"))
    assert "road-rules v1 accuracy 70.0 % (35.0–85.0 %, n = 10) vllm 0.11.2" in text
    assert "20.0 % (10.0–60.0 %, n = 10) embedded 1" in text


def test_the_card_is_shown_and_can_be_taken_along(versions):
    app = open_page("models", "ko", model=versions.candidate, part="card")
    assert "# assistant" in " ".join(element.value for element in app.markdown)
    assert [button.proto.label for button in app.get("download_button")] == ["모델 카드 내려받기"]


def test_who_may_not_read_production_sees_no_answer_of_it(versions, services, monkeypatch):
    with services.unit_of_work() as uow:
        engineer = uow.users.ensure("engineer", Role.ML_ENGINEER)
        uow.ownership.claim(ResourceKind.MODEL, versions.production, engineer)
    viewer = come_in(monkeypatch, "seo", Role.VIEWER)
    assert "There is nothing to compare with" in text_of(
        open_page("models", "en", model=versions.candidate, part="comparison")
    )
    assert reading.comparison_with_production(viewer, versions.candidate) is None


def test_words_that_only_one_text_has_are_marked_and_markup_stays_text():
    assert marked("기간은 5년 <b>", "기간은 3년 <b>") == (
        "기간은 <mark>5년</mark> &lt;b&gt;",
        "기간은 <mark>3년</mark> &lt;b&gt;",
    )
    assert marked("같다", "같다 ") == ("같다", "같다")
