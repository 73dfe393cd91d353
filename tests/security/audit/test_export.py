"""What an auditor opens is what was written, and no cell of it is a formula."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from contracts.audit import AuditEntry, AuditResult
from security.audit.export import COLUMNS, ExportFormat, written


def entry(subject: str) -> AuditEntry:
    return AuditEntry(
        id=1, recorded_at=datetime(2026, 1, 2, tzinfo=UTC), event_id="e", at=datetime(2026, 1, 2, tzinfo=UTC),
        actor="김철수", origin="10.0.0.1", action="a.b", subject=subject, category=None, purpose=None,
        result=AuditResult.SUCCEEDED, details={"한글": [1, None]}, hash="00",
    )  # fmt: skip


def cells(subject: str) -> dict[str, str]:
    """The one row of the CSV, as a spreadsheet program reads it."""
    content = b"".join(written([entry(subject)], ExportFormat.CSV)).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(content, newline=""))
    return row


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", " =", "\u3000="])
def test_no_cell_starts_a_formula(first):
    assert cells(f"{first}cmd|' /C calc'!A0")["subject"] == f"'{first}cmd|' /C calc'!A0"


@pytest.mark.parametrize("subject", ["model/1", "a,b", 'say "x"', "two\nlines", ""])
def test_other_cells_are_as_they_were(subject):
    row = cells(subject)
    assert row["subject"] == subject
    assert tuple(row) == COLUMNS
    assert (row["actor"], row["purpose"], row["details"]) == ("김철수", "", '{"한글": [1, null]}')


def test_json_lines_hold_the_entry_as_it_is():
    (line,) = b"".join(written([entry("=1\n")], ExportFormat.JSONL)).splitlines()
    assert AuditEntry.model_validate(json.loads(line)) == entry("=1\n")
