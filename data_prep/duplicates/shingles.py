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

from data_prep.code_points import CodePoints, code_points
from data_prep.compiled import compiled
from data_prep.normalisation import stands_alone

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
    texts = list(texts)
    read = code_points(texts)
    folded = np.zeros(len(texts), np.bool_)
    points, lengths, unusual = _compare(read, folded)
    if unusual.any():
        for place in np.flatnonzero(unusual).tolist():
            texts[place] = unicodedata.normalize("NFC", texts[place]).casefold()
        points, lengths, _ = _compare(code_points(texts), unusual)
    return points, lengths


def _compare(
    read: CodePoints, folded: NDArray[np.bool_]
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.bool_]]:
    """Comparable characters and lengths, and the texts that must be folded first."""
    points, lengths = np.empty(len(read.codes), np.uint32), np.zeros(len(read), np.int64)
    unusual = np.zeros(len(read), np.bool_)
    size = _keep_letters(read.codes, read.starts, read.lengths, folded, _folds(), _letters(), points, lengths, unusual)
    return points[:size], lengths, unusual


@compiled("u4[]", "i8[]", "i8[]", "b1[]", "u4[]", "b1[]", "u4[]!", "i8[]!", "b1[]!")
def _keep_letters(
    codes: NDArray[np.uint32],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    folded: NDArray[np.bool_],
    folds: NDArray[np.uint32],
    letters: NDArray[np.bool_],
    points: NDArray[np.uint32],
    kept: NDArray[np.int64],
    unusual: NDArray[np.bool_],
) -> int:
    """Fold the texts that are not yet, and keep their letters and digits; says how many there are."""
    size = 0
    for text in range(len(starts)):
        begin = size
        for place in range(starts[text], starts[text] + lengths[text]):
            code = codes[place]
            if not folded[text]:
                code = folds[code] if code < _BASIC_PLANE else _NO_FOLD
                if code == _NO_FOLD:
                    unusual[text] = True
                    break
            if letters[code]:
                points[size] = code
                size += 1
        kept[text] = size - begin
    return size


def hash_shingles(
    points: NDArray[np.uint32], lengths: NDArray[np.int64], characters: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """64-bit hashes of all shingles of texts, one text after the other, and how many each text has (1 at least).

    A shingle that occurs twice is there twice. A text without any character has one shingle: the empty one.
    """
    counts = np.maximum(lengths - (characters - 1), 1)
    hashes = np.empty(int(counts.sum()), np.uint64)
    _hash(points, lengths, counts, np.array(_PLACES[:characters], np.uint64), hashes)
    return hashes, counts


@compiled("u4[]", "i8[]", "i8[]", "u8[]", "u8[]!")
def _hash(
    points: NDArray[np.uint32],
    lengths: NDArray[np.int64],
    counts: NDArray[np.int64],
    places: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
) -> None:
    """`shingle_hash` of every shingle, all its 64 bits."""
    begin = size = 0
    for text in range(len(lengths)):
        characters = min(len(places), lengths[text])
        for first in range(begin, begin + counts[text]):
            total = np.uint64(0)
            for place in range(characters):
                total += np.uint64(points[first + place]) * places[place]
            total = (total ^ (total >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
            total = (total ^ (total >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
            hashes[size] = total ^ (total >> np.uint64(33))
            size += 1
        begin += lengths[text]


def minhash_signatures(hashes: NDArray[np.uint64], counts: NDArray[np.int64]) -> NDArray[np.uint32]:
    """(texts, 128) MinHash values, bit-identical to `datasketch.MinHash(hashfunc=shingle_hash)` of version 2."""
    signatures = np.full((len(counts), PERMUTATIONS), np.iinfo(np.uint32).max, np.uint32)
    mixed = (hashes >> np.uint64(32)).astype(np.uint32)
    # the finaliser of MurmurHash3, which datasketch applies before its permutations
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    factors, summands = _permutations()
    _take_least(mixed, counts, factors, summands, signatures)
    return signatures


@compiled("u4[]", "i8[]", "u4[]", "u4[]", "u4[][]!")
def _take_least(
    mixed: NDArray[np.uint32],
    counts: NDArray[np.int64],
    factors: NDArray[np.uint32],
    summands: NDArray[np.uint32],
    signatures: NDArray[np.uint32],
) -> None:
    """Of each permutation the least value of a text's shingles: all permutations of one shingle fit vector registers."""
    place = 0
    for text in range(len(counts)):
        signature = signatures[text]
        for _ in range(counts[text]):
            for number in range(PERMUTATIONS):
                permuted = np.uint32(np.uint32(mixed[place] * factors[number]) + summands[number])
                signature[number] = min(signature[number], permuted)
            place += 1


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


@lru_cache(maxsize=1)
def _letters() -> NDArray[np.bool_]:
    """For each code point whether `comparable` keeps it."""
    return np.fromiter((chr(point).isalnum() for point in range(0x110000)), bool, 0x110000)


_BASIC_PLANE, _NO_FOLD = 0x10000, 0xFFFFFFFF


@lru_cache(maxsize=1)
def _folds() -> NDArray[np.uint32]:
    """What each code point of the basic plane becomes, whatever stands beside it; _NO_FOLD where that is not all."""
    kinds = [(chr(code), chr(code).casefold()) for code in range(_BASIC_PLANE)]
    return np.array(
        [ord(folded) if len(folded) == 1 and stands_alone(character) else _NO_FOLD for character, folded in kinds],
        np.uint32,
    )


@lru_cache(maxsize=1)
def _permutations() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Factors and summands of datasketch's 128 permutations."""
    from datasketch import MinHash

    factors, summands = np.asarray(MinHash(num_perm=PERMUTATIONS, seed=_SEED).permutations, np.uint32)
    return np.ascontiguousarray(factors), np.ascontiguousarray(summands)
