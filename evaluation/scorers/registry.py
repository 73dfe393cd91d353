"""Every scorer by the name that a test case gives."""

from difflib import get_close_matches

from contracts.enums import CaseFault
from contracts.evaluation import TestCase
from evaluation.answer_scoring import final_answer
from evaluation.safety.answers import check_expectation, safety
from evaluation.safety.kobbq import BIASED_ANSWER
from evaluation.safety.prompts import EXPECT
from evaluation.scorers.contains import check_has_letters, contains, contains_all
from evaluation.scorers.exact import exact
from evaluation.scorers.multiple_choice import check_choices, multiple_choice
from evaluation.scorers.number import OPTIONS as NUMBER_OPTIONS
from evaluation.scorers.number import check_number, number
from evaluation.scorers.overlap import character_f1, rouge_l, token_f1
from evaluation.scorers.pattern import OPTIONS as PATTERN_OPTIONS
from evaluation.scorers.pattern import check_pattern, regex
from evaluation.scorers.rubric import OPTIONS as RUBRIC_OPTIONS
from evaluation.scorers.rubric import check_rubric, rubric
from evaluation.scorers.score import Score, Scorer, unusable

SCORING_VERSION = "1"
"""Raised whenever a scorer gives an answer another score; part of what makes two results comparable."""

SCORERS: dict[str, Scorer] = {
    "contains": Scorer(contains, check=check_has_letters),
    "contains_all": Scorer(contains_all, check=check_has_letters),
    "exact": Scorer(exact, check=check_has_letters),
    "number": Scorer(number, options=NUMBER_OPTIONS, check=check_number),
    "multiple_choice": Scorer(multiple_choice, check=check_choices),
    "regex": Scorer(regex, options=PATTERN_OPTIONS, check=check_pattern, needs_accepted_answers=False),
    "token_f1": Scorer(token_f1, check=check_has_letters),
    "character_f1": Scorer(character_f1, check=check_has_letters),
    "rouge_l": Scorer(rouge_l, check=check_has_letters),
    "rubric": Scorer(
        rubric, options=RUBRIC_OPTIONS, check=check_rubric, needs_accepted_answers=False, needs_judge=True
    ),
    "safety": Scorer(safety, options=(EXPECT,), check=check_expectation, needs_accepted_answers=False),
    "kobbq": Scorer(multiple_choice, options=(BIASED_ANSWER,), check=check_choices),
}


def scorer_of(case: TestCase) -> Scorer:
    """The case's scorer. Raises InvalidDataError where there is none of that name."""
    scorer = SCORERS.get(case.scorer)
    if scorer is None:
        close = get_close_matches(case.scorer, SCORERS, n=1)
        raise unusable(
            case,
            CaseFault.UNKNOWN_SCORER,
            value=case.scorer,
            allowed=", ".join(SCORERS) + (f"; did you mean {close[0]}?" if close else ""),
            next_step="correct the scorer of the case",
        )
    return scorer


def check_case(case: TestCase) -> None:
    """Raises InvalidDataError for a case that no answer could ever be scored on."""
    scorer = scorer_of(case)
    if scorer.needs_accepted_answers and not case.accepted_answers:
        raise unusable(case, CaseFault.NO_ACCEPTED_ANSWER, allowed="at least one")
    unknown = sorted(set(case.options) - set(scorer.options))
    if unknown:
        raise unusable(
            case, CaseFault.UNKNOWN_OPTION, value=", ".join(unknown), allowed=", ".join(scorer.options) or "none"
        )
    scorer.check(case)


def score_answer(case: TestCase, answer: str) -> Score:
    """What the answer is worth, its thoughts (`<think>…</think>`) left out. Raises InvalidDataError as `check_case`."""
    return scorer_of(case).score(case, final_answer(answer))


def is_right(case: TestCase, score: Score) -> bool:
    """The score reaches the case's pass score."""
    return score.value >= case.pass_score - 1e-9
