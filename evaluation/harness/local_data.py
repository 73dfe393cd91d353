"""The harness' data sets from files in a folder, with the columns that its tasks read.

Each function gives the rows of the splits. Where a folder has no test file, as KoBEST and KLUE publish none, the dev file is
what is asked; the train file gives the examples for few-shot prompts.
"""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contracts.errors import InvalidDataError, NotFoundError

Row = dict[str, Any]
Splits = dict[str, list[Row]]
ReadSplits = Callable[[Path], Splits]

ASKED = ("test", "dev", "validation")
"""Endings of a file's name that may be asked, the preferred one first."""
EXAMPLES = ("train", "dev", "validation")
"""Endings of a file that gives examples."""
CHOICES = ("A", "B", "C", "D")


def kobest(name: str, columns: dict[str, str], label: Callable[[Row], int]) -> ReadSplits:
    """A KoBEST task's TSV files: `<name>_dev.tsv`, `<name>_train.tsv`, as the Hugging Face data set turns them."""

    def read(folder: Path) -> Splits:
        return _splits(folder, [f"{name}_{{}}.tsv"], lambda path: _kobest_rows(path, columns, label))

    return read


def _kobest_rows(path: Path, columns: dict[str, str], label: Callable[[Row], int]) -> list[Row]:
    rows: list[Row] = []
    for number, row in enumerate(_table(path, "\t"), start=2):
        if any(not row.get(column) for column in columns):
            continue
        try:
            rows.append({**{ours: row[theirs] for theirs, ours in columns.items()}, "label": label(row)})
        except (KeyError, ValueError) as error:
            raise _broken(path, number, f"its label cannot be read ({error})") from error
    return rows


def true_or_false(column: str) -> Callable[[Row], int]:
    """0 for False, in any case; else 1."""
    return lambda row: 0 if row[column].strip().casefold() == "false" else 1


def whole_number(column: str, first: int = 0) -> Callable[[Row], int]:
    """The number, counted from 0."""
    return lambda row: int(row[column]) - first


def klue_nli(folder: Path) -> Splits:
    """`klue-nli-*_dev.json`: premise, hypothesis and what follows from it."""
    labels = {"entailment": 0, "neutral": 1, "contradiction": 2}
    return _splits(
        folder,
        ["klue-nli-*_{}.json"],
        lambda path: [
            {"premise": row["premise"], "hypothesis": row["hypothesis"], "label": labels[row["gold_label"]]}
            for row in _json_rows(path, {"premise", "hypothesis", "gold_label"})
        ],
    )


def klue_sts(folder: Path) -> Splits:
    """`klue-sts-*_dev.json`: two sentences, and whether they mean the same (the benchmark's binary label)."""
    return _splits(
        folder,
        ["klue-sts-*_{}.json"],
        lambda path: [
            {
                "sentence1": row["sentence1"],
                "sentence2": row["sentence2"],
                "label": int(row["labels"]["binary-label"]),
            }
            for row in _json_rows(path, {"sentence1", "sentence2", "labels"})
        ],
    )


def multiple_choice(folder: Path) -> Splits:
    """KMMLU's form: `*test.csv` or `.jsonl` with question, A, B, C, D and answer (1 to 4); `*dev.*` for examples."""
    return _splits(folder, ["*{}.csv", "*{}.jsonl"], _multiple_choice_rows)


def _multiple_choice_rows(path: Path) -> list[Row]:
    needed = {"question", *CHOICES, "answer"}
    read = _table(path, ",") if path.suffix == ".csv" else _json_lines(path)
    rows = []
    for number, row in enumerate(read, start=2 if path.suffix == ".csv" else 1):
        missing = sorted(needed - {name for name, value in row.items() if value not in {None, ""}})
        if missing:
            raise _broken(path, number, f"it lacks {', '.join(missing)}")
        answer = str(row["answer"]).strip()
        if answer not in {"1", "2", "3", "4"}:
            raise _broken(path, number, "its answer is not 1, 2, 3 or 4")
        category = str(row.get("Category") or row.get("category") or path.stem)
        rows.append(
            {**{name: str(row[name]) for name in needed - {"answer"}}, "answer": int(answer), "Category": category}
        )
    return rows


def data_files(folder: Path, patterns: Sequence[str], endings: Sequence[str]) -> list[Path]:
    """The files of the first ending that has any."""
    for ending in endings:
        found = sorted(path for pattern in patterns for path in folder.glob(pattern.format(ending)))
        if found:
            return found
    return []


def _splits(folder: Path, patterns: Sequence[str], read: Callable[[Path], list[Row]]) -> Splits:
    asked = data_files(folder, patterns, ASKED)
    if not asked:
        raise NotFoundError(
            "The folder has no data of this task",
            value=folder,
            allowed=" or ".join(pattern.format(ASKED[0]) for pattern in patterns)
            + f" (or {', '.join(ASKED[1:])} instead of {ASKED[0]})",
            next_step="give the folder that the benchmark's files lie in",
        )
    rows = [row for path in asked for row in read(path)]
    if not rows:
        raise InvalidDataError("The data file has no rows", value=asked[0], next_step="check how it was made")
    examples = [path for path in data_files(folder, patterns, EXAMPLES) if path not in asked]
    example_rows = [row for path in examples for row in read(path)]
    return {"asked": rows, "examples": example_rows}


def _table(path: Path, delimiter: str) -> list[Row]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def _json_lines(path: Path) -> list[Row]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except ValueError as error:
        raise InvalidDataError("The data file is not JSONL", value=path, next_step=str(error)) from error


def _json_rows(path: Path, needed: set[str]) -> list[Row]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InvalidDataError("The data file is not JSON", value=path, next_step=str(error)) from error
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or needed - row.keys():
            raise _broken(path, number, f"it lacks one of {', '.join(sorted(needed))}")
    return list(rows)


def _broken(path: Path, number: int, what: str) -> InvalidDataError:
    return InvalidDataError(
        f"Row {number} of {path.name} cannot be used: {what}",
        value=path,
        allowed="rows as the benchmark publishes them",
        next_step="correct the file, or fetch it again",
    )
