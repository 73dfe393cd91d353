"""The rating page over a real database."""

import pytest

from contracts.enums import Preference, RatingKind
from contracts.ratings import PutUpRequest, Rating
from evaluation.rating_items import rating_of, shown_first
from stages.rating_tasks import items_of, put_up, task_named
from tests.dashboard.conftest import open_page, text_of
from tests.stages.test_rating_tasks import answers_file, rubric_answers

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]

TASK = "tolls-may"
RATER = "kim"
JUDGE = "judge:judge-32b:0123456789ab"


@pytest.fixture
def items(services):
    put_up(PutUpRequest(name=TASK, answers_file=answers_file(services, 6)), services)
    return items_of(TASK, services)


def opened(language="ko", task=TASK):
    return open_page("rating", language, task=task)


def stored(services, items) -> dict[str, Rating]:
    with services.unit_of_work() as uow:
        found: dict[str, Rating] = uow.ratings.of_rater([item.item_key for item in items], RATER)
    return found


def test_nothing_tells_whose_answers_they_are(services, items):
    text = text_of(opened())
    assert items[0].question in text
    assert all(name not in text for name in ("base", "tuned", "answer_a"))


def test_the_answers_stand_in_the_raters_order_as_plain_text(services, items):
    app = opened()
    drawn = [element.value for element in app.html if "답변 1" in element.value or "답변 2" in element.value]
    first = items[0].answer_a if shown_first(RATER, items[0].item_key) is Preference.A else items[0].answer_b
    assert len(drawn) == 2
    assert first in drawn[0]


def test_every_choice_has_a_key_and_is_stored_as_the_model_it_meant(services, items):
    app = opened()
    shortcuts = {name: app.button(key=f"rating-{name}").proto.shortcut for name in ("1", "2", "3", "4", "skip")}
    assert shortcuts == {"1": "1", "2": "2", "3": "3", "4": "4", "skip": "right"}
    for key in ("1", "2", "3", "4"):
        app.button(key=f"rating-{key}").click().run()
    first, second = (shown_first(RATER, item.item_key) for item in items[:2])
    found = [stored(services, items)[item.item_key] for item in items[:4]]
    assert [one.value for one in found] == [
        first.value,
        (Preference.B if second is Preference.A else Preference.A).value,
        "tie",
        "both_bad",
    ]
    assert found[0].details == {"shown_first": first.value}
    assert "평가 4 / 6건 (67 %)" in text_of(app)


def test_an_item_can_be_skipped_commented_and_taken_back(services, items):
    app = opened()
    app.button(key="rating-skip").click().run()
    app.text_input(key=f"rating-comment-{items[1].item_key[:16]}").set_value("조항이 틀림").run()
    app.button(key="rating-4").click().run()
    assert set(stored(services, items)) == {items[1].item_key}
    assert stored(services, items)[items[1].item_key].comment == "조항이 틀림"
    app.segmented_control(key="rating-show").set_value("rated").run()
    app.button(key="rating-undo").click().run()
    assert stored(services, items) == {}


def test_scores_are_given_by_their_number(services):
    put_up(PutUpRequest(name="scores", kind=RatingKind.RUBRIC, answers_file=rubric_answers(services)), services)
    app = opened(task="scores")
    app.button(key="rating-5").click().run()
    app.button(key="rating-2").click().run()
    found = stored(services, items_of("scores", services))
    assert [found[item.item_key].value for item in items_of("scores", services)[:2]] == ["5", "2"]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("ko", ["이전문 6 / 6", "전문가끼리", "심사 모델 judge-32b:0123456789ab와 전문가", "합격 여부를 정할 수 없습니다",
                "6 / 50건", "크리펜도르프 α 1.00", "전문가 / 심사 모델"]),
        ("en", ["Among experts", "may not decide a gate", "Krippendorff's α 1.00"]),
    ],
    ids=["ko", "en"],
)  # fmt: skip
def test_agreement_is_shown_with_what_the_judge_may_do(services, items, language, expected):
    ratings = [
        rating_of(task_named(TASK, services), item, rater, "ab"[number % 2])
        for number, item in enumerate(items)
        for rater in (RATER, "이전문", JUDGE)
    ]
    with services.unit_of_work() as uow:
        uow.ratings.rate(ratings)
    text = text_of(opened(language))
    assert [one for one in expected if one not in text] == []


def test_an_address_that_names_no_task_is_said_to_be_not_found(items):
    assert "찾을 수 없습니다" in text_of(open_page("rating", "ko", task="nothing"))
