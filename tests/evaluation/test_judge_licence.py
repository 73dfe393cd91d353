"""Only a judge that agrees with experts may decide a gate."""

import random

from contracts.enums import Preference, RatingKind
from contracts.ratings import AgreementReport, Rating
from evaluation.judge_licence import judge_may_gate
from evaluation.rating_agreement import agreement_report
from tests.evaluation.test_rating_items import task

JUDGE = "judge:judge-32b:0123456789ab"


def rated(items: int, agreeing: float, experts: int = 1, seed: int = 0) -> AgreementReport:
    """Experts who agree among themselves, and a judge who says the same in that share of the items."""
    chance = random.Random(seed)
    ratings = []
    for number in range(items):
        truth = chance.choice(["a", "b"])
        verdict = truth if number < items * agreeing else {"a": "b", "b": "a"}[truth]
        raters = {**{f"expert-{one}": truth for one in range(experts)}, JUDGE: verdict}
        ratings += [
            Rating(item_key=f"item-{number}", task="t", suite_name="s", case_id=f"case-{number}", rater=rater,
                   category="tolls" if number % 2 else "safety", value=value)
            for rater, value in raters.items()
        ]  # fmt: skip
    return agreement_report(task(), ratings)


def test_a_judge_that_agrees_may_gate_and_its_bounds_are_told():
    (judge,) = rated(100, 0.95).judges
    licence = judge_may_gate(judge, judge=JUDGE)
    assert licence.may_gate
    assert licence.alpha.value is not None
    assert 0.85 < licence.alpha.value < 0.95
    assert "전문가 평가 100건" in licence.reason
    assert "95 % 신뢰구간" in licence.reason


def test_a_judge_below_the_bar_may_not():
    (judge,) = rated(100, 0.8).judges
    licence = judge_may_gate(judge, judge=JUDGE)
    assert not licence.may_gate
    assert "기준 0.667에 못 미칩니다" in licence.reason
    assert judge_may_gate(judge, judge=JUDGE, bar=0.5).may_gate


def test_a_judge_that_too_few_items_speak_for_may_not_and_how_many_are_missing_is_told():
    (judge,) = rated(49, 1.0).judges
    licence = judge_may_gate(judge, judge=JUDGE)
    assert not licence.may_gate
    assert "1건이 모자랍니다" in licence.reason
    assert judge_may_gate(judge, judge=JUDGE, min_items=49).may_gate


def test_a_judge_that_no_expert_ever_checked_may_not():
    licence = judge_may_gate(None, judge=JUDGE)
    assert (licence.may_gate, licence.items, licence.alpha.value) == (False, 0, None)


def test_a_judge_on_items_that_all_end_alike_may_not():
    same = [
        Rating(item_key=f"{number}", task="t", suite_name="s", case_id="c", category="x", rater=rater, value="b")
        for number in range(60)
        for rater in ("expert", JUDGE)
    ]
    (judge,) = agreement_report(task(), same).judges
    licence = judge_may_gate(judge, judge=JUDGE)
    assert not licence.may_gate
    assert "일치도를 구할 수 없습니다" in licence.reason


def test_experts_are_compared_with_each_other_and_the_judge_with_their_common_opinion():
    report = rated(60, 0.9, experts=2)
    assert report.experts is not None
    assert report.experts.raters == ["expert-0", "expert-1"]
    assert report.experts.deciding.value == 1.0
    (judge,) = report.judges
    assert judge.agreement.items == 60
    counts = [count for row in judge.confusion.counts for count in row]
    assert sum(counts) == 60
    assert sum(judge.confusion.counts[place][place] for place in range(3)) == 54
    assert set(judge.by_category) == {"tolls", "safety"}
    assert report.counts.by_rater == {"expert-0": 60, "expert-1": 60, JUDGE: 60}


def test_two_bad_answers_are_a_tie_beside_a_judge():
    ratings = [
        Rating(item_key="1", task="t", suite_name="s", case_id="c", category="x", rater=rater, value=value)
        for rater, value in (("expert", Preference.BOTH_BAD.value), (JUDGE, "tie"))
    ]
    (judge,) = agreement_report(task(), ratings).judges
    assert judge.confusion.counts == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_scores_are_compared_in_their_order():
    ratings = [
        Rating(item_key=f"{number}", task="t", suite_name="s", case_id="c", category="x", rater=rater, value=str(value))
        for number in range(10)
        for rater, value in (("expert", 1 + number % 4), (JUDGE, 2 + number % 4))
    ]
    report = agreement_report(task(RatingKind.RUBRIC), ratings)
    (judge,) = report.judges
    assert judge.agreement.weighted_kappa is not None
    assert judge.agreement.weighted_kappa.value is not None
    assert judge.agreement.kappa is not None
    assert judge.agreement.kappa.value is not None
    assert judge.agreement.weighted_kappa.value > 0.5 > 0 > judge.agreement.kappa.value
