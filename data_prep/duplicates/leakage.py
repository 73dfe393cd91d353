"""Test questions must not be trained on, or the evaluation measures memory."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contracts.datasets import ColumnMapping
from contracts.enums import RemovalReason
from contracts.errors import InvalidDataError
from data_prep.duplicates.shingles import TEXTS_SORTED_AT_ONCE, distinct_shingles
from data_prep.imports.input_files import InputFile, open_input_files
from data_prep.imports.reading import ParsedRow, open_rows
from data_prep.imports.shapes import canonical_row
from data_prep.normalisation import comparable
from data_prep.removal import Removal
from data_prep.rows import Rejection, Row

QUESTION_SHINGLE_CHARACTERS = 3
"""Questions are short: of 18 characters with one changed, 5-grams share 0.47 and 3-grams 0.68."""
NEARLY_THE_SAME = 0.8
"""Jaccard similarity from which a question counts as a test question in other words."""
QUESTION_COLUMNS = ("question", "질문", "prompt")


@dataclass(frozen=True, slots=True)
class TestSuites:
    """The questions that must not be trained on."""

    __test__ = False

    questions: dict[str, str]
    """Comparable text of a question -> name of its case."""
    sha256: dict[str, str]
    """Digest of every suite by its name in the request."""


def read_test_suites(given: Sequence[str], *, relative_to: Path, allowed_roots: Sequence[Path]) -> TestSuites:
    """All suites of a request; they lie in the same allowed folders as input files."""
    files = open_input_files(given, relative_to=relative_to, allowed_roots=allowed_roots)
    questions: dict[str, str] = {}
    for file in files:
        questions.update(read_test_questions(file))
    return TestSuites(questions, {name: file.sha256 for name, file in zip(given, files, strict=True)})


def read_test_questions(file: InputFile) -> dict[str, str]:
    """Comparable text of every question of a test suite, with the name of its case.

    Reads test cases (`question`), and rows in any shape that may be imported. Raises InvalidDataError at the first
    case without a question: a suite that cannot be read must not pass for one that does not leak.
    """
    questions: dict[str, str] = {}
    for read in open_rows(file).rows:
        value = read.value if isinstance(read, ParsedRow) else {}
        case = str(value.get("id") or value.get("case_id") or f"{file.name}:{read.line}")
        texts = [str(value[column]) for column in QUESTION_COLUMNS if value.get(column)]
        if not texts:
            row = canonical_row(value, ColumnMapping(), case)
            texts = [] if isinstance(row, Rejection) else row.questions
        if not texts:
            raise InvalidDataError(
                f"A test case has no question ({file.name}, line {read.line})",
                value=json.dumps(value, ensure_ascii=False)[:200],
                allowed='{"id": "...", "question": "...", "accepted_answers": ["..."], "category": "..."}',
                next_step="correct the test suite",
            )
        questions.update({comparable(text): case for text in texts})
    if not questions:
        raise InvalidDataError("The test suite holds no case", value=str(Path(file.name)), next_step="correct the file")
    return questions


def check_leakage(row: Row, test_questions: Mapping[str, str]) -> Removal | None:
    """A user's turn equals a test question but for case, spaces and punctuation."""
    for question in row.questions:
        case = test_questions.get(comparable(question))
        if case is not None:
            return Removal(RemovalReason.LEAKS_TEST_CASE, f"asks the question of test case {case}")
    return None


class TestQuestionIndex:
    """Test questions, to be looked for in rows: also those that are only nearly the same.

    Every similarity is exact: there is no hashing into bands, a test suite is small. A question with other digits is
    another question.
    """

    __test__ = False

    def __init__(self, questions: Mapping[str, str], threshold: float = NEARLY_THE_SAME) -> None:
        """Index comparable texts with the names of their cases, as `TestSuites.questions` has them."""
        from scipy.sparse import csr_matrix

        self._questions = questions
        self._threshold = threshold
        texts = list(questions)
        self._cases = list(questions.values())
        self._numbers = [_digits_of(text) for text in texts]
        parts = [
            distinct_shingles(texts[start : start + TEXTS_SORTED_AT_ONCE], QUESTION_SHINGLE_CHARACTERS)
            for start in range(0, len(texts), TEXTS_SORTED_AT_ONCE)
        ]
        shingles = np.concatenate([np.empty(0, np.int64), *(columns for columns, _ in parts)])
        self._sizes = np.concatenate([np.empty(0, np.int64), *(sizes for _, sizes in parts)])
        self._known, places = np.unique(shingles, return_inverse=True)
        starts = np.concatenate(([0], np.cumsum(self._sizes)))
        shape = (len(texts), len(self._known))
        self._by_shingle = csr_matrix((np.ones(len(places), np.int32), places, starts), shape).T.tocsr()

    def check(self, rows: Sequence[Row]) -> list[Removal | None]:
        """For each row, why it may not be trained on: a user's turn is a test question or nearly one."""
        verdicts = [check_leakage(row, self._questions) for row in rows]
        if not self._cases:
            return verdicts
        turns = [(index, text) for index, row in enumerate(rows) if not verdicts[index] for text in row.questions]
        for start in range(0, len(turns), TEXTS_SORTED_AT_ONCE):
            for index, case in self._nearly_the_same(turns[start : start + TEXTS_SORTED_AT_ONCE]):
                if verdicts[index] is None:
                    detail = f"asks nearly the question of test case {case}"
                    verdicts[index] = Removal(RemovalReason.LEAKS_TEST_CASE, detail)
        return verdicts

    def _nearly_the_same(self, turns: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """(row, name of the case) of each pair of a turn and a test question that is similar enough."""
        from scipy.sparse import csr_matrix

        texts = [text for _, text in turns]
        shingles, sizes = distinct_shingles(texts, QUESTION_SHINGLE_CHARACTERS)
        places = np.searchsorted(self._known, shingles)
        known = places < len(self._known)
        known[known] = self._known[places[known]] == shingles[known]
        owners = np.repeat(np.arange(len(texts)), sizes)[known]
        ones = np.ones(len(owners), np.int32)
        shape = (len(texts), len(self._known))
        shared = (csr_matrix((ones, (owners, places[known])), shape) @ self._by_shingle).tocoo()
        similarity = shared.data / (sizes[shared.row] + self._sizes[shared.col] - shared.data)
        alike = np.flatnonzero(similarity >= self._threshold)
        best = alike[np.lexsort((shared.col[alike], -similarity[alike], shared.row[alike]))]
        for turn, case in zip(shared.row[best].tolist(), shared.col[best].tolist(), strict=True):
            if _digits_of(comparable(texts[turn])) == self._numbers[case]:
                yield turns[turn][0], self._cases[case]


def _digits_of(compared: str) -> str:
    return "".join(character for character in compared if "0" <= character <= "9")
