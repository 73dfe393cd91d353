"""Duplicates among all rows of a dataset, and rows that another dataset already has.

    exact      rows with equal content keys
    near       rows that meet in a band, whose signatures agree, and whose shingle sets are similar enough
    clusters   connected components of these pairs; the best-scored row stays, of equal ones the first

Every pair that is reported is verified. Of the pairs that meet in a band, all are compared while at most 256 rows that
are not one cluster yet meet there. In a larger meeting (thousands of questions with one long answer) a row is compared
with the best row, with its neighbours, and with rows whose questions or other bands are equal too: linear in the rows,
and nearly, but not provably, complete.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.data_policy import DuplicatePolicy
from contracts.enums import DuplicateMode
from data_prep.duplicates.fingerprints import Fingerprints
from data_prep.duplicates.pairs import Candidates, Indexes, RowsAt
from data_prep.duplicates.shingles import compared_characters, hash_shingles, minhash_signatures
from data_prep.rows import OnProgress, Row

COMPARED_IN_FULL = 256
"""Rows that meet in one band up to which all their pairs are compared."""
REFERENCE_ROWS = 64
"""Rows of a reference with which a row is compared that meets them in one band."""

_NEIGHBOURS = 3
_OTHER_BANDS = 6
_LARGE_MEETINGS = 4
"""How often a row takes part in a large meeting: similar rows meet in several bands."""
_QUESTION_BANDS = 32
_PENDING_PAIRS = 2_000_000


class Reason(IntEnum):
    """Why a row is a duplicate."""

    NONE = 0
    EXACT = 1
    """Another row says the same with the same words."""
    NEAR = 2


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What became of each row."""

    kept_by: NDArray[np.int64]
    """Index of the row that stays instead; its own where the row stays."""
    reason: NDArray[np.uint8]
    """A `Reason` for each row: by which rule it goes."""
    similarity: NDArray[np.float32]
    """Jaccard similarity with the row that stays. In a chain of similar rows it can be below the threshold."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Rows of which one stays."""

    kept: int
    removed: tuple[int, ...]
    best_quality: bool
    """True: the kept row has a better score than every other. False: it is the first of the best."""


@dataclass(frozen=True, slots=True)
class Matches:
    """Which rows a reference has too."""

    other: NDArray[np.int64]
    """Index of the most similar row of the reference, -1 where there is none."""
    reason: NDArray[np.uint8]
    similarity: NDArray[np.float32]
    """Jaccard similarity with it; 0 where there is none."""


def find_duplicates(
    fingerprints: Sequence[Fingerprints],
    scores: NDArray[np.floating[Any]],
    rows_at: RowsAt,
    policy: DuplicatePolicy,
    threshold: float,
    on_progress: OnProgress | None = None,
) -> Duplicates:
    """Which rows go, and which stay instead. `rows_at` fetches rows by their index over all chunks, ascending.

    Deterministic: same rows, scores, policy and threshold give the same outcome, whatever the chunks. Beside the
    fingerprints it needs about 0.5 KB a row and 0.7 GB.
    """
    rows = Candidates(fingerprints, rows_at, policy, threshold, on_progress)
    # from here on rows are numbered by preference: the lower of two is the one that stays
    by_preference = np.lexsort((np.arange(len(rows)), -np.asarray(scores, np.float64)))
    stands_for = _first_of_equals(rows.content()[by_preference], rows.sizes[by_preference] > 0)
    distinct = np.flatnonzero((stands_for == np.arange(len(rows))) & (rows.sizes[by_preference] > 0))

    search = _Search(rows, by_preference[distinct])
    search.link_to_the_best()
    search.compare_the_rest()
    similarity = search.similarity_to_kept()

    kept_of = np.arange(len(rows))
    kept_of[distinct] = distinct[search.cluster]
    near = kept_of != np.arange(len(rows))
    similarity_of = np.ones(len(rows))
    similarity_of[distinct] = similarity
    exact = stands_for != np.arange(len(rows))

    kept_by = np.empty(len(rows), np.int64)
    kept_by[by_preference] = by_preference[kept_of[stands_for]]
    reason = np.zeros(len(rows), np.uint8)
    reason[by_preference] = np.where(exact, Reason.EXACT, np.where(near, Reason.NEAR, Reason.NONE))
    similarities = np.empty(len(rows), np.float32)
    similarities[by_preference] = similarity_of[stands_for]
    return Duplicates(kept_by, reason, similarities)


def find_pairs(
    fingerprints: Sequence[Fingerprints],
    rows_at: RowsAt,
    policy: DuplicatePolicy,
    threshold: float,
    on_progress: OnProgress | None = None,
) -> list[tuple[int, int]]:
    """Every verified pair, also inside clusters: for measuring. Quadratic in the size of a cluster."""
    rows = Candidates(fingerprints, rows_at, policy, threshold, on_progress)
    search = _Search(rows, np.flatnonzero(rows.sizes > 0), all_pairs=True)
    search.compare_the_rest()
    return sorted(zip(search.first.tolist(), search.second.tolist(), strict=True))


def clusters(duplicates: Duplicates, scores: NDArray[np.floating[Any]]) -> list[Cluster]:
    """The clusters of more than one row, in the order of the rows that stay."""
    removed = np.flatnonzero(duplicates.kept_by != np.arange(len(duplicates.kept_by)))
    kept = duplicates.kept_by[removed]
    order = np.lexsort((removed, kept))
    removed, kept = removed[order], kept[order]
    starts = np.flatnonzero(np.concatenate(([True], kept[1:] != kept[:-1]))) if len(kept) else np.empty(0, np.int64)
    return [
        Cluster(
            kept=int(kept[start]),
            removed=tuple(members.tolist()),
            best_quality=bool((scores[members] < scores[kept[start]]).all()),
        )
        for start, members in zip(starts, np.split(removed, starts[1:]), strict=False)
    ]


def find_against(
    fingerprints: Sequence[Fingerprints],
    reference: Sequence[Fingerprints],
    rows_at: RowsAt,
    reference_rows_at: RowsAt,
    policy: DuplicatePolicy,
    threshold: float,
    on_progress: OnProgress | None = None,
) -> Matches:
    """For each row the most similar row of the reference (another dataset version) that counts as the same.

    Of rows of the reference that are equal to each other the first is named. A row is compared with 64 rows of the
    reference for each band in which it meets more.
    """
    total = sum(len(chunk) for chunk in fingerprints)

    def both(indexes: Sequence[int]) -> list[Row]:
        own = [index for index in indexes if index < total]
        others = [index - total for index in indexes if index >= total]
        return [*(rows_at(own) if own else []), *(reference_rows_at(others) if others else [])]

    rows = Candidates([*fingerprints, *reference], both, policy, threshold, on_progress)
    # the reference's rows first: an equal row then stands for them
    order = np.concatenate((np.arange(total, len(rows)), np.arange(total)))
    stands_for = np.empty(len(rows), np.int64)
    stands_for[order] = order[_first_of_equals(rows.content()[order], rows.sizes[order] > 0)]

    other = np.full(total, -1, np.int64)
    similarity = np.zeros(total, np.float32)
    reason = np.zeros(total, np.uint8)
    equal = stands_for[:total] >= total
    other[equal] = stands_for[:total][equal] - total
    similarity[equal] = 1
    reason[equal] = Reason.EXACT

    own = np.flatnonzero(~equal & (rows.sizes[:total] > 0))
    others = np.flatnonzero((stands_for == np.arange(len(rows))) & (rows.sizes > 0) & (np.arange(len(rows)) >= total))
    first, second = _meetings(rows, own, others)
    found = rows.similarities(first, second)
    near = np.flatnonzero(found >= 0)
    # of the best matches of a row the first of the reference comes last, and stays
    near = near[np.lexsort((-second[near], found[near]))]
    other[first[near]] = second[near] - total
    similarity[first[near]] = found[near]
    reason[first[near]] = Reason.NEAR
    return Matches(other, reason, similarity)


def _meetings(rows: Candidates, own: Indexes, others: Indexes) -> tuple[Indexes, Indexes]:
    """Likely pairs of a row and a row of the reference that meet in a band."""
    codes = np.empty(0, np.int64)
    if len(own) and len(others):
        own_keys, other_keys = rows.band_keys(own), rows.band_keys(others)
        for band in range(len(own_keys)):
            order = np.argsort(other_keys[band], kind="stable")
            ordered = other_keys[band][order]
            left = np.searchsorted(ordered, own_keys[band], "left")
            right = np.minimum(np.searchsorted(ordered, own_keys[band], "right"), left + REFERENCE_ROWS)
            met = np.flatnonzero(left < right)
            added = [codes]
            for step in range(REFERENCE_ROWS):
                met = met[left[met] + step < right[met]]
                if not len(met):
                    break
                pairs = own[met] * len(rows) + others[order[left[met] + step]]
                added.append(pairs[rows.likely(pairs // len(rows), pairs % len(rows))])
            codes = np.unique(np.concatenate(added))
            rows.report("looking for rows of other versions", band + 1, len(own_keys))
    return codes // len(rows), codes % len(rows)


def _first_of_equals(content: NDArray[np.uint64], compared: NDArray[np.bool_]) -> Indexes:
    """For each row the first row with the same content key, itself where it is not compared."""
    stands_for = np.arange(len(content))
    at = np.flatnonzero(compared)
    order = at[np.lexsort((at, content[at, 1], content[at, 0]))]
    ordered = content[order]
    new = np.ones(len(order), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    stands_for[order] = np.repeat(order[starts], np.diff(np.append(starts, len(order))))
    return stands_for


class _Search:
    """Near duplicates among rows that are numbered by preference, and the clusters that they form so far."""

    def __init__(self, rows: Candidates, indexes: Indexes, *, all_pairs: bool = False) -> None:
        self.rows = rows
        self.indexes = indexes
        """Of the rows, in order of preference."""
        self.cluster: Indexes = np.arange(len(indexes))
        """For each row the best row of its cluster."""
        self.first: Indexes = np.empty(0, np.int64)
        self.second: Indexes = np.empty(0, np.int64)
        self.similarity = np.empty(0)
        self._all_pairs = all_pairs
        self._keys = rows.band_keys(indexes)
        self._compared: Indexes = np.empty(0, np.int64)
        self._pending: list[Indexes] = []
        self._question_signatures: NDArray[np.uint32] | None = None

    def link_to_the_best(self) -> None:
        """Compare each row with the best row that it meets in each band."""
        codes = []
        for band in range(len(self._keys)):
            order, starts, lengths = _groups(self._keys[band])
            best = np.repeat(order[starts], lengths)
            codes.append(self._code(best, order)[best != order])
            self.rows.report("looking for near duplicates", band + 1, 2 * len(self._keys))
        self._compared = np.unique(np.concatenate(codes))
        self._verify(self._compared[self._likely(self._compared)])

    def compare_the_rest(self) -> None:
        """Compare the rows that meet in a band and are not in one cluster yet."""
        met_large = np.zeros(len(self.indexes), np.uint8)
        large_before = np.zeros(self._keys.shape, bool)
        for band in range(len(self._keys)):
            order, starts, lengths = _groups(self._keys[band])
            if not self._all_pairs and len(starts):
                of = self.cluster[order]
                mixed = np.minimum.reduceat(of, starts) != np.maximum.reduceat(of, starts)
                starts, lengths = starts[mixed], lengths[mixed]
            small = (lengths <= COMPARED_IN_FULL) | self._all_pairs
            self._compare_all(band, order, starts[small], lengths[small], large_before)
            for start, length in zip(starts[~small].tolist(), lengths[~small].tolist(), strict=True):
                members = order[start : start + length]
                large_before[band, members] = True
                members = members[met_large[members] < _LARGE_MEETINGS]
                met_large[members] += 1
                self._compare_some(band, members)
            self._settle()
            self.rows.report("looking for near duplicates", len(self._keys) + band + 1, 2 * len(self._keys))

    def similarity_to_kept(self) -> NDArray[np.float64]:
        """Of each row with the best row of its cluster."""
        similarity = np.ones(len(self.indexes))
        removed = np.flatnonzero(self.cluster != np.arange(len(self.indexes)))
        wanted = self._code(self.cluster[removed], removed)
        known = self._code(self.first, self.second)
        order = np.argsort(known)
        places = np.searchsorted(known, wanted, sorter=order)
        present = np.zeros(len(wanted), bool)
        inside = places < len(known)
        present[inside] = known[order[places[inside]]] == wanted[inside]
        similarity[removed[present]] = self.similarity[order[places[present]]]
        missing = removed[~present]
        similarity[missing] = self.rows.similarities(
            self.indexes[self.cluster[missing]], self.indexes[missing], judged=False, what="comparing clusters"
        )
        return similarity

    def _compare_all(
        self, band: int, order: Indexes, starts: Indexes, lengths: Indexes, large_before: NDArray[np.bool_]
    ) -> None:
        """All pairs of each group, but those that met before in a band where all pairs were compared."""
        positions = np.repeat(starts, lengths) + _counted(lengths)
        ends = np.repeat(starts + lengths, lengths)
        for step in range(1, int(lengths.max(initial=0))):
            inside = positions + step < ends
            positions, ends = positions[inside], ends[inside]
            first, second = order[positions], order[positions + step]
            for before in range(band):
                new = (self._keys[before][first] != self._keys[before][second]) | large_before[before, first]
                first, second = first[new], second[new]
            self._add(first, second)

    def _compare_some(self, band: int, members: Indexes) -> None:
        """Pairs of a large group: each with its neighbours and with the best, in several orders."""
        if len(members) < 2:
            return
        self._add_neighbours(members, np.zeros(len(members), np.uint64))
        for other in range(band + 1, min(band + 1 + _OTHER_BANDS, len(self._keys))):
            self._add_neighbours(members, self._keys[other][members])
        if self.rows.policy.mode is DuplicateMode.PAIR and self.rows.policy.min_question_similarity > 0:
            for keys in self._question_bands(members):
                self._add_neighbours(members, keys)

    def _add_neighbours(self, members: Indexes, keys: NDArray[np.uint64]) -> None:
        order, starts, lengths = _groups(keys)
        ordered = members[order]
        best = np.repeat(ordered[starts], lengths)
        self._add(best[best != ordered], ordered[best != ordered])
        positions = np.repeat(starts, lengths) + _counted(lengths)
        ends = np.repeat(starts + lengths, lengths)
        for step in range(1, _NEIGHBOURS + 1):
            inside = positions + step < ends
            positions, ends = positions[inside], ends[inside]
            self._add(ordered[positions], ordered[positions + step])

    def _question_bands(self, members: Indexes) -> Iterator[NDArray[np.uint64]]:
        if self._question_signatures is None:
            self._question_signatures = np.zeros((len(self.indexes), 2 * _QUESTION_BANDS), np.uint32)
            self._has_question = np.zeros(len(self.indexes), bool)
        missing = members[~self._has_question[members]]
        missing = missing[np.argsort(self.indexes[missing])]
        done = 0
        for rows in self.rows.rows_in_slices(self.indexes[missing]):
            here = missing[done : done + len(rows)]
            points, lengths = compared_characters(row.question for row in rows)
            hashes, counts = hash_shingles(points, lengths, self.rows.policy.shingle_characters)
            self._question_signatures[here] = minhash_signatures(hashes, counts)[:, : 2 * _QUESTION_BANDS]
            done += len(rows)
        self._has_question[missing] = True
        pairs = np.ascontiguousarray(self._question_signatures[members]).view(np.uint64)
        yield from np.ascontiguousarray(pairs.T)

    def _add(self, first: Indexes, second: Indexes) -> None:
        """Take pairs for comparison that are in two clusters; the better row first."""
        if not self._all_pairs:
            apart = self.cluster[first] != self.cluster[second]
            first, second = first[apart], second[apart]
        if not len(first):
            return
        self._pending.append(self._code(np.minimum(first, second), np.maximum(first, second)))
        if sum(map(len, self._pending)) > _PENDING_PAIRS:
            self._weed()

    def _weed(self) -> None:
        """Leave of the pending pairs those that are likely and were not compared."""
        codes = np.unique(np.concatenate(self._pending))
        places = np.searchsorted(self._compared, codes)
        inside = places < len(self._compared)
        new = np.ones(len(codes), bool)
        new[inside] = self._compared[places[inside]] != codes[inside]
        codes = codes[new]
        codes = codes[self._likely(codes)]
        self._pending = [codes]
        if len(codes) > _PENDING_PAIRS // 2:
            self._verify(codes)

    def _settle(self) -> None:
        """Compare what is pending."""
        if self._pending:
            self._weed()
            self._verify(np.concatenate(self._pending))

    def _verify(self, codes: Indexes) -> None:
        self._pending = []
        first, second = codes // len(self.indexes), codes % len(self.indexes)
        found = self.rows.similarities(self.indexes[first], self.indexes[second])
        near = found >= 0
        first, second = first[near], second[near]
        self.first = np.concatenate((self.first, first))
        self.second = np.concatenate((self.second, second))
        self.similarity = np.concatenate((self.similarity, found[near]))
        if len(first):
            self.cluster = _joined(self.cluster, self.cluster[first], self.cluster[second])

    def _likely(self, codes: Indexes) -> NDArray[np.bool_]:
        return self.rows.likely(self.indexes[codes // len(self.indexes)], self.indexes[codes % len(self.indexes)])

    def _code(self, first: Indexes, second: Indexes) -> Indexes:
        return first * len(self.indexes) + second


def _groups(keys: NDArray[np.uint64]) -> tuple[Indexes, Indexes, Indexes]:
    """Order by key, and start and length of each run of two or more equal keys in it; inside a run ascending."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    new = np.ones(len(keys), bool)
    new[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(new)
    lengths = np.diff(np.append(starts, len(keys)))
    order = order[np.repeat(lengths > 1, lengths)]
    lengths = lengths[lengths > 1]
    return order, np.cumsum(lengths) - lengths, lengths


def _counted(lengths: Indexes) -> Indexes:
    """0, 1, 2 ... for each of the lengths, one after the other."""
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _joined(cluster: Indexes, first: Indexes, second: Indexes) -> Indexes:
    """The clusters after joining those of each pair; named by their lowest row."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(cluster)
    _, labels = connected_components(coo_matrix((np.ones(len(first), np.int8), (first, second)), (size, size)), False)
    lowest = np.unique(labels, return_index=True)[1]
    return np.asarray(lowest[labels[cluster]], np.int64)
