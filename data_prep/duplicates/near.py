"""Near duplicates: rows that differ in a few characters, found by MinHash and verified exactly.

A row's fingerprint is the set of character 5-grams of question and answer, without spaces, case and punctuation.
Locality-sensitive hashing proposes pairs, the Jaccard similarity of the sets decides. This page states the rule plainly,
for one pair; `finding` applies it to a million rows. Two rows are never near
duplicates when

- their digits differ: `내선 4312` and `내선 4313` are two facts, however alike the sentences are, or
- their questions alone are less alike than 0.4: paraphrases of one question with one long answer both stay.
"""

import re
from collections.abc import Sequence

import numpy as np

from contracts.data_policy import DuplicatePolicy
from contracts.enums import RemovalReason
from data_prep.duplicates.finding import find_duplicates
from data_prep.duplicates.fingerprints import fingerprint_rows
from data_prep.duplicates.shingles import PERMUTATIONS
from data_prep.normalisation import comparable
from data_prep.removal import Removal
from data_prep.rows import OnProgress, Row

SHINGLE_CHARACTERS = 5
MIN_QUESTION_SIMILARITY = 0.4
"""A question of 18 characters with one of them changed has 0.47; a true paraphrase has about 0.2."""

__all__ = ["PERMUTATIONS", "are_near_duplicates", "digits", "find_near_duplicates", "jaccard", "shingles"]

_POLICY = DuplicatePolicy(shingle_characters=SHINGLE_CHARACTERS, min_question_similarity=MIN_QUESTION_SIMILARITY)
_DIGITS = re.compile(r"[0-9]+")


def shingles(text: str) -> frozenset[str]:
    """Character 5-grams of the comparable text; a shorter text is its own only shingle."""
    compared = comparable(text)
    last = max(len(compared) - SHINGLE_CHARACTERS, 0)
    return frozenset(compared[start : start + SHINGLE_CHARACTERS] for start in range(last + 1))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared share of two sets."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared) if first or second else 1.0


def digits(row: Row) -> tuple[str, ...]:
    """Every number of the row, in order."""
    return tuple(number for message in row.messages for number in _DIGITS.findall(message.content))


def are_near_duplicates(first: Row, second: Row, threshold: float) -> bool:
    """The exact rule, without hashing."""
    return (
        digits(first) == digits(second)
        and jaccard(_row_shingles(first), _row_shingles(second)) >= threshold
        and jaccard(shingles(first.question), shingles(second.question)) >= MIN_QUESTION_SIMILARITY
    )


def find_near_duplicates(
    rows: Sequence[Row], scores: Sequence[float], threshold: float, on_progress: OnProgress | None = None
) -> dict[int, Removal]:
    """Index of every row to be removed: of each cluster the best-scored row stays, of these the first.

    Clusters are connected components of verified pairs. Deterministic: same rows in the same order, same result.
    """
    found = find_duplicates(
        [fingerprint_rows(rows, _POLICY)],
        np.asarray(scores, np.float64),
        lambda indexes: [rows[index] for index in indexes],
        _POLICY,
        threshold,
        on_progress,
    )
    return {
        index: Removal(RemovalReason.NEAR_DUPLICATE, f"nearly the same as {rows[kept].row_id}")
        for index, kept in enumerate(found.kept_by.tolist())
        if kept != index
    }


def _row_shingles(row: Row) -> frozenset[str]:
    return shingles("\n".join(message.content for message in row.messages if message.role != "system"))
