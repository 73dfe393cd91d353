"""Which pairs of rows are worth comparing, and whether they are near duplicates: bands propose, sets decide."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.data_policy import DuplicatePolicy
from contracts.enums import DuplicateMode
from data_prep.duplicates.fingerprints import Fingerprints, check_recipe, compared_text
from data_prep.duplicates.shingles import PERMUTATIONS, ShingleSets
from data_prep.rows import OnProgress, Row

RowsAt = Callable[[Sequence[int]], list[Row]]
"""Rows by their index; called with ascending indexes."""
Indexes = NDArray[np.int64]

MIN_BAND_RECALL = 0.998
"""Share of the pairs exactly at the threshold that meet in a band; more similar ones meet more often."""
ESTIMATE_ERRORS = 4.5
"""A pair is not compared whose signatures promise less than the threshold by more standard errors than this."""

_ROWS_AT_ONCE = 16_384
_PAIRS_AT_ONCE = 8_192
_SHINGLES_IN_MEMORY = 40_000_000
_SHINGLES_FETCHED_AT_ONCE = 4_000_000
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def bands_for(threshold: float) -> tuple[int, int]:
    """(bands, rows of a band) of the 128 permutations: the longest bands in which enough of the pairs meet."""
    fitting = [
        (PERMUTATIONS // rows, rows)
        for rows in range(1, 17)
        if 1 - (1 - threshold**rows) ** (PERMUTATIONS // rows) >= MIN_BAND_RECALL
    ]
    return fitting[-1]


class Candidates:
    """Rows by their index over all chunks, with what is needed to compare pairs of them."""

    def __init__(
        self,
        chunks: Sequence[Fingerprints],
        rows_at: RowsAt,
        policy: DuplicatePolicy,
        threshold: float,
        on_progress: OnProgress | None = None,
    ) -> None:
        for chunk in chunks:
            check_recipe(chunk, policy)
        self.policy = policy
        self.threshold = threshold
        self.rows_at = rows_at
        self._chunks = chunks
        self._on_progress = on_progress
        self._starts = np.concatenate(([0], np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64)))
        self.numbers = self._column("numbers", np.uint64)
        self.sizes = self._column("size", np.int64)

    def __len__(self) -> int:
        """How many rows."""
        return int(self._starts[-1])

    def report(self, what: str, done: int, total: int) -> None:
        """Tell the caller how far the work is."""
        if self._on_progress is not None:
            self._on_progress(what, done, total)

    def content(self) -> NDArray[np.uint64]:
        """(rows, 2) content keys."""
        return np.concatenate([np.empty((0, 2), np.uint64), *(chunk.content for chunk in self._chunks)])

    def signatures(self, indexes: Indexes) -> NDArray[np.uint32]:
        """Signatures of some rows, gathered from the chunks."""
        if len(self._chunks) == 1:
            return self._chunks[0].signatures[indexes]
        gathered = np.empty((len(indexes), PERMUTATIONS), np.uint32)
        order = np.argsort(indexes)
        ordered = indexes[order]
        cuts = np.searchsorted(ordered, self._starts)
        for chunk, offset, begin, end in zip(self._chunks, self._starts, cuts, cuts[1:], strict=False):
            if begin < end:
                gathered[order[begin:end]] = chunk.signatures[ordered[begin:end] - offset]
        return gathered

    def band_keys(self, indexes: Indexes) -> NDArray[np.uint64]:
        """(bands, rows): equal where all values of a band are equal, and the numbers where the policy minds them."""
        bands, width = bands_for(self.threshold)
        keys = np.empty((bands, len(indexes)), np.uint64)
        by_source = np.argsort(indexes)
        for start in range(0, len(indexes), _ROWS_AT_ONCE):
            here = by_source[start : start + _ROWS_AT_ONCE]
            rows = indexes[here]
            columns = np.ascontiguousarray(self.signatures(rows).T)
            first = self.numbers[rows] if self.policy.numbers_differ else np.zeros(len(rows), np.uint64)
            for band in range(bands):
                key = first.copy()
                for column in columns[band * width : (band + 1) * width]:
                    key ^= column
                    key *= _MULTIPLIER
                    key ^= key >> np.uint64(32)
                keys[band, here] = key
        return keys

    def likely(self, first: Indexes, second: Indexes) -> NDArray[np.bool_]:
        """Whether the numbers are equal and the signatures do not speak against a similarity of the threshold."""
        chosen = np.ones(len(first), bool)
        if self.policy.numbers_differ:
            chosen = self.numbers[first] == self.numbers[second]
        error = np.sqrt(self.threshold * (1 - self.threshold) / PERMUTATIONS)
        needed = int(np.ceil((self.threshold - ESTIMATE_ERRORS * error) * PERMUTATIONS))
        at = np.flatnonzero(chosen)
        for start in range(0, len(at), _PAIRS_AT_ONCE):
            here = at[start : start + _PAIRS_AT_ONCE]
            equal = self.signatures(first[here]) == self.signatures(second[here])
            # eight booleans are added at once: no byte of the sum exceeds 128
            sums = equal.view(np.uint64).sum(axis=1) * np.uint64(0x0101010101010101) >> np.uint64(56)
            chosen[here] = sums >= needed
        return chosen

    def similarities(
        self, first: Indexes, second: Indexes, *, judged: bool = True, what: str = "comparing rows"
    ) -> NDArray[np.float64]:
        """Exact Jaccard similarity of each pair, in any order of pairs; -1 where they are no near duplicates.

        With `judged` False every pair gets its similarity. Rows are fetched in ascending order, each once for some
        hundred thousand pairs, and no more of them are held than make 40 million shingles.
        """
        found = np.full(len(first), -1.0)
        order = np.lexsort((second, first))
        a, b = first[order], second[order]
        new = np.ones(len(a), bool)
        new[1:] = a[1:] != a[:-1]
        work = np.cumsum(self.sizes[b] + np.where(new, self.sizes[a], 0))
        cuts = np.flatnonzero(np.diff(work // _SHINGLES_IN_MEMORY)) + 1
        for start, end in pairwise([0, *cuts.tolist(), len(a)]):
            if start < end:
                found[order[start:end]] = self._similarities(a[start:end], b[start:end], judged)
                self.report(what, end, len(a))
        return found

    def _similarities(self, first: Indexes, second: Indexes, judged: bool) -> NDArray[np.float64]:
        policy = self.policy
        needed, places = np.unique(np.concatenate((first, second)), return_inverse=True)
        a, b = places[: len(first)], places[len(first) :]
        wholes = ShingleSets(policy.shingle_characters)
        floor = policy.min_question_similarity if judged and policy.mode is DuplicateMode.PAIR else 0.0
        questions = ShingleSets(policy.shingle_characters)
        for rows in self.rows_in_slices(needed):
            wholes.add([compared_text(row, policy.mode) for row in rows])
            if floor > 0:
                questions.add([row.question for row in rows])
        found = wholes.jaccard(a, b)
        if judged:
            alike = found >= self.threshold
            if floor > 0:
                at = np.flatnonzero(alike)
                alike[at] = questions.jaccard(a[at], b[at]) >= floor
            found[~alike] = -1
        return found

    def rows_in_slices(self, indexes: Indexes) -> Iterator[list[Row]]:
        """The rows of ascending indexes, some thousand at a time."""
        work = np.cumsum(self.sizes[indexes])
        slices = np.maximum(work // _SHINGLES_FETCHED_AT_ONCE, np.arange(len(indexes)) // _ROWS_AT_ONCE)
        cuts = np.flatnonzero(np.diff(slices)) + 1
        for start, end in pairwise([0, *cuts.tolist(), len(indexes)]):
            if start < end:
                yield self.rows_at(indexes[start:end].tolist())

    def _column(self, name: str, dtype: type) -> NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *(chunk.records[name] for chunk in self._chunks)]).astype(dtype)
