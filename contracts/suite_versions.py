"""Keeping test suites: stored cases, lists of suites, what an import brought, how two versions differ."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from contracts.enums import CaseFault
from contracts.evaluation import TestCase
from contracts.record import JsonObject, Record
from contracts.suites import SUITE_NAME_PATTERN, SuiteVersion


class StoredCase(Record):
    """A case of a suite version, and who changed it last."""

    case: TestCase
    position: int
    edited_by: str | None = None
    """None while it is as it was brought in."""
    edited_at: datetime | None = None


class SuiteListing(Record):
    """One suite name."""

    name: str
    versions: int
    newest: SuiteVersion
    """Of those that are not archived, where there is one."""
    locked_version: int | None
    """The newest locked one: what an evaluation takes that names the suite only."""


class ImportSuiteRequest(Record):
    """Bring a file of test cases in, as the next version of a suite."""

    name: str = Field(pattern=SUITE_NAME_PATTERN)
    file: str
    """CSV, TSV, XLSX, JSON or JSONL; below an allowed input folder."""
    description: str = Field(default="", max_length=2000)
    add: bool = False
    """Add to the cases of the newest version; else the file holds all cases."""
    dry_run: bool = False
    """Only tell what the import would bring."""


class CaseProblem(Record):
    """Why a row cannot become a case."""

    row: int
    """Line of a text file, or number of a row in Excel, from 1."""
    column: str
    """Key of the column; empty where it is the row as a whole."""
    fault: CaseFault
    value: str = ""
    """What stands there."""


class ImportedSuite(Record):
    """What an import brought, or would bring."""

    suite: SuiteVersion | None
    """None for a dry run."""
    is_new: bool
    """False where the newest version had these cases already."""
    cases: int
    categories: dict[str, int]
    scorers: dict[str, int]
    added: int
    """Cases that the newest version before did not have."""
    removed: int
    changed: int
    problems: list[CaseProblem] = []
    """Of a dry run: rows that cannot become cases; an import of such a file is refused."""
    notes: list[str]
    """What a person should know of the reading: a sheet that was passed over, a column that nobody reads."""


class ChangedCase(Record):
    """A case that two versions have with different contents."""

    case_id: str
    before: TestCase
    after: TestCase
    fields: list[str]


class SuiteDifference(Record):
    """What changed from one version to another; cases are the same by their id."""

    before: SuiteVersion
    after: SuiteVersion
    added: list[TestCase]
    removed: list[TestCase]
    changed: list[ChangedCase]
    same: int


def content_hash_of(cases: Sequence[TestCase], settings: JsonObject | None = None) -> str:
    """SHA-256 over the cases in order, and over the settings where the kind has some; notes to people left out.

    A field that has its default does not count, so that a new field of the record changes no hash.
    """
    digest = hashlib.sha256()
    if settings:
        digest.update(_Settings(settings=settings).model_dump_json().encode() + b"\n")
    for case in cases:
        digest.update(case.model_dump_json(exclude={"note"}, exclude_defaults=True).encode() + b"\n")
    return digest.hexdigest()


class _Settings(Record):
    settings: JsonObject
