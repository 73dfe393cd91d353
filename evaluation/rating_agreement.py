"""A task's ratings compared: experts among each other, and every judge with the experts' common opinion."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from contracts.enums import MeasurementLevel, Preference, RatingKind
from contracts.preferences import PreferencePair
from contracts.ratings import SCORES, AgreementReport, JudgeAgreement, Rating, RatingCounts, RatingItem, RatingTask
from evaluation.agreement import agreement, common_opinion, confusion, confusion_by_category

_LABELS = {RatingKind.PAIRWISE: (Preference.A, Preference.TIE, Preference.B), RatingKind.RUBRIC: SCORES}
_LEVELS = {RatingKind.PAIRWISE: MeasurementLevel.NOMINAL, RatingKind.RUBRIC: MeasurementLevel.ORDINAL}
_UNDECIDED = {RatingKind.PAIRWISE: Preference.TIE.value, RatingKind.RUBRIC: "3"}
EXPERTS = "experts"
"""The common opinion beside a judge."""


def agreement_report(task: RatingTask, ratings: Sequence[Rating]) -> AgreementReport:
    """How far everybody agrees. Two bad answers count as a tie here: a judge knows no fourth value."""
    labels, level = _LABELS[task.kind], _LEVELS[task.kind]
    by_item: dict[str, dict[str, str]] = defaultdict(dict)
    by_judge: dict[str, dict[str, str]] = defaultdict(dict)
    categories = {}
    counts: dict[str, int] = defaultdict(int)
    for rating in ratings:
        value = _beside_a_judge(rating.value)
        categories[rating.item_key] = rating.category
        counts[rating.rater] += 1
        if rating.is_by_judge:
            by_judge[rating.rater][rating.item_key] = value
        else:
            by_item[rating.item_key][rating.rater] = value
    experts = {rater for of_item in by_item.values() for rater in of_item}
    opinion = common_opinion(by_item, labels, level, _UNDECIDED[task.kind])
    return AgreementReport(
        task=task,
        counts=RatingCounts(task=task.name, items=task.items, by_rater=dict(sorted(counts.items()))),
        experts=agreement(by_item, labels, level) if len(experts) > 1 else None,
        judges=[
            _beside_experts(judge, verdicts, opinion, categories, labels, level)
            for judge, verdicts in sorted(by_judge.items())
        ],
    )


def judge_agreement(judge: str, kind: RatingKind, ratings: Sequence[Rating]) -> JudgeAgreement | None:
    """One judge beside the experts on whatever items both rated; None where there is none."""
    labels, level = _LABELS[kind], _LEVELS[kind]
    by_item: dict[str, dict[str, str]] = defaultdict(dict)
    verdicts, categories = {}, {}
    for rating in ratings:
        value = _beside_a_judge(rating.value)
        categories[rating.item_key] = rating.category
        if rating.rater == judge:
            verdicts[rating.item_key] = value
        elif not rating.is_by_judge:
            by_item[rating.item_key][rating.rater] = value
    opinion = common_opinion(by_item, labels, level, _UNDECIDED[kind])
    if not verdicts.keys() & opinion.keys():
        return None
    return _beside_experts(judge, verdicts, opinion, categories, labels, level)


def _beside_a_judge(value: str) -> str:
    return Preference.TIE.value if value == Preference.BOTH_BAD else value


def expert_pairs_of(items: Sequence[RatingItem], ratings: Sequence[Rating]) -> list[PreferencePair]:
    """The items on which the experts' common opinion names a winner, as pairs to learn from."""
    by_item: dict[str, dict[str, str]] = defaultdict(dict)
    for rating in ratings:
        if not rating.is_by_judge:
            by_item[rating.item_key][rating.rater] = rating.value
    opinion = common_opinion(by_item, tuple(Preference), MeasurementLevel.NOMINAL, Preference.TIE)
    pairs = []
    for item in items:
        answers = {Preference.A.value: item.answer_a, Preference.B.value: item.answer_b or ""}
        better = answers.pop(opinion.get(item.item_key, ""), None)
        if better and len(answers) == 1 and (worse := next(iter(answers.values()))):
            pairs.append(
                PreferencePair(prompt=[{"role": "user", "content": item.question}], chosen=better, rejected=worse)
            )
    return pairs


def _beside_experts(
    judge: str,
    verdicts: Mapping[str, str],
    opinion: Mapping[str, str],
    categories: Mapping[str, str],
    labels: Sequence[str],
    level: MeasurementLevel,
) -> JudgeAgreement:
    shared = verdicts.keys() & opinion.keys()
    pairs = {key: {EXPERTS: opinion[key], judge: verdicts[key]} for key in shared}
    return JudgeAgreement(
        judge=judge,
        agreement=agreement(pairs, labels, level),
        confusion=confusion(opinion, verdicts, labels),
        by_category=confusion_by_category(opinion, verdicts, labels, categories),
    )
