"""Test cases from the rows of a table, and back. Wrong rows are all told, none hides another."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from contracts.enums import CaseFault
from contracts.evaluation import TestCase
from contracts.record import JsonObject
from contracts.suite_versions import CaseProblem
from contracts.words import SCORERS as SCORER_WORDS
from evaluation.answer_scoring import normalise_answer
from evaluation.case_columns import CASE_COLUMNS, column_key
from evaluation.scorers.registry import SCORERS, check_case
from evaluation.scorers.score import UnusableCaseError

EXAMPLE_PREFIX = "예시-"
"""Rows of the template whose id begins so are left out of an import."""
_OPTION_COLUMNS = tuple(column.key for column in CASE_COLUMNS if column.key.startswith("options."))
_NUMBERS = frozenset({"tolerance", "relative_tolerance"})


@dataclass(slots=True)
class ReadCases:
    """What a table held."""

    cases: list[TestCase] = field(default_factory=list)
    problems: list[CaseProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _WrongRow(Exception):
    def __init__(self, fault: CaseFault, column: str = "", value: object = "") -> None:
        self.fault = fault
        self.column = column
        self.value = str(value)[:200]
        super().__init__(fault.value)


def read_cases(rows: Iterable[tuple[int, JsonObject | None]], present: Sequence[TestCase] = ()) -> ReadCases:
    """Cases of (row number, cells by header); None stands for a row that cannot be read.

    `present` are cases that are there already: neither their ids nor their questions may come again.
    """
    found = ReadCases()
    ids: dict[str, str] = {case.id: "" for case in present}
    questions: dict[str, str] = {question_key(case.question): "" for case in present}
    unknown: set[str] = set()
    examples = 0
    for number, cells in rows:
        try:
            if cells is None:
                raise _WrongRow(CaseFault.UNREADABLE)
            values, others = _by_key(cells)
            unknown |= others
            if not any(_text(value) for value in values.values()):
                continue
            if _text(values.get("id")).startswith(EXAMPLE_PREFIX):
                examples += 1
                continue
            case = case_of_row(values)
            for fault, column, seen, key in (
                (CaseFault.DUPLICATE_ID, "id", ids, case.id),
                (CaseFault.DUPLICATE_QUESTION, "question", questions, question_key(case.question)),
            ):
                if key in seen:
                    where = f" ({seen[key]})" if seen[key] else ""
                    raise _WrongRow(fault, column, f"{case.id if column == 'id' else case.question}{where}")
            ids[case.id] = questions[question_key(case.question)] = str(number)
            found.cases.append(case)
        except _WrongRow as wrong:
            found.problems.append(CaseProblem(row=number, column=wrong.column, fault=wrong.fault, value=wrong.value))
    if unknown:
        found.notes.append(f"columns that nobody reads: {', '.join(sorted(unknown))}")
    if examples:
        found.notes.append(f"rows of the template's examples that were left out: {examples}")
    return found


def case_from_cells(cells: Mapping[str, str]) -> TestCase | CaseProblem:
    """The case of one row's cells by column key, or what is wrong with it."""
    try:
        return case_of_row(cells)
    except _WrongRow as wrong:
        return CaseProblem(row=1, column=wrong.column, fault=wrong.fault, value=wrong.value)


def question_key(question: str) -> str:
    """Equal for questions that differ in spelling only."""
    return normalise_answer(question).replace(" ", "") or question


def case_of_row(values: Mapping[str, Any]) -> TestCase:
    """The case of a row's values by column key. Raises `_WrongRow`."""
    question = _text(values.get("question"))
    if not question:
        raise _WrongRow(CaseFault.NO_QUESTION, "question")
    options = _options(values)
    fields: dict[str, Any] = {
        "id": _text(values.get("id")) or _made_id(question),
        "question": question,
        "accepted_answers": _parts(values.get("accepted_answers")),
        "choices": _parts(values.get("choices")),
        "options": options,
        "category": _text(values.get("category")) or "general",
        "attribute": _text(values.get("attribute")) or None,
        "system_prompt": _text(values.get("system_prompt")) or None,
        "source_document": _text(values.get("source_document")) or None,
        "note": _text(values.get("note")),
    }
    fields["scorer"] = _scorer(_text(values.get("scorer")), fields)
    if _text(values.get("pass_score")):
        fields["pass_score"] = _number(values["pass_score"], CaseFault.WRONG_THRESHOLD, "pass_score")
    if not fields["accepted_answers"] and not options:
        raise _WrongRow(CaseFault.NO_ACCEPTED_ANSWER, "accepted_answers")
    try:
        case = TestCase.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        column = str(first["loc"][0]) if first["loc"] else ""
        fault = CaseFault.WRONG_THRESHOLD if column == "pass_score" else CaseFault.WRONG_FIELD
        raise _WrongRow(fault, column, first.get("input")) from error
    try:
        check_case(case)
    except UnusableCaseError as error:
        raise _WrongRow(error.fault, _column_of(error.fault), _said(error)) from error
    return case


def row_of_case(case: TestCase) -> dict[str, str]:
    """The cells of a case by column key, as `case_of_row` reads them; a key with nothing to say is missing."""
    options = dict(case.options)
    cells = {"id": case.id, "question": case.question, "category": case.category, "scorer": case.scorer}
    for key in ("accepted_answers", "choices"):
        cells[key] = "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in getattr(case, key))
    for key in _OPTION_COLUMNS:
        name = key.removeprefix("options.")
        if name in options and isinstance(options[name], str | int | float) and not isinstance(options[name], bool):
            cells[key] = str(options.pop(name))
    if options:
        cells["options"] = json.dumps(options, ensure_ascii=False)
    if case.pass_score != 1:
        cells["pass_score"] = str(case.pass_score)
    for key in ("system_prompt", "source_document", "attribute", "note"):
        cells[key] = getattr(case, key) or ""
    return {key: text for key, text in cells.items() if text}


def _by_key(cells: JsonObject) -> tuple[dict[str, Any], set[str]]:
    values: dict[str, Any] = {}
    unknown = set()
    for header, value in cells.items():
        key = column_key(header)
        if key is None:
            unknown.add(header)
        elif not values.get(key):
            values[key] = value
    return values, unknown


def _text(value: Any) -> str:
    """A cell as text; Excel's 15000.0 is 15000."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _parts(value: Any) -> list[str]:
    r"""The texts of a list, or of a cell in which `|` parts them; `\|` is a | and `\\` a backslash."""
    given = value if isinstance(value, list) else _split(_text(value))
    parts = [_text(part) for part in given]
    return list(dict.fromkeys(part for part in parts if part))


def _split(text: str) -> list[str]:
    parts, part, escaped = [], "", False
    for character in text:
        if escaped:
            part += character if character in "|\\" else "\\" + character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "|":
            parts.append(part)
            part = ""
        else:
            part += character
    return [*parts, part + "\\" * escaped]


def _options(values: Mapping[str, Any]) -> dict[str, Any]:
    given = values.get("options")
    if isinstance(given, dict):
        options = dict(given)
    elif _text(given):
        try:
            options = json.loads(_text(given))
        except ValueError as error:
            raise _WrongRow(CaseFault.WRONG_OPTION, "options", given) from error
        if not isinstance(options, dict):
            raise _WrongRow(CaseFault.WRONG_OPTION, "options", given)
    else:
        options = {}
    for key in _OPTION_COLUMNS:
        name = key.removeprefix("options.")
        text = _text(values.get(key))
        if text:
            options[name] = _number(values[key], CaseFault.WRONG_OPTION, key) if name in _NUMBERS else text
    return options


def _number(value: Any, fault: CaseFault, column: str) -> float:
    text = _text(value).replace(",", "")
    share = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError as error:
        raise _WrongRow(fault, column, value) from error
    return number / 100 if share else number


def _scorer(given: str, fields: Mapping[str, Any]) -> str:
    """The scorer by its name or what people call it; without one, by what the row has."""
    if not given:
        if fields["choices"]:
            return "multiple_choice"
        return "regex" if "pattern" in fields["options"] else "rubric" if "rubric" in fields["options"] else "contains"
    plain = re.sub(r"[\s_-]+", "_", given.strip()).casefold()
    for name in SCORERS:
        wording = SCORER_WORDS.get(name)
        names = {name, *(re.sub(r"[\s_-]+", "_", word).casefold() for word in wording or ())}
        if plain in names | {word.partition("(")[0] for word in names}:
            return name
    known = [word for name in SCORERS for word in (SCORER_WORDS[name].korean if name in SCORER_WORDS else name,)]
    close = get_close_matches(given, [*known, *SCORERS], n=1, cutoff=0.5)
    raise _WrongRow(CaseFault.UNKNOWN_SCORER, "scorer", f"{given} → {close[0]}?" if close else given)


def _made_id(question: str) -> str:
    return f"q-{hashlib.sha256(question_key(question).encode()).hexdigest()[:10]}"


def _said(error: UnusableCaseError) -> str:
    value = "" if error.value is None else str(error.value)
    return value if error.fault is not CaseFault.UNUSABLE else f"{error.what.partition(': ')[2]} {value}".strip()


def _column_of(fault: CaseFault) -> str:
    return {
        CaseFault.NO_ACCEPTED_ANSWER: "accepted_answers",
        CaseFault.NO_LETTERS: "accepted_answers",
        CaseFault.NOT_A_NUMBER: "accepted_answers",
        CaseFault.NOT_A_CHOICE: "accepted_answers",
        CaseFault.WRONG_CHOICES: "choices",
        CaseFault.UNKNOWN_UNIT: "options.unit",
        CaseFault.WRONG_PATTERN: "options.pattern",
        CaseFault.UNKNOWN_OPTION: "options",
        CaseFault.WRONG_OPTION: "options",
        CaseFault.UNKNOWN_SCORER: "scorer",
    }.get(fault, "")
