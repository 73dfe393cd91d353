"""The verdict and its reasons."""

from typing import Any

import pytest

from contracts.enums import GateDecision, Metric
from contracts.evaluation import GateContamination, GateRequest, GateVerdict, ProductionComparison
from evaluation.gate import decide_gate
from evaluation.judge_licence import judge_may_gate
from evaluation.production import Outcome, compare_with_production
from tests.evaluation.builders import report, suite
from tests.evaluation.test_judge_licence import rated


def _decide(
    metric: Metric = Metric.ACCURACY,
    bar: float = 0.90,
    production: ProductionComparison | None = None,
    contamination: GateContamination | None = None,
    **counts: Any,
) -> GateVerdict:
    request = GateRequest(evaluation_id=3, accuracy_bar=bar, metric=metric)
    return decide_gate(report(**counts), request, production=production, contamination=contamination)


def _reasons(**arguments: Any) -> str:
    return "\n".join(_decide(**arguments).reasons)


@pytest.mark.parametrize(("tuned", "decision"), [(181, GateDecision.PASS), (180, GateDecision.FAIL)])
def test_the_point_rule_passes_above_the_bar(tuned, decision):
    assert _decide(tuned=tuned).decision is decision


@pytest.mark.parametrize(
    ("tuned", "decision"),
    [(187, GateDecision.PASS), (186, GateDecision.UNDECIDED), (174, GateDecision.UNDECIDED), (173, GateDecision.FAIL)],
)
def test_the_lower_bound_rule_decides_only_on_evidence(tuned, decision):
    assert _decide(metric=Metric.ACCURACY_LOWER_BOUND, tuned=tuned).decision is decision


def test_only_a_pass_lets_the_model_go_on():
    assert _decide(tuned=190).passed
    assert not _decide(tuned=150).passed
    assert not _decide(metric=Metric.ACCURACY_LOWER_BOUND, tuned=186).passed


def test_the_verdict_carries_the_numbers_it_was_made_from():
    verdict = _decide(tuned=186)
    assert (verdict.evaluation_id, verdict.n, verdict.accuracy) == (3, 200, 0.93)
    assert verdict.lower_bound_one_sided == pytest.approx(0.89423, abs=5e-6)
    assert verdict.interval.lower == pytest.approx(0.88595, abs=5e-6)
    assert (verdict.needed_correct, verdict.by_accuracy, verdict.by_lower_bound) == (
        181,
        GateDecision.PASS,
        GateDecision.UNDECIDED,
    )
    assert verdict.weaker_accuracy == pytest.approx(0.88)
    assert verdict.weaker_passes == pytest.approx(0.16378, abs=5e-6)


def test_the_reasons_say_accuracy_interval_and_lower_bound():
    assert _decide(tuned=187).reasons[0] == (
        "시험 문항 200개 가운데 187개를 맞혀 정확도는 93.5 %(95 % 신뢰구간 89.2 %~96.2 %)이며, "
        "단측 95 % 신뢰 하한은 90.01 %입니다."
    )


def test_both_rules_are_told_whichever_decides():
    point, evidence = _reasons(tuned=186), _reasons(metric=Metric.ACCURACY_LOWER_BOUND, tuned=186)
    assert "200문항 중 181문항부터 합격" in point
    assert "신뢰 하한 89.42 %로 판정하면 판정 보류입니다(200문항 중 187문항부터 합격" in point
    assert "정확도 93.0 %로 판정하면 합격입니다(200문항 중 181문항부터 합격)" in evidence


@pytest.mark.parametrize(("metric", "chance"), [(Metric.ACCURACY, "16.4 %"), (Metric.ACCURACY_LOWER_BOUND, "0.7 %")])
def test_the_reasons_say_how_easily_a_weaker_model_passes(metric, chance):
    assert f"실제 정확도가 88.0 %인 모델이 이 기준을 우연히 통과할 확률은 {chance}" in _reasons(
        metric=metric, tuned=185
    )


def test_a_failure_says_how_many_answers_are_missing():
    assert "181문항부터 합격이며 5문항이 모자랍니다" in _reasons(tuned=176)


def test_an_undecided_verdict_says_how_many_cases_would_decide():
    arguments: dict[str, Any] = {"metric": Metric.ACCURACY_LOWER_BOUND, "tuned": 184}
    assert "문항이 약 401개 더 있어야(모두 약 601개) 합격 판정이 납니다." in _reasons(**arguments)
    assert _decide(**arguments).cases_to_decide == 401


def test_a_share_on_the_bar_is_said_to_be_undecidable():
    assert "문항을 늘려도 판정하기 어렵습니다" in _reasons(metric=Metric.ACCURACY_LOWER_BOUND, tuned=180)


def test_the_reasons_compare_with_the_base_model():
    assert "학습으로 새로 맞힌 문항은 180개, 맞히다가 틀리게 된 문항은 10개" in _reasons(base=20, tuned=190)
    assert "p < 0.001" in _reasons(base=20, tuned=190)


def test_a_model_no_better_than_its_base_is_warned_about():
    assert "나아지지 않았습니다" in _reasons(base=190, tuned=185)


@pytest.mark.parametrize(("after", "warned"), [(94, True), (95, False)])
def test_a_suite_that_fell_by_more_than_five_points_is_a_warning(after, warned):
    reasons = _reasons(extras=[suite("기존 지식", 100, base=100, tuned=after)])
    assert ("기존 지식을 잊었을 수 있으니" in reasons) is warned


def test_a_warning_does_not_change_the_decision():
    assert _decide(tuned=190, extras=[suite("기존 지식", 100, base=100, tuned=20)]).passed


def test_unstable_answers_are_a_warning():
    assert "40번 중 2번" in _reasons(unstable=2)


def test_a_compressed_model_is_compared_with_its_parent_and_not_scolded_for_not_being_better():
    compressed = report(base=190, tuned=186, extras=[suite("unseen", 50, 40, 30)]).model_copy(
        update={"parent_job_id": 3}
    )
    text = "\n".join(decide_gate(compressed, GateRequest(evaluation_id=3, accuracy_bar=0.9)).reasons)
    assert "원본 모델의 정확도는 95.0 %" in text
    assert "압축으로 잃은 정확도는 2.0 %p" in text
    assert "새로 틀린 문항은 14개, 새로 맞힌 문항은 10개" in text
    assert "압축을 덜 하거나 다른 방식을 검토" in text
    assert "기반 모델" not in text
    assert "학습한 모델" not in text


def _production(production: set[int], candidate: set[int], n: int = 40, **arguments: Any) -> ProductionComparison:
    """Cases 0 to n-1, of which the first half is about tolls; the sets are those answered right."""

    right_before = {str(case): case in production for case in range(n)}
    answered = {str(case): Outcome("tolls" if case < n // 2 else "safety", case in candidate) for case in range(n)}

    return compare_with_production(5, "assistant v2", right_before, answered, max_category_drop=0.05, **arguments)


def test_a_model_worse_than_the_one_in_production_fails_whatever_its_accuracy():
    verdict = _decide(tuned=195, production=_production(set(range(40)), set(range(30))))

    assert verdict.decision is GateDecision.FAIL
    assert verdict.production is not None
    assert (verdict.production.won_cases, len(verdict.production.lost_cases)) == ([], 10)
    assert verdict.production.mcnemar_p == pytest.approx(2 / 2**10)
    assert "새 모델은 75.0 %입니다. 새로 맞힌 문항 0개, 새로 틀린 문항 10개(맥니마 정확 검정, p = 0.002)" in "\n".join(
        verdict.reasons
    )


def test_a_category_that_fell_beyond_chance_fails_a_model_that_is_no_worse_over_all():
    comparison = _production(set(range(20)), set(range(12)) | set(range(20, 30)))

    assert [one.regressed for one in comparison.categories] == [False, True]
    assert _decide(tuned=195, production=comparison).decision is GateDecision.FAIL


def test_a_few_lost_cases_are_a_warning_and_no_verdict():
    comparison = _production(set(range(20)), set(range(18)) | {30, 31})
    verdict = _decide(tuned=195, production=comparison)

    assert verdict.passed
    assert "분류 ‘tolls’에서 100.0 %에서 90.0 %로 낮아졌습니다(20문항, 우연일 수 있음)" in "\n".join(verdict.reasons)


def test_without_answers_of_the_model_in_production_the_verdict_says_what_is_missing():
    missing = ProductionComparison(model_id=5, title="assistant v2", missing="먼저 평가해 두시기 바랍니다.")

    verdict = _decide(tuned=195, production=missing)

    assert verdict.passed
    assert "비교하지 못했습니다: 먼저 평가해 두시기 바랍니다." in "\n".join(verdict.reasons)


def test_cases_that_were_trained_on_leave_the_verdict_open():
    verdict = _decide(tuned=195, contamination=GateContamination(report_id=8, contaminated=20, n=180, correct=160))

    assert verdict.decision is GateDecision.UNDECIDED
    assert "시험 문항 20개가 학습 데이터와 겹쳐 판정을 보류합니다. 겹치지 않는 180문항의 정확도는 88.9 %" in "\n".join(
        verdict.reasons
    )


def test_a_reason_lets_them_count_and_stands_in_the_verdict():
    found = GateContamination(
        report_id=8, contaminated=20, n=180, correct=175, override_reason="규정 원문을 그대로 묻는 문항입니다."
    )

    verdict = _decide(tuned=195, contamination=found)

    assert verdict.passed
    assert "다음 이유로 인정했습니다: 규정 원문을 그대로 묻는 문항입니다." in "\n".join(verdict.reasons)


@pytest.mark.parametrize(("agreeing", "decision"), [(1.0, GateDecision.PASS), (0.6, GateDecision.UNDECIDED)])
def test_a_judge_decides_only_where_it_agrees_with_experts(agreeing, decision):
    (agreement,) = rated(60, agreeing).judges
    licence = judge_may_gate(agreement, judge=agreement.judge)
    judged = report(tuned=195).model_copy(update={"judge": agreement.judge, "judged_cases": 40})

    verdict = decide_gate(judged, GateRequest(evaluation_id=3), judge=licence)

    assert (verdict.decision, verdict.judge_may_gate) == (decision, decision is GateDecision.PASS)
    assert (
        f"문항 40개는 심사 모델이 채점했습니다. {'' if verdict.passed else '판정을 보류합니다. '}{licence.reason}"
        in (verdict.reasons)
    )
