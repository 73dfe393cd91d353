"""Two models' answers side by side, each pair judged in both orders: what changes with the order is a tie."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.enums import Preference
from contracts.judging import JudgeEndpoint, PairVerdict, PairwiseReport
from contracts.suites import ScoreEstimate
from evaluation.intervals import mean_estimate, rate_estimate
from evaluation.judging.asking import JudgeModel, JudgeQuestion, Judging, OnProgress, Replies, ask_judge
from evaluation.judging.prompts import load_prompt
from evaluation.judging.replies import PAIRWISE_SCHEMA, winner_in
from evaluation.statistics import mcnemar_exact
from storage.journal import KeyedJournal

DEFAULT_CRITERIA = "정확하고 질문에 맞게 답했는가. 참고 답변이 있으면 그 내용과 어긋나지 않는가."
_A_FIRST, _B_FIRST = "a_first", "b_first"
_WORTH_TO_B = {Preference.A: 0.0, Preference.TIE: 0.5, Preference.BOTH_BAD: 0.5, Preference.B: 1.0}


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """What a judge sees of two answers to one question."""

    item_key: str
    question: str
    answer_a: str
    answer_b: str
    references: Sequence[str] = ()
    criteria: str = ""
    category: str = "general"
    source_document: str | None = None


def pairwise_judging(judge: JudgeEndpoint) -> Judging[tuple[str, str]]:
    """How a judge is asked which of two answers is better."""
    prompt = load_prompt("pairwise")
    return Judging(prompt, PAIRWISE_SCHEMA, winner_in, prompt.conditions(judge), judge.concurrency)


def judge_pairs(
    pairs: Sequence[JudgedPair],
    judging: Judging[tuple[str, str]],
    judge: JudgeModel,
    journal: KeyedJournal,
    on_progress: OnProgress | None = None,
) -> Replies[PairVerdict]:
    """The verdict on every pair by item_key; a pair without a readable reply in both orders is excluded."""
    questions = [
        JudgeQuestion(f"{order}:{pair.item_key}", _question(pair, judging, swapped=order == _B_FIRST))
        for pair in pairs
        for order in (_A_FIRST, _B_FIRST)
    ]
    asked = ask_judge(questions, judging, judge, journal, on_progress)
    replies: Replies[PairVerdict] = Replies(asked_now=asked.asked_now)
    for pair in pairs:
        orders = [f"{order}:{pair.item_key}" for order in (_A_FIRST, _B_FIRST)]
        reasons = [asked.excluded[one] for one in orders if one in asked.excluded]
        if reasons:
            replies.excluded[pair.item_key] = reasons[0]
            continue
        (first, reason), (second, _) = (asked.verdicts[one] for one in orders)
        replies.verdicts[pair.item_key] = _combined(pair.item_key, first, second, reason)
    return replies


def _question(pair: JudgedPair, judging: Judging[tuple[str, str]], *, swapped: bool) -> str:
    first, second = (pair.answer_b, pair.answer_a) if swapped else (pair.answer_a, pair.answer_b)
    return judging.prompt.filled_in(
        {
            "question": pair.question,
            "reference": "\n".join(pair.references),
            "rubric": pair.criteria or DEFAULT_CRITERIA,
            "first": first,
            "second": second,
        }
    )


def _combined(item_key: str, first: str, second: str, reason: str) -> PairVerdict:
    a_first = {"1": Preference.A, "2": Preference.B, "tie": Preference.TIE}[first]
    b_first = {"1": Preference.B, "2": Preference.A, "tie": Preference.TIE}[second]
    winner = a_first if a_first is b_first else Preference.TIE
    return PairVerdict(item_key=item_key, winner=winner, a_first=a_first, b_first=b_first, reason=reason)


def pairwise_report(
    model_a: str,
    model_b: str,
    pairs: Sequence[JudgedPair],
    judging: Judging[tuple[str, str]],
    replies: Replies[PairVerdict],
) -> PairwiseReport:
    """Who wins, how sure that is, and how far the order and the length decided."""
    judged = [pair for pair in pairs if pair.item_key in replies.verdicts]
    verdicts = [replies.verdicts[pair.item_key] for pair in judged]
    wins = Counter(verdict.winner for verdict in verdicts)
    of_category: dict[str, list[JudgedPair]] = defaultdict(list)
    for pair in judged:
        of_category[pair.category].append(pair)
    first_wins = sum((one.a_first is Preference.A) + (one.b_first is Preference.B) for one in verdicts)
    decided = sum((one.a_first is not Preference.TIE) + (one.b_first is not Preference.TIE) for one in verdicts)
    longer = [
        (len(pair.answer_b) > len(pair.answer_a)) == (verdict.winner is Preference.B)
        for pair, verdict in zip(judged, verdicts, strict=True)
        if verdict.winner is not Preference.TIE and len(pair.answer_a) != len(pair.answer_b)
    ]
    return PairwiseReport(
        conditions=judging.conditions,
        model_a=model_a,
        model_b=model_b,
        n=len(judged),
        wins_a=wins[Preference.A],
        wins_b=wins[Preference.B],
        ties=wins[Preference.TIE],
        excluded=replies.exclusion_counts(),
        win_rate_b=_win_rate(judged, replies),
        sign_test_p=mcnemar_exact(wins[Preference.A], wins[Preference.B]),
        consistency=rate_estimate("consistency", sum(one.is_consistent for one in verdicts), len(verdicts)),
        first_position_rate=rate_estimate("first_position_rate", first_wins, decided) if decided else None,
        longer_answer_rate=rate_estimate("longer_answer_rate", sum(longer), len(longer)) if longer else None,
        by_category={category: _win_rate(of, replies) for category, of in sorted(of_category.items())},
    )


def _win_rate(pairs: Sequence[JudgedPair], replies: Replies[PairVerdict]) -> ScoreEstimate:
    return mean_estimate(
        "win_rate_b",
        [_WORTH_TO_B[replies.verdicts[pair.item_key].winner] for pair in pairs],
        [pair.source_document for pair in pairs],
    )
