"""How much of an accepted answer stands in the answer: F1 over morphemes or characters, and ROUGE-L.

F1 counts each morpheme or character as often as both texts have it (SQuAD; KorQuAD counts characters), on normal forms
and without particles, copula and endings. ROUGE-L (Lin, 2004) is the F-measure with β = 1 of the longest common
subsequence of all morphemes.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from contracts.evaluation import TestCase
from evaluation.scorers.morphemes import content_morphemes, morphemes
from evaluation.scorers.normal_form import comparable
from evaluation.scorers.score import Score, best


def token_f1(case: TestCase, answer: str) -> Score:
    """F1 over the morphemes that carry meaning; the best of the accepted answers."""
    return _best(case, answer, lambda given, wanted: counted_f1(content_morphemes(given), content_morphemes(wanted)))


def character_f1(case: TestCase, answer: str) -> Score:
    """F1 over the characters of the normal forms, without spaces; the best of the accepted answers."""
    return _best(case, answer, lambda given, wanted: counted_f1(comparable(given), comparable(wanted)))


def rouge_l(case: TestCase, answer: str) -> Score:
    """ROUGE-L over all morphemes; the best of the accepted answers."""
    return _best(case, answer, lambda given, wanted: subsequence_f1(morphemes(given), morphemes(wanted)))


def counted_f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    """2·common ÷ (given + wanted), each item as often as both have it; 0 where one has none."""
    common = (Counter(given) & Counter(wanted)).total()
    return 2 * common / (len(given) + len(wanted)) if common else 0.0


def subsequence_f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    """2·LCS ÷ (given + wanted); 0 where one has none."""
    common = longest_common_subsequence(given, wanted)
    return 2 * common / (len(given) + len(wanted)) if common else 0.0


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Its length, by bits (Hyyrö, 2004): one big integer an item of `second`."""
    places: dict[str, int] = {}
    for index, item in enumerate(first):
        places[item] = places.get(item, 0) | 1 << index
    everywhere = (1 << len(first)) - 1
    zeros = everywhere
    for item in second:
        matches = zeros & places.get(item, 0)
        zeros = ((zeros + matches) | (zeros - matches)) & everywhere
    return len(first) - zeros.bit_count()


def _best(case: TestCase, answer: str, f1: Callable[[str, str], float]) -> Score:
    return best(Score(f1(answer, accepted)) for accepted in case.accepted_answers)
