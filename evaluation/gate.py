"""The gate: an evaluation's numbers against the bar, with what the numbers cannot tell said beside them.

`accuracy` is the point rule: right answers ÷ questions of at least the bar pass. A model somewhat below the bar can pass
it by luck, so the chance of that is among the reasons. `accuracy_lower_bound` asks for evidence: it passes when the
one-sided 95 % lower bound lies above the bar, fails when the upper bound lies below it, and is undecided in between.
"""

from collections.abc import Iterator

from contracts.enums import GateDecision, Metric
from contracts.evaluation import Accuracy, EvaluationReport, GateRequest, GateVerdict, SuiteReport
from evaluation.comparison import accuracy_lost
from evaluation.statistics import (
    cases_to_decide,
    lower_bound,
    needed_correct,
    probability_of_passing,
    reaches,
    upper_bound,
)

LUCKY_MARGIN = 0.02
"""How far below the bar the model lies whose chance to pass the point rule is told: 0.88 for a bar of 0.90."""
FORGETTING_MARGIN = 0.05
"""A suite beside the main one that fell by more is a warning."""


def percent(share: float, digits: int = 1) -> str:
    """A share as Korean readers write it: `93.5 %`."""
    return f"{share * 100:.{digits}f} %"


def _p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _with_interval(accuracy: Accuracy) -> str:
    return (
        f"{percent(accuracy.accuracy)}(95 % 신뢰구간 {percent(accuracy.interval.lower)}"
        f"~{percent(accuracy.interval.upper)})"
    )


def _decide_by_accuracy(tuned: Accuracy, bar: float) -> tuple[GateDecision, list[str]]:
    needed = needed_correct(tuned.n, bar)
    if reaches(tuned.correct, tuned.n, bar):
        decision, sentence = GateDecision.PASS, f"합격 기준인 정확도 {percent(bar)} 이상을 충족하여 합격입니다."
    else:
        decision, sentence = (
            GateDecision.FAIL,
            f"합격 기준인 정확도 {percent(bar)}에 {needed - tuned.correct}문항이 모자라 불합격입니다.",
        )
    weaker = bar - LUCKY_MARGIN
    reasons = [sentence]
    if weaker > 0:
        chance = probability_of_passing(weaker, tuned.n, bar)
        reasons.append(
            f"참고: 실제 정확도가 {percent(weaker)}인 모델도 {tuned.n}문항 중 {needed}문항 이상을 맞혀 "
            f"이 기준을 우연히 통과할 확률이 {percent(chance)}입니다."
        )
    return decision, reasons


def _decide_by_lower_bound(tuned: Accuracy, bar: float) -> tuple[GateDecision, list[str]]:
    low, high = lower_bound(tuned.correct, tuned.n), upper_bound(tuned.correct, tuned.n)
    if low > bar:
        return GateDecision.PASS, [
            f"정확도의 95 % 단측 신뢰 하한 {percent(low, 2)}가 기준 {percent(bar)}보다 높아 합격입니다."
        ]
    if high < bar:
        return GateDecision.FAIL, [
            f"정확도의 95 % 단측 신뢰 상한 {percent(high, 2)}조차 기준 {percent(bar)}보다 낮아 불합격입니다."
        ]
    reasons = [
        f"95 % 단측 신뢰 하한 {percent(low, 2)}와 신뢰 상한 {percent(high, 2)} 사이에 기준 {percent(bar)}가 있어 "
        "아직 합격 여부를 판정할 수 없습니다."
    ]
    total = cases_to_decide(tuned.correct, tuned.n, bar)
    if total is None:
        reasons.append("지금의 정답률이 기준과 거의 같아, 문항을 늘려도 판정하기 어렵습니다.")
    else:
        outcome = "합격" if tuned.accuracy > bar else "불합격"
        reasons.append(
            f"지금의 정답률이 이어진다면 문항이 약 {total - tuned.n}개 더 있어야(모두 약 {total}개) {outcome} 판정이 납니다."
        )
    return GateDecision.UNDECIDED, reasons


def _comparison_with_parent(main: SuiteReport) -> Iterator[str]:
    cost = accuracy_lost(main)
    yield (
        f"원본 모델의 정확도는 {_with_interval(main.base)}이고, 압축으로 잃은 정확도는 {cost.lost * 100:.1f} %p"
        f"(95 % 신뢰구간 {cost.interval.lower * 100:.1f}~{cost.interval.upper * 100:.1f} %p)입니다. 새로 틀린 문항은 "
        f"{main.lost}개, 새로 맞힌 문항은 {main.won}개입니다(맥니마 정확 검정, {_p_value(main.mcnemar_p)})."
    )


def _comparison_with_base(main: SuiteReport) -> Iterator[str]:
    yield (
        f"기반 모델의 정확도는 {_with_interval(main.base)}입니다. 학습으로 새로 맞힌 문항은 {main.won}개, "
        f"맞히다가 틀리게 된 문항은 {main.lost}개입니다(맥니마 정확 검정, {_p_value(main.mcnemar_p)})."
    )
    if main.tuned.correct <= main.base.correct:
        yield "경고: 학습한 모델이 기반 모델보다 나아지지 않았습니다. 학습 데이터와 설정을 확인하시기 바랍니다."
    elif main.mcnemar_p >= 0.05:
        yield "경고: 기반 모델과의 차이가 우연일 수 있습니다. 문항을 늘려 다시 비교하시기 바랍니다."


def _warnings(report: EvaluationReport) -> Iterator[str]:
    for extra in report.extras:
        loss = extra.base.accuracy - extra.tuned.accuracy
        if loss > FORGETTING_MARGIN + 1e-12:
            yield (
                f"경고: 추가 문항 ‘{extra.name}’의 정확도가 {percent(extra.base.accuracy)}에서 "
                f"{percent(extra.tuned.accuracy)}로 {loss * 100:.1f} %p 낮아졌습니다({extra.lost}문항을 새로 틀림). "
                + (
                    "기존 지식을 잊었을 수 있으니 기존 자료를 섞어 다시 학습하는 방안을 검토하시기 바랍니다."
                    if report.parent_job_id is None
                    else "압축을 덜 하거나 다른 방식을 검토하시기 바랍니다."
                )
            )
    if report.unstable_answers:
        yield (
            f"경고: 같은 질문을 두 번 했을 때 답이 달라진 경우가 {report.repeated_answers}번 중 "
            f"{report.unstable_answers}번 있습니다. 모델 서버의 설정을 확인하시기 바랍니다."
        )
    left_out = sum(report.main.excluded.values())
    if left_out:
        yield f"참고: 문항 {left_out}개는 이번 평가에서 묻지 않았습니다."


def decide_gate(report: EvaluationReport, request: GateRequest) -> GateVerdict:
    """The verdict on the report's main suite, with its reasons in Korean."""
    tuned = report.main.tuned
    decide = _decide_by_accuracy if request.metric is Metric.ACCURACY else _decide_by_lower_bound
    decision, grounds = decide(tuned, request.accuracy_bar)
    return GateVerdict(
        evaluation_id=report.evaluation_id,
        decision=decision,
        metric=request.metric,
        accuracy_bar=request.accuracy_bar,
        accuracy=tuned.accuracy,
        interval=tuned.interval,
        lower_bound_one_sided=lower_bound(tuned.correct, tuned.n),
        n=tuned.n,
        reasons=[
            f"시험 문항 {tuned.n}개 가운데 {tuned.correct}개를 맞혀 정확도는 {_with_interval(tuned)}이며, "
            f"단측 95 % 신뢰 하한은 {percent(lower_bound(tuned.correct, tuned.n), 2)}입니다.",
            *grounds,
            *(_comparison_with_base if report.parent_job_id is None else _comparison_with_parent)(report.main),
            *_warnings(report),
        ],
    )
