"""The cases of test suites, read from files in any shape: what must not be trained on, or the evaluation measures memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.contamination import SoughtCase
from contracts.datasets import ColumnMapping
from contracts.errors import InvalidDataError
from contracts.record import JsonObject
from data_prep.imports.input_files import InputFile, open_input_files
from data_prep.imports.reading import ParsedRow, open_rows
from data_prep.imports.shapes import canonical_row
from data_prep.rows import Rejection

QUESTION_COLUMNS = ("question", "질문", "prompt")
ANSWER_COLUMNS = ("accepted_answers", "answer", "정답", "답변")


@dataclass(frozen=True, slots=True)
class TestSuites:
    """The cases that must not be trained on."""

    __test__ = False

    cases: list[SoughtCase]
    sha256: dict[str, str]
    """Digest of every suite by its name in the request."""


def read_test_suites(given: Sequence[str], *, relative_to: Path, allowed_roots: Sequence[Path]) -> TestSuites:
    """All suites of a request; they lie in the same allowed folders as input files."""
    files = open_input_files(given, relative_to=relative_to, allowed_roots=allowed_roots)
    cases = [case for file in files for case in read_test_cases(file)]
    return TestSuites(cases, {name: file.sha256 for name, file in zip(given, files, strict=True)})


def read_test_cases(file: InputFile) -> list[SoughtCase]:
    """Every question of a test suite with what counts as right.

    Reads test cases (`question`), and rows in any shape that may be imported. Raises InvalidDataError at the first
    case without a question: a suite that cannot be read must not pass for one that does not leak.
    """
    cases: list[SoughtCase] = []
    for read in open_rows(file).rows:
        value = read.value if isinstance(read, ParsedRow) else {}
        case = str(value.get("id") or value.get("case_id") or f"{file.name}:{read.line}")
        texts = [str(value[column]) for column in QUESTION_COLUMNS if value.get(column)]
        answers = _answers(value)
        if not texts:
            row = canonical_row(value, ColumnMapping(), case)
            if not isinstance(row, Rejection):
                texts, answers = row.questions, [row.answer]
        if not texts:
            raise InvalidDataError(
                f"A test case has no question ({file.name}, line {read.line})",
                value=json.dumps(value, ensure_ascii=False)[:200],
                allowed='{"id": "...", "question": "...", "accepted_answers": ["..."], "category": "..."}',
                next_step="correct the test suite",
            )
        document = value.get("source_document")
        cases += [
            SoughtCase(
                id=case,
                question=text,
                accepted_answers=answers,
                choices=[str(choice) for choice in _listed(value.get("choices"))],
                source_document=document if isinstance(document, str) else None,
            )
            for text in texts
        ]
    if not cases:
        raise InvalidDataError("The test suite holds no case", value=str(Path(file.name)), next_step="correct the file")
    return cases


def _answers(value: JsonObject) -> list[str]:
    for column in ANSWER_COLUMNS:
        if value.get(column):
            return [str(answer) for answer in _listed(value[column])]
    return []


def _listed(value: object) -> list[object]:
    """A list as it is; a cell's values between bars; nothing as an empty list."""
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [part.strip() for part in value.split("|") if part.strip()]
    return [] if value is None else [value]
