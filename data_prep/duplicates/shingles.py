"""Character n-grams of many texts at once, as 64-bit hashes, and their MinHash signatures.

A text is compared without case, spaces and punctuation (`normalisation.comparable`). Its shingles are the runs of n
characters; a shorter text is its own only shingle. Everything here gives for a whole batch what the plain definitions
(`near.shingles`, `datasketch.MinHash`) give for one text.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 128
MAX_SHINGLE_CHARACTERS = 12

_SEED = 1
"""Of the permutations: datasketch's default."""
_COLUMN_BITS = 52
TEXTS_SORTED_AT_ONCE = 1 << (64 - _COLUMN_BITS)
_SHINGLES_COMPARED_AT_ONCE = 2_000_000
_WORD_MASK = (1 << 64) - 1


def _constants(number: int) -> list[int]:
    """Odd 64-bit numbers from splitmix64, one for each place of a shingle."""
    found, state = [], 0
    for _ in range(number):
        state = (state + 0x9E3779B97F4A7C15) & _WORD_MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD_MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD_MASK
        found.append((mixed ^ (mixed >> 31)) | 1)
    return found


_PLACES = _constants(MAX_SHINGLE_CHARACTERS)


def shingle_hash(shingle: bytes) -> int:
    """32-bit hash of one shingle (UTF-8): the `hashfunc` with which datasketch makes the same signatures."""
    total = sum(
        ord(character) * place
        for character, place in zip(shingle.decode("utf-8", "surrogatepass"), _PLACES, strict=False)
    )
    total &= _WORD_MASK
    total = ((total ^ (total >> 33)) * 0xFF51AFD7ED558CCD) & _WORD_MASK
    total = ((total ^ (total >> 33)) * 0xC4CEB9FE1A85EC53) & _WORD_MASK
    return (total ^ (total >> 33)) >> 32


def compared_characters(texts: Iterable[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Code points of the comparable texts, one after the other, and the length of each."""
    folded = [unicodedata.normalize("NFC", text).casefold() for text in texts]
    lengths = np.fromiter(map(len, folded), np.int64, len(folded))
    points = np.frombuffer("".join(folded).encode("utf-32-le", "surrogatepass"), np.uint32)
    kept = _letters()[points]
    before = np.concatenate(([0], np.cumsum(kept)))
    ends = np.cumsum(lengths)
    return points[kept], before[ends] - before[ends - lengths]


def hash_shingles(
    points: NDArray[np.uint32], lengths: NDArray[np.int64], characters: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """64-bit hashes of all shingles of texts, one text after the other, and how many each text has (1 at least).

    A shingle that occurs twice is there twice. A text without any character has one shingle: the empty one.
    """
    if not len(lengths):
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    if (lengths < characters).any():
        points, lengths = _padded(points, lengths, characters)
    counts = lengths - (characters - 1)
    wide = points.astype(np.uint64)
    last = len(wide) - (characters - 1)
    hashes = wide[:last] * np.uint64(_PLACES[0])
    for place in range(1, characters):
        hashes += wide[place : last + place] * np.uint64(_PLACES[place])
    inside = np.ones(last, bool)
    across = np.cumsum(lengths)[:-1, None] - np.arange(1, characters)
    inside[across.ravel()] = False
    hashes = hashes[inside]
    hashes ^= hashes >> np.uint64(33)
    hashes *= np.uint64(0xFF51AFD7ED558CCD)
    hashes ^= hashes >> np.uint64(33)
    hashes *= np.uint64(0xC4CEB9FE1A85EC53)
    hashes ^= hashes >> np.uint64(33)
    return hashes, counts


def minhash_signatures(hashes: NDArray[np.uint64], counts: NDArray[np.int64]) -> NDArray[np.uint32]:
    """(texts, 128) MinHash values, bit-identical to `datasketch.MinHash(hashfunc=shingle_hash)` of version 2."""
    signatures = np.empty((PERMUTATIONS, len(counts)), np.uint32)
    if not len(counts):
        return signatures.T
    mixed = (hashes >> np.uint64(32)).astype(np.uint32)
    # the finaliser of MurmurHash3, which datasketch applies before its permutations
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    starts = np.cumsum(counts) - counts
    permuted = np.empty_like(mixed)
    for number, (factor, summand) in enumerate(zip(*_permutations(), strict=True)):
        np.multiply(mixed, factor, out=permuted)
        np.add(permuted, summand, out=permuted)
        np.minimum.reduceat(permuted, starts, out=signatures[number])
    return np.ascontiguousarray(signatures.T)


def distinct_shingles(texts: Sequence[str], characters: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """52 bits of the hash of each distinct shingle, ascending, text after text, and how many each of 4,096 texts has."""
    points, lengths = compared_characters(texts)
    hashes, counts = hash_shingles(points, lengths, characters)
    owners = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
    keys = np.sort((owners << np.uint64(_COLUMN_BITS)) | (hashes >> np.uint64(64 - _COLUMN_BITS)))
    keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
    sizes = np.bincount((keys >> np.uint64(_COLUMN_BITS)).astype(np.int64), minlength=len(counts))
    return (keys & np.uint64((1 << _COLUMN_BITS) - 1)).astype(np.int64), sizes.astype(np.int64)


class ShingleSets:
    """The shingle sets of texts, numbered as they are added, for exact Jaccard similarities of many pairs.

    A shingle is told from another by 52 bits of its hash: of a million pairs of texts with 300 shingles each, about one
    in 50,000 has a similarity that is wrong by one shingle.
    """

    def __init__(self, characters: int) -> None:
        self._characters = characters
        self._columns: list[NDArray[np.int64]] = []
        self._sizes: list[NDArray[np.int64]] = []
        self._matrix: Any = None
        self.sizes: NDArray[np.int64] = np.empty(0, np.int64)
        """Distinct shingles of each text; there after the first call of `jaccard`."""

    def add(self, texts: Sequence[str]) -> None:
        """Add texts."""
        for start in range(0, len(texts), TEXTS_SORTED_AT_ONCE):
            columns, sizes = distinct_shingles(texts[start : start + TEXTS_SORTED_AT_ONCE], self._characters)
            self._columns.append(columns)
            self._sizes.append(sizes)
        self._matrix = None

    def jaccard(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
        """Jaccard similarity of each pair of texts."""
        if not len(first):
            return np.empty(0)
        if self._matrix is None:
            self._make_matrix()
        similarities = np.empty(len(first))
        work = np.cumsum(self.sizes[first] + self.sizes[second])
        cuts = np.flatnonzero(np.diff(work // _SHINGLES_COMPARED_AT_ONCE)) + 1
        for start, end in pairwise([0, *cuts.tolist(), len(first)]):
            a, b = first[start:end], second[start:end]
            shared = np.asarray(self._matrix[a].multiply(self._matrix[b]).sum(axis=1, dtype=np.int64)).ravel()
            similarities[start:end] = shared / (self.sizes[a] + self.sizes[b] - shared)
        return similarities

    def _make_matrix(self) -> None:
        """A row for each text, a column for each possible hash."""
        from scipy.sparse import csr_matrix

        self.sizes = np.concatenate(self._sizes)
        columns = np.concatenate(self._columns)
        starts = np.concatenate(([0], np.cumsum(self.sizes)))
        shape = (len(self.sizes), 1 << _COLUMN_BITS)
        self._matrix = csr_matrix((np.ones(len(columns), np.int8), columns, starts), shape=shape, copy=False)
        self._matrix.has_canonical_format = True
        self._sizes, self._columns = [self.sizes], [columns]


def _padded(
    points: NDArray[np.uint32], lengths: NDArray[np.int64], characters: int
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The texts with zeros behind those that are shorter than a shingle. No comparable text holds a zero."""
    wanted = np.maximum(lengths, characters)
    shift = (np.cumsum(wanted) - wanted) - (np.cumsum(lengths) - lengths)
    padded = np.zeros(int(wanted.sum()), np.uint32)
    padded[np.arange(len(points)) + np.repeat(shift, lengths)] = points
    return padded, wanted


@lru_cache(maxsize=1)
def _letters() -> NDArray[np.bool_]:
    """For each code point whether `comparable` keeps it."""
    return np.fromiter((chr(point).isalnum() for point in range(0x110000)), bool, 0x110000)


@lru_cache(maxsize=1)
def _permutations() -> NDArray[np.uint32]:
    """Factors and summands of datasketch's 128 permutations."""
    from datasketch import MinHash

    return np.asarray(MinHash(num_perm=PERMUTATIONS, seed=_SEED).permutations, np.uint32)
