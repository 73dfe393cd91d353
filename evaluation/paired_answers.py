"""Two models' answers to one question, compared: B minus A, from -1 to 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.enums import Preference
from contracts.evaluation import TestCase
from contracts.judging import JudgeEndpoint
from evaluation.answer_scoring import final_answer
from evaluation.asking import REFUSED, Answer
from evaluation.judging.asking import JudgeModel, OnProgress
from evaluation.judging.pairwise import JudgedPair, judge_pairs, pairwise_judging
from evaluation.safety.refusals import refuses
from evaluation.scorers.registry import score_answer, scorer_of
from storage.journal import KeyedJournal

CUT_OFF = "length"
"""Finish reason of an answer that came to the most tokens it may have."""
_WORTH = {Preference.A: -1.0, Preference.B: 1.0}


@dataclass(frozen=True, slots=True)
class AnsweredTwice:
    """A question with both models' answers."""

    case: TestCase
    a: Answer
    b: Answer


@dataclass(frozen=True, slots=True)
class JudgedAnswers:
    """What a judge made of them."""

    differences: Mapping[str, float]
    """By case id."""
    excluded: Mapping[str, int]
    """Questions without a verdict, by reason."""
    consistency: float | None
    """Share of judged pairs on which both orders gave the same verdict; None where none was judged."""
    judge: str
    """Model, prompt and sampling in one word."""


def answers_whole(answer: Answer) -> bool:
    """Something is said to its end, and it is no refusal."""
    said = final_answer(answer.text).strip()
    return bool(said) and answer.finish_reason not in {CUT_OFF, REFUSED} and not refuses(answer.text)


def compare_by_rules(answered: Sequence[AnsweredTwice]) -> dict[str, float]:
    """By case id: the difference of the scorer's scores; of a case that needs a judge, of `answers_whole`."""
    found = {}
    for pair in answered:
        if scorer_of(pair.case).needs_judge:
            a, b = (float(answers_whole(answer)) for answer in (pair.a, pair.b))
        else:
            a, b = (score_answer(pair.case, answer.text).value for answer in (pair.a, pair.b))
        found[pair.case.id] = b - a
    return found


def compare_by_judge(
    answered: Sequence[AnsweredTwice],
    endpoint: JudgeEndpoint,
    judge: JudgeModel,
    journal: KeyedJournal,
    on_progress: OnProgress | None = None,
) -> JudgedAnswers:
    """Each pair in both orders; what changes with the order is a tie.

    The same answer twice is a tie, and no answer at all loses against one: nobody is asked about these.
    """
    judging = pairwise_judging(endpoint)
    differences, pairs = {}, []
    for one in answered:
        a, b = (final_answer(answer.text).strip() for answer in (one.a, one.b))
        if a == b or not a or not b:
            differences[one.case.id] = float(bool(b)) - float(bool(a))
            continue
        pairs.append(
            JudgedPair(
                item_key=one.case.id,
                question=one.case.question,
                answer_a=a,
                answer_b=b,
                references=one.case.accepted_answers,
                criteria=str(one.case.options.get("rubric", "")),
                category=one.case.category,
                source_document=one.case.source_document,
            )
        )
    replies = judge_pairs(pairs, judging, judge, journal, on_progress)
    for key, verdict in replies.verdicts.items():
        differences[key] = _WORTH.get(verdict.winner, 0.0)
    judged = list(replies.verdicts.values())
    return JudgedAnswers(
        differences=differences,
        excluded=replies.exclusion_counts(),
        consistency=sum(one.is_consistent for one in judged) / len(judged) if judged else None,
        judge=judging.conditions.rater,
    )
