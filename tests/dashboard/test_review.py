"""The review page over a real database."""

import json
from pathlib import Path

import pytest

from contracts.enums import ReviewVerdict
from storage.stored_files import read_stored
from tests.dashboard.conftest import open_page, text_of
from tests.dashboard.review_story import ANSWER, EMPTY_GENERATION, GENERATION, QUESTION, tell_review

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]


@pytest.fixture
def ids(services):
    return tell_review(services)


def verdicts(services):
    with services.unit_of_work() as uow:
        return [sample.verdict for sample in uow.reviews.samples(GENERATION)]


def opened(language="ko", generation=GENERATION):
    return open_page("review", language, generation=generation)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("ko", ["검토 1 / 4건 (25 %)", "○ 검토 전 대화 1 / 3번째", "근거 본문", "처리 › 제7조(처리 기한) › 3쪽", "0.82",
                "생성 모델 Qwen/Qwen3-32B", "본문에 없는 수치 3", "비용 84.80 KRW"]),
        ("en", ["1 of 4 reviewed (25 %)", "○ Waiting Conversation 1 of 3", "Source passage",
                "A number that the passage does not have 3"]),
    ],
    ids=["ko", "en"],
)  # fmt: skip
def test_a_sample_stands_beside_its_passage_with_all_that_is_known_of_it(ids, language, expected):
    text = text_of(opened(language))
    assert [one for one in expected if one not in text] == []


def test_the_evidence_stands_out_and_texts_are_never_markup(ids):
    drawn = "".join(element.value for element in opened().html)
    assert "<mark>접수한 날부터 45일 이내에 결과를 확정한다</mark>" in drawn
    assert "&lt;b&gt;운송사&lt;/b&gt;" in drawn
    assert "<b>운송사" not in drawn


def test_a_verdict_is_stored_with_its_reviewer_and_the_next_sample_comes(services, ids):
    app = opened()
    app.button(key="review-accept").click().run()
    assert "요약 1 / 2번째" in text_of(app)
    app.button(key="review-reject").click().run()
    assert verdicts(services) == [ReviewVerdict.ACCEPT, ReviewVerdict.ACCEPT, ReviewVerdict.REJECT, None]
    with services.unit_of_work() as uow:
        assert uow.reviews.get(ids[1]).reviewer == "kim"


def test_every_action_has_a_key(ids):
    app = opened()
    keys = {name: app.button(key=f"review-{name}").proto.shortcut for name in ("accept", "edit", "reject", "next")}
    assert keys == {"accept": "a", "edit": "e", "reject": "x", "next": "right"}


def test_an_edit_is_kept_beside_the_generated_text(services, ids):
    app = opened()
    app.button(key="review-edit").click().run()
    app.text_area(key=f"review-turn-{ids[1]}-1").set_value("접수일부터 45일 안에 확정합니다.").run()
    app.button(key="review-save").click().run()
    with services.unit_of_work() as uow:
        sample = uow.reviews.get(ids[1])
    assert sample.verdict is ReviewVerdict.EDIT
    assert sample.edited_messages is not None
    assert sample.edited_messages[1]["content"] == "접수일부터 45일 안에 확정합니다."
    assert sample.messages[1]["content"] == ANSWER


def test_an_edit_that_changes_nothing_is_an_acceptance(services, ids):
    app = opened()
    app.button(key="review-edit").click().run()
    app.button(key="review-save").click().run()
    assert verdicts(services)[1] is ReviewVerdict.ACCEPT


def test_an_edit_with_an_empty_turn_is_not_taken(services, ids):
    app = opened()
    app.button(key="review-edit").click().run()
    app.text_area(key=f"review-turn-{ids[1]}-1").set_value("  ").run()
    app.button(key="review-save").click().run()
    assert verdicts(services)[1] is None
    assert "빈칸으로 둔 질문이나 답변이 있습니다" in " ".join(element.value for element in app.warning)


def test_a_verdict_can_be_taken_back(services, ids):
    app = opened()
    app.segmented_control(key="review-show").set_value("accept").run()
    assert "김검토" in text_of(app)
    app.button(key="review-undo").click().run()
    assert verdicts(services) == [None] * 4


def test_a_sample_that_somebody_else_judged_meanwhile_is_not_overwritten(services, ids):
    app = opened()
    with services.unit_of_work() as uow:
        uow.reviews.decide(ids[1], ReviewVerdict.REJECT, reviewer="박검토", seen=None)
    app.button(key="review-accept").click().run()
    assert verdicts(services)[1] is ReviewVerdict.REJECT
    assert "다른 사람이 먼저 판정한 표본입니다" in " ".join(element.value for element in app.warning)


def test_what_was_taken_is_exported_for_the_import(services, ids):
    app = opened()
    app.button(key="review-write").click().run()
    assert "표본 1건을 다음 파일에 썼습니다." in text_of(app)
    path = next(code.value for code in app.code if code.value.endswith("curated.jsonl"))
    row = json.loads(read_stored(Path(path)))
    assert row["messages"] == [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    assert row["metadata"]["review"]["reviewer"] == "김검토"


def test_a_generation_that_brought_nothing_says_so_and_why(ids):
    text = text_of(opened(generation=EMPTY_GENERATION))
    assert "검사를 통과한 표본이 없습니다" in text
    assert "답이 요청한 JSON이 아님 4" in text


def test_an_address_that_names_no_generation_is_said_to_be_not_found(ids):
    assert "찾을 수 없습니다" in text_of(opened(generation="nothing"))
