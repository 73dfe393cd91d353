"""The judge: its score, its parts and the reason it gives, row by row and in batches."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.data_policy import QualityPolicy
from contracts.enums import RemovalReason
from data_prep.quality.judging import QualityJudge
from data_prep.quality.score import WEIGHTS, score_quality
from data_prep.rows import Message, Row

LONG = (
    "통행료는 차종과 주행 거리에 따라 정해지며, 명절 연휴에는 면제됩니다. 자세한 기준은 영업관리처에서 안내해 드립니다."
)


def row(question: str, answer: str, **metadata) -> Row:
    return Row("a:1", (Message("user", question), Message("assistant", answer)), metadata)


def judge(*rows: Row, minimum: float = 0.7, **policy):
    return QualityJudge(QualityPolicy(**policy), minimum, 5).judge(rows)


def test_the_exponents_of_the_score_add_up_to_one():
    assert math.isclose(sum(WEIGHTS.values()), 1)


def test_a_good_row_stays_with_a_high_score_and_all_its_parts():
    [quality] = judge(row("통행료는 어떻게 정해지나요?", LONG))

    assert quality.removal is None
    assert quality.score > 0.95
    assert set(quality.parts) == {*WEIGHTS, "korean"}
    assert quality.toxicity < 0.5


def test_the_score_is_the_weighted_geometric_mean_of_the_parts_that_are_kept():
    [quality] = judge(row("통행료는 어떻게 정해지나요?", "통행료는 거리에 따라 정해지며 ㄱㄴㄷ 면제되"))

    expected = math.prod(quality.parts[name] ** weight for name, weight in WEIGHTS.items())
    assert quality.score == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    ("part", "answer"),
    [
        ("legibility", LONG.replace("통행료", "\ufffd\ufffd료")),
        ("repetition", "통행료는 차종에 따라 정해집니다. " * 5),
        ("diversity", "네네네네네네네네네네입니다."),
        ("completeness", LONG[:-20]),
        ("substance", "네."),
        ("relevance", "통행료는 어떻게 정해지나요?"),
        ("relevance", "죄송하지만 그 질문에는 답변해 드릴 수 없습니다."),
        ("fluency", "는료행통 라따에종차 과리거행주 지해정 며다니됩제면 는에휴연절명"),
        ("grammar", "통행료은 거리을 따라 정해집니다."),
        ("formatting", "<div>통행료는 거리에 따라 정해집니다.</div><|im_end|>"),
        ("language", "通行料は距離によって決まります。 통행료는 거리에 따라 정해집니다."),
        ("korean", "The toll depends on distance."),
    ],
)
def test_a_defect_shows_in_its_part(part, answer):
    question = "통행료는 어떻게 정해지나요?"
    good, bad = judge(row(question, LONG), row(question, answer))

    assert bad.parts[part] <= 0.9 < good.parts[part]


@pytest.mark.parametrize(
    ("answer", "policy", "reason"),
    [
        ("가나다라마바사아자차카타파하" * 8, {"max_answer_characters": 100}, RemovalReason.TOO_LONG),
        ("네 네 " * 15, {}, RemovalReason.REPETITION),
        ("이 병신들아 그것도 모르냐", {}, RemovalReason.FOUL_LANGUAGE),
        ("The toll depends on the distance driven.", {"min_korean_share": 0.3}, RemovalReason.WRONG_LANGUAGE),
        ("죄송하지만 AI 언어 모델로서 답변드릴 수 없습니다.", {"remove_refusals": True}, RemovalReason.REFUSAL),
        (LONG[:-22], {"remove_truncated": True}, RemovalReason.TRUNCATED),
        ("\ufffd\ufffd처에\ufffd\ufffd \ufffd\ufffd합니다", {}, RemovalReason.LOW_QUALITY),
        ("@@@@ #### %%%% &&&& ~~~~", {}, RemovalReason.LOW_QUALITY),
        ("쓰레기 같은 것들 다 뒤져버려라 역겨운 년들", {}, RemovalReason.TOXIC),
    ],
)
def test_each_rule_gives_its_reason_and_never_quotes_the_row(answer, policy, reason):
    [quality] = judge(row("통행료는 어떻게 정해지나요?", answer), **policy)

    assert quality.removal is not None
    assert quality.removal.reason is reason
    assert not any(word in quality.removal.detail for word in answer.split() if len(word) > 3)


@pytest.mark.parametrize(
    ("answer", "policy"),
    [
        ("The toll depends on the distance driven.", {}),
        ("죄송하지만 AI 언어 모델로서 답변드릴 수 없습니다.", {}),
        (LONG[:-22], {}),
        ("불편을 드려 죄송합니다. 바로 확인하여 안내해 드리겠습니다.", {"remove_refusals": True}),
        ("노래연습장에서는 주류를 제공할 수 없고 판매할 수도 없습니다.", {"remove_refusals": True}),
        ("한국도로공사 영업관리처 미납통행료 담당 내선 4312번 또는 콜센터 결과", {"remove_truncated": True}),
    ],
)
def test_a_rule_that_the_policy_does_not_ask_for_removes_nothing(answer, policy):
    [quality] = judge(row("통행료는 어떻게 정해지나요?", answer), **policy)

    assert quality.removal is None


def test_the_reason_for_low_quality_names_the_weakest_part():
    [quality] = judge(row("어느 부서인가요?", "어느 부서인가요?"))

    assert quality.removal is not None
    assert "relevance 0.00" in quality.removal.detail


def test_toxicity_is_that_of_the_worst_turn_whoever_speaks():
    polite = "불편을 드려 죄송합니다. 바로 확인하겠습니다."
    [angry, calm] = judge(row("이 쓰레기 같은 놈들 다 뒤져라", polite), row("통행료가 얼마인가요?", polite))

    assert angry.toxicity > 0.7 > calm.toxicity


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.text(max_size=80), st.text(max_size=200)), max_size=6))
def test_any_text_is_judged_and_a_row_alone_as_in_a_batch(pairs):
    rows = [row(question, answer) for question, answer in pairs]
    judging = QualityJudge(QualityPolicy(), 0.7, 5)

    together = judging.judge(rows)
    assert together == [judging.judge([one])[0] for one in rows]
    for quality in together:
        assert 0 <= quality.score <= 1
        assert 0 <= quality.toxicity <= 1
        assert all(0 <= part <= 1 for part in quality.parts.values())


def test_no_rows_give_no_judgements():
    assert judge() == []


def test_one_row_and_a_batch_have_the_same_formula():
    one = row("통행료는 어떻게 정해지나요?", LONG, quality_score=0.4)

    assert score_quality(one).value == judge(one)[0].score == 0.4
