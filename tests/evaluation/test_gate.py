"""The verdict and its reasons."""

from typing import Any

import pytest

from contracts.enums import GateDecision, Metric
from contracts.evaluation import GateRequest, GateVerdict
from evaluation.gate import decide_gate
from tests.evaluation.builders import report, suite


def _decide(metric: Metric = Metric.ACCURACY, bar: float = 0.90, **counts: Any) -> GateVerdict:
    return decide_gate(report(**counts), GateRequest(evaluation_id=3, accuracy_bar=bar, metric=metric))


def _reasons(**arguments: Any) -> str:
    return "\n".join(_decide(**arguments).reasons)


@pytest.mark.parametrize(("tuned", "decision"), [(180, GateDecision.PASS), (179, GateDecision.FAIL)])
def test_the_point_rule_passes_from_the_bar_on(tuned, decision):
    assert _decide(tuned=tuned).decision is decision


@pytest.mark.parametrize(
    ("tuned", "decision"),
    [(188, GateDecision.PASS), (187, GateDecision.UNDECIDED), (175, GateDecision.UNDECIDED), (170, GateDecision.FAIL)],
)
def test_the_lower_bound_rule_decides_only_on_evidence(tuned, decision):
    assert _decide(metric=Metric.ACCURACY_LOWER_BOUND, tuned=tuned).decision is decision


def test_only_a_pass_lets_the_model_go_on():
    assert _decide(tuned=190).passed
    assert not _decide(tuned=150).passed
    assert not _decide(metric=Metric.ACCURACY_LOWER_BOUND, tuned=187).passed


def test_the_verdict_carries_the_numbers_it_was_made_from():
    verdict = _decide(tuned=187)
    assert (verdict.evaluation_id, verdict.n, verdict.accuracy) == (3, 200, 0.935)
    assert verdict.lower_bound_one_sided == pytest.approx(0.89864, abs=5e-6)
    assert verdict.interval.lower == pytest.approx(0.89198, abs=5e-6)


def test_the_reasons_say_accuracy_interval_and_lower_bound():
    assert _decide(tuned=187).reasons[0] == (
        "시험 문항 200개 가운데 187개를 맞혀 정확도는 93.5 %(95 % 신뢰구간 89.2 %~96.2 %)이며, "
        "단측 95 % 신뢰 하한은 89.86 %입니다."
    )


def test_the_reasons_say_how_easily_a_weaker_model_passes():
    assert (
        "실제 정확도가 88.0 %인 모델도 200문항 중 180문항 이상을 맞혀 이 기준을 우연히 통과할 확률이 22.7 %"
        in _reasons(tuned=185)
    )


def test_a_failure_says_how_many_answers_are_missing():
    assert "4문항이 모자라 불합격" in _reasons(tuned=176)


def test_an_undecided_verdict_says_how_many_cases_would_decide():
    assert "문항이 약 27개 더 있어야(모두 약 227개) 합격 판정이 납니다." in _reasons(
        metric=Metric.ACCURACY_LOWER_BOUND, tuned=187
    )


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
