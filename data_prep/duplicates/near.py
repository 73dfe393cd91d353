"""Near duplicates: rows that differ in a few characters, found by MinHash and verified exactly.

A row's fingerprint is the set of character 5-grams of question and answer, without spaces, case and punctuation.
Locality-sensitive hashing proposes pairs, the exact Jaccard similarity of the sets decides. Two rows are never near
duplicates when

- their digits differ: `내선 4312` and `내선 4313` are two facts, however alike the sentences are, or
- their questions alone are less alike than 0.4: paraphrases of one question with one long answer both stay.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from contracts.enums import RemovalReason
from data_prep.normalisation import comparable
from data_prep.removal import Removal
from data_prep.rows import OnProgress, Row

SHINGLE_CHARACTERS = 5
PERMUTATIONS = 128
MIN_QUESTION_SIMILARITY = 0.4
"""A question of 18 characters with one of them changed has 0.47; a true paraphrase has about 0.2."""

_DIGITS = re.compile(r"[0-9]+")
_BATCH_ROWS = 1000
_REMEMBERED_SETS = 2000


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
    parents = list(range(len(rows)))
    for first, second in _verified_pairs(rows, threshold, on_progress):
        a, b = _root(parents, first), _root(parents, second)
        parents[max(a, b)] = min(a, b)
    kept: dict[int, int] = {}
    roots = [_root(parents, index) for index in range(len(rows))]
    for index, root in enumerate(roots):
        present = kept.get(root)
        if present is None or scores[index] > scores[present]:
            kept[root] = index
    return {
        index: Removal(RemovalReason.NEAR_DUPLICATE, f"nearly the same as {rows[kept[root]].row_id}")
        for index, root in enumerate(roots)
        if kept[root] != index
    }


def _row_shingles(row: Row) -> frozenset[str]:
    return shingles("\n".join(message.content for message in row.messages if message.role != "system"))


def _verified_pairs(rows: Sequence[Row], threshold: float, on_progress: OnProgress | None) -> list[tuple[int, int]]:
    import xxhash
    from datasketch import MinHash, MinHashLSH

    # 16 bands of 8 find 98.6 % of the pairs from Jaccard 0.8 on; below that 32 bands of 4 are needed
    index = MinHashLSH(num_perm=PERMUTATIONS, params=(16, 8) if threshold >= 0.8 else (32, 4))

    # a set of a long answer takes 50 KB: made again when a pair is verified, which few rows need
    @lru_cache(maxsize=_REMEMBERED_SETS)
    def whole(row: int) -> frozenset[str]:
        return _row_shingles(rows[row])

    @lru_cache(maxsize=_REMEMBERED_SETS)
    def question(row: int) -> frozenset[str]:
        return shingles(rows[row].question)

    numbers = [digits(row) for row in rows]
    pairs = []
    for start in range(0, len(rows), _BATCH_ROWS):
        block = [[shingle.encode() for shingle in _row_shingles(row)] for row in rows[start : start + _BATCH_ROWS]]
        signatures = MinHash.generator(block, num_perm=PERMUTATIONS, seed=1, hashfunc=xxhash.xxh32_intdigest)
        for here, signature in enumerate(signatures, start):
            for other in sorted(index.query(signature)):
                if (
                    numbers[here] == numbers[other]
                    and jaccard(whole(here), whole(other)) >= threshold
                    and jaccard(question(here), question(other)) >= MIN_QUESTION_SIMILARITY
                ):
                    pairs.append((other, here))
            index.insert(here, signature)
        if on_progress is not None:
            on_progress("looking for near duplicates", min(start + _BATCH_ROWS, len(rows)), len(rows))
    return pairs


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index
