"""Test cases as an index, and the training rows that hold them.

A case is looked for in each user's turn of a row, and in all its text. Shared character 3-grams propose pairs and an edit
distance decides: k edits destroy at most 3k of a text's 3-grams, so no pair within the limit is missed (q-gram lemma,
Ukkonen 1992). Texts are compared without spaces, case and punctuation.

What is not contamination: a question with other digits is another question (`제14호`, `제15호`), and so is one with a word
changed that leads to another answer (`제설자재 담당 부서`, `제설장비 담당 부서`), unless it is so long that the word hardly counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.contamination import ContaminationSettings, SoughtCase
from contracts.enums import OverlapKind, RemovalReason
from data_prep.contamination.edits import align_pairs
from data_prep.duplicates.shingles import TEXTS_SORTED_AT_ONCE, compared_characters, distinct_shingles
from data_prep.normalisation import comparable
from data_prep.removal import Removal
from data_prep.rows import Row

GRAM_CHARACTERS = 3
ONE_EDIT_CHARACTERS = 5
"""From this length on a question may have one character changed, however small a share the limit is."""
UNCHANGED_CONTAINED_CHARACTERS = 10
"""A question as short as this counts inside a longer text where none of it is changed and the answer is the same."""
UNNOTICED_SHARE = 0.05
"""So few changes inside a longer text leave the question the same, whatever its answer."""
LONG_CASE_CHARACTERS = 60
"""In a question as long as this a few changed words make no other question: the answer is not looked at."""
_KINDS = list(OverlapKind)
_DETAILS = {
    OverlapKind.EXACT: "asks the question of test case {}",
    OverlapKind.NEAR: "asks nearly the question of test case {}",
    OverlapKind.CONTAINED: "holds the question of test case {}",
    OverlapKind.NGRAM: "shares most of the text of test case {}",
}


@dataclass(frozen=True, slots=True)
class Overlap:
    """A case that a row holds."""

    case: int
    """Number of the case in the suite."""
    row: int
    """Number of the row among those looked at."""
    kind: OverlapKind
    similarity: float
    text: str
    """The text of the row in which the case stands."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of a row: one turn of a user, or everything that the row says."""

    row: int
    content: str
    is_turn: bool


class CaseIndex:
    """The cases of a suite, to be looked for in rows."""

    def __init__(self, cases: Sequence[SoughtCase], settings: ContaminationSettings | None = None) -> None:
        self._cases = cases
        self._settings = settings or ContaminationSettings()
        questions = [case.question for case in cases]
        self._compared = [comparable(question) for question in questions]
        self._exact: dict[str, list[int]] = {}
        for number, text in enumerate(self._compared):
            self._exact.setdefault(text or questions[number], []).append(number)
        self._answers = [[comparable(answer) for answer in case.accepted_answers] for case in cases]
        self._digits = [_digits_of(text) for text in self._compared]
        self._points, self._lengths = compared_characters(questions)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._limits = np.floor(self._settings.edited_share * self._lengths + 1e-9).astype(np.int64)
        if self._settings.edited_share:
            self._limits[self._lengths >= ONE_EDIT_CHARACTERS] = np.maximum(
                self._limits[self._lengths >= ONE_EDIT_CHARACTERS], 1
            )
        self._grams = _Grams(questions, GRAM_CHARACTERS)
        whole = [
            "\n".join([case.question, *case.choices]) if length >= self._settings.ngram_case_characters else ""
            for case, length in zip(cases, self._lengths.tolist(), strict=True)
        ]
        self._long = [number for number, text in enumerate(whole) if text]
        self._runs = _Grams([whole[number] for number in self._long], self._settings.ngram_characters)

    def find(self, rows: Sequence[Row]) -> list[Overlap]:
        """Every pair of a case and a row that holds it, once, in the plainest way; by row, then by case."""
        found: dict[tuple[int, int], Overlap] = {}
        texts = list(_texts(rows))
        for start in range(0, len(texts), TEXTS_SORTED_AT_ONCE):
            for overlap in self._find_in(texts[start : start + TEXTS_SORTED_AT_ONCE], rows):
                place = (overlap.row, overlap.case)
                if place not in found or _plainness(overlap) < _plainness(found[place]):
                    found[place] = overlap
        return [found[place] for place in sorted(found)]

    def check(self, rows: Sequence[Row]) -> list[Removal | None]:
        """For each row, why it may not be trained on; the plainest reason of all."""
        removals: list[Removal | None] = [None] * len(rows)
        for overlap in sorted(self.find(rows), key=lambda overlap: (overlap.row, *_plainness(overlap))):
            if removals[overlap.row] is None:
                detail = _DETAILS[overlap.kind].format(self._cases[overlap.case].id)
                removals[overlap.row] = Removal(RemovalReason.LEAKS_TEST_CASE, detail)
        return removals

    def _find_in(self, texts: Sequence[_Text], rows: Sequence[Row]) -> Iterator[Overlap]:
        if not self._cases:
            return
        contents = [text.content for text in texts]
        for text in texts:
            if text.is_turn:
                for case in self._exact.get(comparable(text.content) or text.content, []):
                    yield Overlap(case, text.row, OverlapKind.EXACT, 1.0, text.content)
        yield from self._edited(texts, contents, rows)
        yield from self._long_runs(texts, contents)

    def _edited(self, texts: Sequence[_Text], contents: Sequence[str], rows: Sequence[Row]) -> Iterator[Overlap]:
        """Questions with some characters changed, as a turn or inside a longer text."""
        points, lengths = compared_characters(contents)
        starts = np.cumsum(lengths) - lengths
        pairs = self._grams.shared_with(contents)
        sizes, limits = self._lengths[pairs.case], self._limits[pairs.case]
        needed = self._grams.sizes[pairs.case] - GRAM_CHARACTERS * limits
        proposed = pairs.shared >= np.maximum(needed, 1)
        union = self._grams.sizes[pairs.case] + pairs.sizes[pairs.text] - pairs.shared
        similar = pairs.shared >= self._settings.same_question_similarity * union
        is_turn = np.fromiter((text.is_turn for text in texts), bool, len(texts))[pairs.text]
        as_long = np.abs(lengths[pairs.text] - sizes) <= limits
        shortest = min(UNCHANGED_CONTAINED_CHARACTERS, self._settings.contained_characters)
        inside = (lengths[pairs.text] > sizes + limits) & (sizes >= shortest)
        for kind, chosen in (
            (OverlapKind.NEAR, np.flatnonzero(proposed & is_turn & as_long)),
            (OverlapKind.CONTAINED, np.flatnonzero(proposed & inside)),
        ):
            aligned = np.empty((len(chosen), 3), np.int64)
            align_pairs(
                self._points,
                self._starts,
                self._lengths,
                points,
                starts,
                lengths,
                pairs.case[chosen],
                pairs.text[chosen],
                limits[chosen],
                kind is OverlapKind.CONTAINED,
                aligned,
            )
            for place in np.flatnonzero(aligned[:, 0] >= 0).tolist():
                pair = int(chosen[place])
                case, number = int(pairs.case[pair]), int(pairs.text[pair])
                edits, begin, end = aligned[place].tolist()
                part = points[starts[number] + begin : starts[number] + end]
                row = texts[number].row
                if _digits_in(part) == self._digits[case] and self._counts(
                    case, kind, edits, bool(similar[pair]), rows[row]
                ):
                    yield Overlap(case, row, kind, 1 - edits / int(sizes[pair]), contents[number])

    def _long_runs(self, texts: Sequence[_Text], contents: Sequence[str]) -> Iterator[Overlap]:
        if not self._long:
            return
        pairs = self._runs.shared_with(contents)
        share = pairs.shared / self._runs.sizes[pairs.case]
        for pair in np.flatnonzero(share >= self._settings.ngram_share).tolist():
            text = texts[int(pairs.text[pair])]
            case = self._long[int(pairs.case[pair])]
            yield Overlap(case, text.row, OverlapKind.NGRAM, float(share[pair]), text.content)

    def _counts(self, case: int, kind: OverlapKind, edits: int, is_similar: bool, row: Row) -> bool:
        """With so many edits, is it still the question of the case?"""
        length = int(self._lengths[case])
        if kind is OverlapKind.CONTAINED and length < self._settings.contained_characters:
            return edits == 0 and self._agrees(case, row)
        is_same = length >= LONG_CASE_CHARACTERS or (
            edits <= length * UNNOTICED_SHARE if kind is OverlapKind.CONTAINED else is_similar
        )
        return is_same or self._agrees(case, row)

    def _agrees(self, case: int, row: Row) -> bool:
        """The row answers what counts as right for the case; also where nobody can tell."""
        answers = self._answers[case]
        given = comparable("\n".join(message.content for message in row.messages if message.role == "assistant"))
        return not answers or not given or any(answer and answer in given for answer in answers)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs that share at least one n-gram."""

    text: NDArray[np.int64]
    case: NDArray[np.int64]
    shared: NDArray[np.int64]
    """Distinct n-grams that both have."""
    sizes: NDArray[np.int64]
    """Distinct n-grams of each text."""


class _Grams:
    """The distinct n-grams of texts, as columns of a sparse matrix."""

    def __init__(self, texts: Sequence[str], characters: int) -> None:
        from scipy.sparse import csr_matrix

        self._characters = characters
        parts = [
            distinct_shingles(texts[start : start + TEXTS_SORTED_AT_ONCE], characters)
            for start in range(0, len(texts), TEXTS_SORTED_AT_ONCE)
        ]
        grams = np.concatenate([np.empty(0, np.int64), *(columns for columns, _ in parts)])
        self.sizes: NDArray[np.int64] = np.concatenate([np.empty(0, np.int64), *(sizes for _, sizes in parts)])
        """Distinct n-grams of each text."""
        self._known, places = np.unique(grams, return_inverse=True)
        starts = np.concatenate(([0], np.cumsum(self.sizes)))
        shape = (len(texts), len(self._known))
        matrix = csr_matrix((np.ones(len(places), np.int32), places, starts), shape)
        self._by_gram: Any = matrix.T.tocsr()

    def shared_with(self, texts: Sequence[str]) -> _Pairs:
        """All pairs of these texts and the indexed ones that share an n-gram; at most 4,096 texts."""
        from scipy.sparse import csr_matrix

        grams, sizes = distinct_shingles(texts, self._characters)
        places = np.searchsorted(self._known, grams)
        known = places < len(self._known)
        known[known] = self._known[places[known]] == grams[known]
        owners = np.repeat(np.arange(len(texts)), sizes)[known]
        shape = (len(texts), len(self._known))
        ones = np.ones(len(owners), np.int32)
        shared = (csr_matrix((ones, (owners, places[known])), shape) @ self._by_gram).tocoo()
        return _Pairs(shared.row.astype(np.int64), shared.col.astype(np.int64), shared.data.astype(np.int64), sizes)


def _texts(rows: Sequence[Row]) -> Iterator[_Text]:
    for number, row in enumerate(rows):
        for question in row.questions:
            yield _Text(number, question, is_turn=True)
        yield _Text(number, "\n".join(message.content for message in row.messages), is_turn=False)


def _plainness(overlap: Overlap) -> tuple[int, float]:
    return _KINDS.index(overlap.kind), -overlap.similarity


def _digits_of(compared: str) -> str:
    return "".join(character for character in compared if "0" <= character <= "9")


def _digits_in(points: NDArray[np.uint32]) -> str:
    return "".join(map(chr, points[(points >= ord("0")) & (points <= ord("9"))].tolist()))
