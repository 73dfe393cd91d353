"""May a judge's verdicts decide a gate? Only a judge that was shown to agree with experts."""

from contracts.evaluation import Interval
from contracts.ratings import Coefficient, JudgeAgreement, JudgeLicence

AGREEMENT_BAR = 0.667
"""Krippendorff 2004 ("Reliability in Content Analysis"): below it not even tentative conclusions are drawn."""
MIN_ITEMS = 50


def judge_may_gate(
    agreement: JudgeAgreement | None, *, judge: str, bar: float = AGREEMENT_BAR, min_items: int = MIN_ITEMS
) -> JudgeLicence:
    """A judge may gate from `min_items` items that experts rated too, with an alpha of at least `bar` on them.

    The point estimate decides; its lower bound is told beside it. `agreement` is None for a judge that shares no item
    with any expert.
    """
    items = 0 if agreement is None else agreement.agreement.items
    alpha = None if agreement is None else agreement.agreement.deciding
    value = None if alpha is None else alpha.value
    shown = "α 없음" if value is None else f"α {value:.3f}{_bounds(alpha.interval if alpha else None)}"
    if items < min_items:
        reason = (
            f"심사 모델의 판정은 합격 여부를 정할 수 없습니다. 전문가도 평가한 문항이 {items}건으로, "
            f"{min_items}건에 {min_items - items}건이 모자랍니다."
        )
    elif value is None:
        reason = (
            "심사 모델의 판정은 합격 여부를 정할 수 없습니다. 모두 같은 값만 주어 일치도를 구할 수 없습니다. "
            "우열이 갈리는 문항을 더 평가하시기 바랍니다."
        )
    elif value < bar:
        reason = f"심사 모델의 판정은 합격 여부를 정할 수 없습니다. 전문가와의 일치도가 {shown}로, 기준 {bar:g}에 못 미칩니다."
    else:
        reason = f"심사 모델이 전문가 평가 {items}건과 기준 {bar:g} 이상으로 일치합니다: {shown}."
    return JudgeLicence(
        judge=judge,
        may_gate=items >= min_items and value is not None and value >= bar,
        alpha=alpha or Coefficient(value=None, interval=None),
        items=items,
        bar=bar,
        min_items=min_items,
        reason=reason,
    )


def _bounds(interval: Interval | None) -> str:
    return "" if interval is None else f"(95 % 신뢰구간 {interval.lower:.3f}~{interval.upper:.3f})"
