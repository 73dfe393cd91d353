"""Test questions must not be trained on, or the evaluation measures memory."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.datasets import ColumnMapping
from contracts.enums import RemovalReason
from contracts.errors import InvalidDataError
from data_prep.imports.input_files import InputFile, open_input_files
from data_prep.imports.reading import ParsedRow, open_rows
from data_prep.imports.shapes import canonical_row
from data_prep.normalisation import comparable
from data_prep.removal import Removal
from data_prep.rows import Rejection, Row

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
