"""What a scorer gives, and what it says of itself."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from contracts.enums import CaseFault
from contracts.errors import InvalidDataError
from contracts.evaluation import TestCase
from contracts.words import CASE_FAULTS


@dataclass(frozen=True, slots=True)
class Score:
    """What one answer is worth."""

    value: float
    """0 to 1."""
    remark: str = ""
    """Why, where the number alone does not say it."""


WRONG = Score(0.0)
RIGHT = Score(1.0)

ScoreAnswer = Callable[[TestCase, str], Score]
CheckCase = Callable[[TestCase], None]


def nothing_to_check(case: TestCase) -> None:
    """Any case will do."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """One way to score an answer."""

    score: ScoreAnswer
    """Takes the case and the answer without the model's thoughts; the same score for the same two."""
    options: tuple[str, ...] = ()
    """Names it reads in a case's options; others are refused."""
    check: CheckCase = nothing_to_check
    """Raises InvalidDataError for a case that can never be scored, when the case is brought in."""
    needs_accepted_answers: bool = True
    needs_judge: bool = False
    """A language model scores, after all answers are in; `score` then only says what it can without one."""


def best(scores: Iterable[Score]) -> Score:
    """The highest of the scores, the first of equals; nothing where there is none."""
    return max(scores, key=lambda score: score.value, default=WRONG)


class UnusableCaseError(InvalidDataError):
    """No answer could be scored on the case."""

    code = "unusable_case"
    fault = CaseFault.UNUSABLE


def unusable(
    case: TestCase, fault: CaseFault | str, *, value: object = None, allowed: str = "", next_step: str = ""
) -> UnusableCaseError:
    """The error for a case that its scorer cannot score. A fault without a member is told in English."""
    what = CASE_FAULTS[fault].english if isinstance(fault, CaseFault) else fault
    error = UnusableCaseError(
        f"The test case {case.id} cannot be scored by {case.scorer}: {what}",
        value=value,
        allowed=allowed,
        next_step=next_step or "correct the case; `tuneway suite template` writes a file that explains each scorer",
    )
    if isinstance(fault, CaseFault):
        error.fault = fault
    return error
