"""Test cases: from a JSONL file, or from the test split of a dataset version."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.enums import SuiteKind
from contracts.errors import InvalidDataError, NotFoundError
from contracts.evaluation import TestCase
from contracts.record import JsonObject
from contracts.suite_versions import content_hash_of
from evaluation.answer_scoring import normalise_answer
from evaluation.scorers.registry import check_case
from storage.split_files import sha256_of_split, split_files
from storage.stored_files import open_stored, read_stored, sha256_of_stored


@dataclass(frozen=True, slots=True)
class Suite:
    """Test cases that are asked together."""

    name: str
    path: str
    sha256: str
    cases: list[TestCase]
    excluded: dict[str, int]
    """Cases that will not be asked, by reason."""
    version: int | None = None
    """Of a managed suite; None for a file or a test split."""
    kind: SuiteKind = SuiteKind.CASES
    settings: JsonObject = field(default_factory=dict)
    """What the kind needs beside cases: a harness task and its data, a text file."""

    @property
    def cases_sha256(self) -> str:
        """Of the cases as they will be asked and scored, and of the kind's settings; notes to people left out."""
        return content_hash_of(self.cases, self.settings)

    def limited_to(self, max_cases: int | None) -> "Suite":
        """A slice of the suite, the same for the same ids, in the file's order; the rest counts as excluded."""
        if max_cases is None or len(self.cases) <= max_cases:
            return self
        by_digest = sorted(self.cases, key=lambda case: hashlib.sha256(case.id.encode()).digest())
        chosen = {case.id for case in by_digest[:max_cases]}
        cases = [case for case in self.cases if case.id in chosen]
        excluded = {**self.excluded, "beyond_max_cases": len(self.cases) - len(cases)}
        return replace(self, cases=cases, excluded=excluded)


def _broken(path: Path, line: int, what: str, value: object = None) -> InvalidDataError:
    return InvalidDataError(
        f"Line {line} of the test case file {path.name} cannot be used: {what}",
        value=value,
        allowed='one JSON object a line: {"id": "a-1", "question": "…", "accepted_answers": ["…"], "category": "…"}',
        next_step=f"correct line {line} of {path}",
    )


def _parse_case(path: Path, number: int, text: str) -> TestCase:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise _broken(path, number, f"it is not JSON ({error.msg}, column {error.colno})", text[:80]) from error
    if not isinstance(value, dict):
        raise _broken(path, number, "it is not a JSON object", text[:80])
    try:
        case = TestCase.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "line"
        raise _broken(path, number, f"{field}: {first['msg']}", str(first.get("input"))[:80]) from error
    try:
        check_case(case)
    except InvalidDataError as error:
        raise _broken(path, number, error.what, error.value) from error
    return case


def read_suite(path: Path) -> Suite:
    """The cases of a JSONL file. Raises one InvalidDataError that names the first bad line; refuses duplicates."""
    try:
        text = read_stored(path).decode("utf-8-sig")
    except OSError as error:
        raise NotFoundError(
            "The test case file cannot be read", value=path, next_step="give the path of a JSONL file of test cases"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _broken(path, line, "it is not UTF-8 text") from error
    cases: list[TestCase] = []
    seen_ids: dict[str, int] = {}
    seen_questions: dict[str, int] = {}
    for number, line_text in enumerate(text.split("\n"), start=1):
        if not line_text.strip():
            continue
        case = _parse_case(path, number, line_text)
        question = normalise_answer(case.question) or case.question
        if case.id in seen_ids:
            raise _broken(path, number, f"the id stands in line {seen_ids[case.id]} already", case.id)
        if question in seen_questions:
            raise _broken(
                path, number, f"the question stands in line {seen_questions[question]} already", case.question
            )
        seen_ids[case.id] = seen_questions[question] = number
        cases.append(case)
    if not cases:
        raise InvalidDataError(
            "The test case file has no test cases", value=path, allowed="at least one", next_step="add test cases to it"
        )
    return Suite(path.stem, str(path), sha256_of_stored(path), cases, {})


def _rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a split, with those of the columns that it has."""
    import pyarrow.parquet as parquet

    files = split_files(path)
    if not files:
        raise NotFoundError(
            "The dataset version has no such split file", value=path, next_step="prepare the dataset version again"
        )
    for file in files:
        with open_stored(file) as stream, parquet.ParquetFile(stream) as table:
            present = [name for name in columns if name in table.schema_arrow.names]
            for batch in table.iter_batches(batch_size=1_000, columns=present):
                yield from batch.to_pylist()


def _from_json_text(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _case_of_row(number: int, row: dict[str, Any]) -> TestCase | str:
    """The row as a test case, or the reason why it cannot be one."""
    messages = _from_json_text(row.get("messages")) or []
    metadata = _from_json_text(row.get("metadata")) or {}
    if not messages or messages[-1].get("role") != "assistant":
        return "no_answer"
    questions = [message["content"] for message in messages[:-1] if message.get("role") == "user"]
    if not questions or not questions[-1].strip():
        return "no_question"
    accepted = metadata.get("accepted_answers") or [messages[-1]["content"]]
    accepted = [answer for answer in accepted if isinstance(answer, str) and normalise_answer(answer)]
    if not accepted:
        return "no_answer"
    return TestCase(
        id=f"test-{number:05d}",
        question=questions[-1],
        accepted_answers=accepted,
        category=str(metadata.get("category") or "general"),
        attribute=metadata.get("attribute") if isinstance(metadata.get("attribute"), str) else None,
    )


def read_test_split(parquet_path: Path, name: str = "test split") -> Suite:
    """A dataset version's test split: the last user turn is the question, the assistant's answer the accepted one.

    A row whose metadata carry `accepted_answers` uses these. A question that occurs twice is asked once.
    """
    cases: list[TestCase] = []
    excluded: Counter[str] = Counter()
    seen: set[str] = set()
    for number, row in enumerate(_rows(parquet_path, ["messages", "metadata"]), start=1):
        case = _case_of_row(number, row)
        if isinstance(case, str):
            excluded[case] += 1
        elif (question := normalise_answer(case.question) or case.question) in seen:
            excluded["duplicate_question"] += 1
        else:
            seen.add(question)
            cases.append(case)
    if not cases:
        raise InvalidDataError(
            "The dataset version's test split has no question with an answer",
            value=parquet_path,
            allowed="at least one row",
            next_step="prepare the dataset with a larger test_ratio, or give a test_suite file",
        )
    return Suite(name, str(parquet_path), sha256_of_split(parquet_path), cases, dict(excluded))


def most_common_system_prompt(parquet_path: Path) -> str | None:
    """The system turn that most rows of a split carry; None when most carry none."""
    counts: Counter[str | None] = Counter()
    for row in _rows(parquet_path, ["messages"]):
        messages: Sequence[dict[str, str]] = _from_json_text(row.get("messages")) or []
        first = messages[0] if messages else None
        counts[first["content"] if first is not None and first.get("role") == "system" else None] += 1
    return counts.most_common(1)[0][0] if counts else None
