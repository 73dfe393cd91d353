"""The gate: an evaluation's numbers against the bar, with what the numbers cannot tell said beside them.

`accuracy` is the point rule: a share of right answers above the bar passes. A model somewhat below the bar can pass it by
luck, so the chance of that is among the reasons. `accuracy_lower_bound` asks for evidence: it passes when the one-sided
95 % lower bound lies above the bar, fails when the upper bound lies below it, and is undecided in between. Both rules are
told, whichever decides.

Whatever the rule says, a model does not pass

- while its training rows hold cases of the suite and nobody has said why these may count (undecided),
- while a judge scored cases that agrees with experts too little, or was never compared with them (undecided), and
- when it is worse than the version in production, beyond chance, over all cases or in a category (fail).
"""

from collections.abc import Iterator

from contracts.enums import GateDecision, Metric
from contracts.evaluation import (
    Accuracy,
    EvaluationReport,
    GateContamination,
    GateRequest,
    GateVerdict,
    ProductionComparison,
    SuiteReport,
)
from contracts.ratings import JudgeLicence
from contracts.words import significance
from evaluation.comparison import accuracy_lost
from evaluation.production import SIGNIFICANT
from evaluation.statistics import (
    cases_to_decide,
    chance_of,
    exact_lower_bound,
    exceeds,
    lower_bound,
    needed_correct,
    needed_for_lower_bound,
    upper_bound,
)

WEAKER_BY = 0.02
"""How far below the bar the model lies whose chance to pass is told: 0.88 for a bar of 0.90."""
FORGETTING_MARGIN = 0.05
"""A suite beside the main one that fell by more is a warning."""
LISTED_CASES = 5


def percent(share: float, digits: int = 1) -> str:
    """A share as Korean readers write it: `93.5 %`."""
    return f"{share * 100:.{digits}f} %"


def _with_interval(accuracy: Accuracy) -> str:
    return (
        f"{percent(accuracy.accuracy)}(95 % 신뢰구간 {percent(accuracy.interval.lower)}"
        f"~{percent(accuracy.interval.upper)})"
    )


def by_accuracy(tuned: Accuracy, bar: float) -> GateDecision:
    """The point rule."""
    return GateDecision.PASS if exceeds(tuned.correct, tuned.n, bar) else GateDecision.FAIL


def by_lower_bound(tuned: Accuracy, bar: float) -> GateDecision:
    """The rule that asks for evidence."""
    if lower_bound(tuned.correct, tuned.n) > bar:
        return GateDecision.PASS
    return GateDecision.FAIL if upper_bound(tuned.correct, tuned.n) < bar else GateDecision.UNDECIDED


def weaker_passes(n: int, request: GateRequest) -> float:
    """Chance that a model two points below the bar passes the rule that decides."""
    bar = request.accuracy_bar
    needed = needed_correct(n, bar) if request.metric is Metric.ACCURACY else needed_for_lower_bound(n, bar)
    return 0.0 if needed is None else chance_of(needed, max(0.0, bar - WEAKER_BY), n)


def _ground_of_accuracy(tuned: Accuracy, bar: float) -> str:
    needed = needed_correct(tuned.n, bar)
    if exceeds(tuned.correct, tuned.n, bar):
        return f"정확도가 합격 기준 {percent(bar)}를 넘어 합격입니다({tuned.n}문항 중 {needed}문항부터 합격)."
    return (
        f"정확도가 합격 기준 {percent(bar)}를 넘지 못해 불합격입니다. "
        f"{tuned.n}문항 중 {needed}문항부터 합격이며 {needed - tuned.correct}문항이 모자랍니다."
    )


def _grounds_of_lower_bound(tuned: Accuracy, bar: float) -> list[str]:
    low, high = lower_bound(tuned.correct, tuned.n), upper_bound(tuned.correct, tuned.n)
    if low > bar:
        return [f"정확도의 95 % 단측 신뢰 하한 {percent(low, 2)}가 기준 {percent(bar)}보다 높아 합격입니다."]
    if high < bar:
        return [f"정확도의 95 % 단측 신뢰 상한 {percent(high, 2)}조차 기준 {percent(bar)}보다 낮아 불합격입니다."]
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
    return reasons


def _other_rule(tuned: Accuracy, request: GateRequest) -> str:
    """What the rule that did not decide says."""
    bar = request.accuracy_bar
    words = {GateDecision.PASS: "합격", GateDecision.FAIL: "불합격", GateDecision.UNDECIDED: "판정 보류"}
    if request.metric is Metric.ACCURACY:
        needed = needed_for_lower_bound(tuned.n, bar)
        enough = f"{tuned.n}문항 중 {needed}문항부터 합격" if needed else f"{tuned.n}문항으로는 합격할 수 없음"
        exact = exact_lower_bound(tuned.correct, tuned.n)
        return (
            f"참고: 신뢰 하한 {percent(lower_bound(tuned.correct, tuned.n), 2)}로 판정하면 "
            f"{words[by_lower_bound(tuned, bar)]}입니다({enough}, 정확한 이항 하한은 {percent(exact, 2)})."
        )
    return (
        f"참고: 정확도 {percent(tuned.accuracy)}로 판정하면 {words[by_accuracy(tuned, bar)]}입니다"
        f"({tuned.n}문항 중 {needed_correct(tuned.n, bar)}문항부터 합격)."
    )


def _luck(tuned: Accuracy, request: GateRequest) -> Iterator[str]:
    weaker = request.accuracy_bar - WEAKER_BY
    if weaker > 0:
        yield (
            f"참고: 실제 정확도가 {percent(weaker)}인 모델이 이 기준을 우연히 통과할 확률은 "
            f"{percent(weaker_passes(tuned.n, request))}입니다."
        )


def _comparison_with_parent(main: SuiteReport) -> Iterator[str]:
    cost = accuracy_lost(main)
    yield (
        f"원본 모델의 정확도는 {_with_interval(main.base)}이고, 압축으로 잃은 정확도는 {cost.lost * 100:.1f} %p"
        f"(95 % 신뢰구간 {cost.interval.lower * 100:.1f}~{cost.interval.upper * 100:.1f} %p)입니다. 새로 틀린 문항은 "
        f"{main.lost}개, 새로 맞힌 문항은 {main.won}개입니다(맥니마 정확 검정, {significance(main.mcnemar_p)})."
    )


def _comparison_with_base(main: SuiteReport) -> Iterator[str]:
    yield (
        f"기반 모델의 정확도는 {_with_interval(main.base)}입니다. 학습으로 새로 맞힌 문항은 {main.won}개, "
        f"맞히다가 틀리게 된 문항은 {main.lost}개입니다(맥니마 정확 검정, {significance(main.mcnemar_p)})."
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


def _listed(cases: list[str]) -> str:
    rest = len(cases) - LISTED_CASES
    return ", ".join(cases[:LISTED_CASES]) + (f" 외 {rest}개" if rest > 0 else "")


def _comparison_with_production(production: ProductionComparison) -> Iterator[str]:
    if production.missing is not None:
        yield f"운영 중인 {production.title}과(와) 비교하지 못했습니다: {production.missing}"
        return
    assert production.production is not None
    assert production.candidate is not None
    assert production.mcnemar_p is not None
    yield (
        f"운영 중인 {production.title}은(는) 같은 {production.n}문항에서 {percent(production.production)}, 새 모델은 "
        f"{percent(production.candidate)}입니다. 새로 맞힌 문항 {len(production.won_cases)}개, 새로 틀린 문항 "
        f"{len(production.lost_cases)}개(맥니마 정확 검정, {significance(production.mcnemar_p)})."
    )
    if production.lost_cases:
        yield f"운영 모델은 맞히고 새 모델은 틀린 문항: {_listed(production.lost_cases)}"
    if is_worse(production):
        yield "새 모델이 운영 중인 모델보다 못하며, 그 차이는 우연이 아닙니다. 불합격입니다."
    for category in production.categories:
        if category.regressed:
            yield (
                f"분류 ‘{category.category}’에서 {percent(category.production)}에서 {percent(category.candidate)}로 "
                f"떨어졌으며({category.n}문항, {significance(category.p_value)}) 우연이 아니어서 불합격입니다."
            )
        elif category.production - category.candidate > FORGETTING_MARGIN:
            yield (
                f"경고: 분류 ‘{category.category}’에서 {percent(category.production)}에서 "
                f"{percent(category.candidate)}로 낮아졌습니다({category.n}문항, 우연일 수 있음)."
            )


def is_worse(production: ProductionComparison) -> bool:
    """The candidate lost more cases than it won, beyond chance."""
    return (
        production.mcnemar_p is not None
        and production.mcnemar_p < SIGNIFICANT
        and len(production.lost_cases) > len(production.won_cases)
    )


def _contamination(found: GateContamination) -> Iterator[str]:
    if not found.contaminated:
        return
    without = (
        f"겹치지 않는 {found.n}문항의 정확도는 {percent(found.correct / found.n)}입니다."
        if found.n
        else "겹치지 않는 문항이 없습니다."
    )
    if found.override_reason is None:
        yield (
            f"시험 문항 {found.contaminated}개가 학습 데이터와 겹쳐 판정을 보류합니다. {without} "
            f"겹치는 쌍은 오염 보고서 {found.report_id}번에 있습니다. 겹치는 행을 빼고 다시 학습하거나, "
            "그대로 인정할 이유를 적어 다시 판정하시기 바랍니다."
        )
    else:
        yield (
            f"경고: 시험 문항 {found.contaminated}개가 학습 데이터와 겹치지만 다음 이유로 인정했습니다: "
            f"{found.override_reason} {without}"
        )


def _judged(judge: JudgeLicence, report: EvaluationReport) -> Iterator[str]:
    lead = "" if judge.may_gate else "판정을 보류합니다. "
    yield f"문항 {report.judged_cases}개는 심사 모델이 채점했습니다. {lead}{judge.reason}"


def decide_gate(
    report: EvaluationReport,
    request: GateRequest,
    *,
    production: ProductionComparison | None = None,
    contamination: GateContamination | None = None,
    judge: JudgeLicence | None = None,
) -> GateVerdict:
    """The verdict on the report's main suite, with its reasons in Korean."""
    tuned, bar = report.main.tuned, request.accuracy_bar
    point, evidence = by_accuracy(tuned, bar), by_lower_bound(tuned, bar)
    is_point_rule = request.metric is Metric.ACCURACY
    decision = point if is_point_rule else evidence
    if production is not None and (is_worse(production) or any(one.regressed for one in production.categories)):
        decision = GateDecision.FAIL
    if contamination is not None and contamination.contaminated and contamination.override_reason is None:
        decision = GateDecision.UNDECIDED
    if judge is not None and not judge.may_gate:
        decision = GateDecision.UNDECIDED
    total = cases_to_decide(tuned.correct, tuned.n, bar) if evidence is GateDecision.UNDECIDED else None
    return GateVerdict(
        evaluation_id=report.evaluation_id,
        decision=decision,
        metric=request.metric,
        accuracy_bar=bar,
        accuracy=tuned.accuracy,
        interval=tuned.interval,
        lower_bound_one_sided=lower_bound(tuned.correct, tuned.n),
        n=tuned.n,
        needed_correct=needed_correct(tuned.n, bar),
        by_accuracy=point,
        by_lower_bound=evidence,
        weaker_accuracy=max(0.0, bar - WEAKER_BY),
        weaker_passes=weaker_passes(tuned.n, request),
        cases_to_decide=None if total is None else total - tuned.n,
        production=production,
        contamination=contamination,
        judge=None if judge is None else judge.judge,
        judge_may_gate=None if judge is None else judge.may_gate,
        reasons=[
            f"시험 문항 {tuned.n}개 가운데 {tuned.correct}개를 맞혀 정확도는 {_with_interval(tuned)}이며, "
            f"단측 95 % 신뢰 하한은 {percent(lower_bound(tuned.correct, tuned.n), 2)}입니다.",
            *(_contamination(contamination) if contamination is not None else ()),
            *(_judged(judge, report) if judge is not None else ()),
            *([_ground_of_accuracy(tuned, bar)] if is_point_rule else _grounds_of_lower_bound(tuned, bar)),
            _other_rule(tuned, request),
            *_luck(tuned, request),
            *(_comparison_with_production(production) if production is not None else ()),
            *(_comparison_with_base if report.parent_job_id is None else _comparison_with_parent)(report.main),
            *_warnings(report),
        ],
    )
