"""The answer is an accepted answer and nothing else, however it is written."""

from contracts.evaluation import TestCase
from evaluation.scorers.morphemes import without_case_particles
from evaluation.scorers.normal_form import comparable, is_followed_by_an_ending
from evaluation.scorers.score import RIGHT, WRONG, Score


def exact(case: TestCase, answer: str) -> Score:
    """1 where the normal forms agree but for spaces, particles that only mark a part of the sentence, and the copula."""
    return RIGHT if any(is_the_same(answer, accepted) for accepted in case.accepted_answers) else WRONG


def is_the_same(answer: str, accepted: str) -> bool:
    """`5년입니다.` is `5 년`; `영업처의 소관` is `영업처 소관`; `영업처장` is not `영업처`."""
    # a text has no spelling that is so much longer
    if len(answer) > 20 * len(accepted) + 200:
        return False
    given, wanted = comparable(answer), comparable(accepted)
    if not wanted or not given:
        return False
    if given == wanted or is_followed_by_an_ending(given, wanted):
        return True
    if len(given) > 2 * len(wanted) + 10:
        return False
    return without_case_particles(answer) == without_case_particles(accepted) != ""
