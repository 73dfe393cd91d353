"""Entries as files for an auditor: JSON lines, and CSV that a spreadsheet program takes as text."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum

from contracts.audit import AuditEntry

COLUMNS = (
    "id", "at", "recorded_at", "actor", "origin", "action", "subject", "category", "purpose", "result", "details",
    "event_id", "hash",
)  # fmt: skip
_STARTS_A_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


class ExportFormat(StrEnum):
    """How entries are written."""

    JSONL = "jsonl"
    CSV = "csv"


def written(entries: Iterable[AuditEntry], export_format: ExportFormat) -> Iterator[bytes]:
    """The file in pieces, in UTF-8; CSV with the mark by which spreadsheet programs know it."""
    if export_format is ExportFormat.JSONL:
        for entry in entries:
            yield entry.model_dump_json().encode() + b"\n"
        return
    yield b"\xef\xbb\xbf" + _line(COLUMNS)
    for entry in entries:
        cells = entry.model_dump(mode="json")
        cells["details"] = json.dumps(cells["details"], ensure_ascii=False, sort_keys=True)
        yield _line(["" if cells[name] is None else _as_text(str(cells[name])) for name in COLUMNS])


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _as_text(cell: str) -> str:
    """A spreadsheet program must not take what somebody wrote for a formula, blanks before it included."""
    starts = cell.lstrip(" \u3000\u00a0")[:1]
    return f"'{cell}" if starts in _STARTS_A_FORMULA and starts else cell
