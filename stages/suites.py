"""Test suites: brought in from files, edited, locked, compared, written out again, and found for an evaluation."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.enums import CaseFault, SuiteKind
from contracts.errors import InvalidDataError, InvalidRequestError, NotFoundError
from contracts.suite_versions import CaseProblem, ImportedSuite, SuiteDifference
from contracts.suites import SUITE_NAME_PATTERN
from contracts.words import CASE_FAULTS
from data_prep.imports.input_files import FORMATS, InputFile, open_input_files, resolve_input_file
from data_prep.imports.reading import ParsedRow, open_rows
from evaluation.case_columns import CASE_COLUMNS, column_key
from evaluation.case_rows import ReadCases, case_from_cells, question_key, read_cases, row_of_case
from evaluation.case_tables import EXPLANATION_SHEETS, export_bytes
from evaluation.scorers.registry import check_case
from evaluation.scorers.score import unusable
from evaluation.suite_difference import suite_difference
from evaluation.test_cases import Suite, read_suite, read_test_split
from storage.stored_files import sha256_of_stored, write_stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from contracts.datasets import DatasetVersion
    from contracts.evaluation import TestCase
    from contracts.suite_versions import ImportSuiteRequest
    from contracts.suites import SuiteVersion
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

DATASET_PREFIX = "dataset:"
MOST_TOLD_PROBLEMS = 20
MOST_CASES = 20_000
"""Of an import; a table with more is a dataset, given by mistake."""
_REFERENCE = re.compile(rf"({SUITE_NAME_PATTERN.removeprefix('^').removesuffix('$')})(?:@v?([0-9]{{1,9}}))?")


def resolve_suite(given: str, services: Services) -> Suite:
    """The suite that the text names: a managed one (`name`, `name@3`), a file of test cases below an input folder, or a
    dataset version's test split (`dataset:5`).

    A name alone means its newest locked version, else its newest draft. What a managed suite holds is also written to
    a file, the suite's `path`, for those who read files.
    """
    if given.startswith(DATASET_PREFIX):
        dataset = _dataset(given, services)
        name = f"{dataset.name} {dataset.version} test"
        return read_test_split(Path(dataset.file_path) / "test.parquet", name)
    named = _named(given, services)
    if named is None:
        return _from_file(_input_file(given, services), services)
    with services.unit_of_work() as uow:
        version = uow.suites.find(*named)
        cases = uow.suites.cases(version.suite_id)
    # the file's name is the suite's for those who know the file only
    path = services.settings.suites_dir / version.content_hash[:12] / f"{version.name}@{version.version}.jsonl"
    if not path.is_file():
        write_stored(path, export_bytes(cases, ".jsonl"))
    return Suite(
        name=version.name,
        path=str(path),
        sha256=sha256_of_stored(path),
        cases=cases,
        excluded={},
        version=version.version,
        kind=version.kind,
        settings=version.settings,
    )


def _from_file(path: Path, services: Services) -> Suite:
    """The file's cases. One that a managed suite was written to is still that version of that suite."""
    suite = read_suite(path)
    named = _REFERENCE.fullmatch(path.stem)
    is_managed = path.is_relative_to(services.settings.suites_dir.resolve())
    if is_managed and named is not None and named[2] is not None:
        return replace(suite, name=named[1], version=int(named[2]))
    return suite


def suite_path(given: str, services: Services) -> str:
    """The file that holds the suite's cases; a path is handed back as it was given."""
    return given if _named(given, services) is None else resolve_suite(given, services).path


def require_suite(given: str, services: Services) -> None:
    """The managed suite or the file is there; what a file holds is not read. Raises as `resolve_suite`."""
    if given.startswith(DATASET_PREFIX):
        _dataset(given, services)
        return
    named = _named(given, services)
    if named is None:
        _input_file(given, services)
        return
    with services.unit_of_work() as uow:
        uow.suites.find(*named)


def find_version(given: str, services: Services) -> SuiteVersion:
    """The managed version that `name` or `name@3` names. Raises InvalidRequestError or NotFoundError."""
    name, version = _reference(given)
    with services.unit_of_work() as uow:
        return uow.suites.find(name, version)


def newest_version(given: str, services: Services) -> SuiteVersion:
    """As `find_version`, but a name alone means the version with the highest number that is not archived: what editors see."""
    name, version = _reference(given)
    if version is None:
        with services.unit_of_work() as uow:
            listed = next((found for found in uow.suites.list_suites() if found.name == name), None)
        if listed is not None:
            return listed.newest
    return find_version(given, services)


@dataclass(frozen=True, slots=True)
class _Brought:
    """A file's cases beside what is there already."""

    newest: SuiteVersion | None
    present: list[TestCase]
    read: ReadCases
    cases: list[TestCase]


def import_suite(request: ImportSuiteRequest, services: Services, *, actor: str) -> ImportedSuite:
    """Bring a file in as the next version, a draft. All of it, or with any wrong row nothing.

    Raises InvalidDataError that names the first wrong rows. A dry run raises for the file as a whole only and tells
    the wrong rows in its record. The same cases again are the version that is there.
    """
    file = open_input_files(
        [request.file],
        relative_to=services.settings.repository_root,
        allowed_roots=services.settings.allowed_input_roots,
    )[0]
    with services.unit_of_work() as uow:
        brought = _bring(file, request, uow)
        if request.dry_run:
            return _imported(brought, None, is_new=True)
        _require_no_problems(brought.read.problems, file.name)
        suite = uow.suites.add(request.name, brought.cases, actor=actor, description=request.description)
        is_new = brought.newest is None or suite.suite_id != brought.newest.suite_id
        if is_new:
            uow.audit.append(
                actor, "suite.imported", f"{suite.name}@{suite.version}", {"file": file.name, "cases": suite.case_count}
            )
    return _imported(brought, suite, is_new=is_new)


def _bring(file: InputFile, request: ImportSuiteRequest, uow: UnitOfWork) -> _Brought:
    newest = uow.suites.newest(request.name)
    if newest is not None and newest.kind is not SuiteKind.CASES:
        raise InvalidRequestError(
            "The suite of that name has no cases of its own",
            value=f"{newest.name}: {newest.kind.value}",
            allowed="a suite of test cases, or a new name",
            next_step="choose another name",
        )
    present = [] if newest is None else uow.suites.cases(newest.suite_id)
    opened = open_rows(file, ("question", "질문"))
    rows = list(islice(opened.rows, MOST_CASES + 1))
    if len(rows) > MOST_CASES:
        raise InvalidDataError(
            "The file holds more rows than a test suite may have",
            value=file.name,
            allowed=f"up to {MOST_CASES:,} cases",
            next_step="take a part of it; for training data use `tuneway dataset import`",
        )
    read = read_cases(
        ((row.line, row.value if isinstance(row, ParsedRow) else None) for row in rows),
        present if request.add else (),
    )
    read.notes += [note for note in opened.notes if not any(f"sheet {name} " in note for name in EXPLANATION_SHEETS)]
    if not read.cases and not read.problems:
        raise InvalidDataError(
            "The file holds no test case",
            value=file.name,
            allowed="a first line that names the columns, such as 질문, 정답, 분류, 채점, and rows below it",
            next_step="fill in the file that `tuneway suite template` writes",
        )
    return _Brought(newest, present, read, [*present, *read.cases] if request.add else read.cases)


def _require_no_problems(problems: Sequence[CaseProblem], file: str) -> None:
    if not problems:
        return
    told = [f"row {problem.row}: {tell_problem(problem, 'en')}" for problem in problems[:MOST_TOLD_PROBLEMS]]
    more = len(problems) - len(told)
    raise InvalidDataError(
        f"{len(problems)} rows of {file} cannot become test cases, so none was brought in",
        value="; ".join(told) + (f"; and {more} more" if more else ""),
        allowed="rows as in the file that `tuneway suite template` writes",
        next_step="correct these rows; `--dry-run` tells whether any is left",
    )


def tell_problem(problem: CaseProblem, language: str) -> str:
    """`정답: 정답이 비어 있습니다`, with what stands there."""
    headers = {column.key: column.header.of(language) for column in CASE_COLUMNS}
    place = f"{headers.get(problem.column, problem.column)}: " if problem.column else ""
    value = f" ({problem.value})" if problem.value else ""
    return f"{place}{CASE_FAULTS[problem.fault].of(language)}{value}"


def _imported(brought: _Brought, suite: SuiteVersion | None, *, is_new: bool) -> ImportedSuite:
    before = {case.id: case for case in brought.present}
    after = {case.id: case for case in brought.cases}
    return ImportedSuite(
        suite=suite,
        is_new=is_new,
        cases=len(brought.cases),
        categories=dict(sorted(Counter(case.category for case in brought.cases).items())),
        scorers=dict(sorted(Counter(case.scorer for case in brought.cases).items())),
        added=sum(case_id not in before for case_id in after),
        removed=sum(case_id not in after for case_id in before),
        changed=sum(case_id in before and before[case_id] != case for case_id, case in after.items()),
        problems=brought.read.problems,
        notes=brought.read.notes,
    )


def edit_case(
    suite_id: int, case_id: str, changes: Mapping[str, str], services: Services, *, actor: str
) -> SuiteVersion:
    """Change columns of a case (`정답` or `accepted_answers`, as in a table of cases), or add a case with that id.

    Raises InvalidRequestError for a column that does not exist, and what `put_case` raises.
    """
    unknown = [header for header in changes if column_key(header) is None]
    if unknown:
        raise InvalidRequestError(
            "A table of test cases has no such column",
            value=", ".join(unknown),
            allowed=", ".join(column.header.korean for column in CASE_COLUMNS),
            next_step="see the columns in the file that `tuneway suite template` writes",
        )
    with services.unit_of_work() as uow:
        try:
            stored = uow.suites.case(suite_id, case_id)
        except NotFoundError:
            stored = None
    cells = {} if stored is None else row_of_case(stored.case)
    cells |= {key: text for header, text in changes.items() if (key := column_key(header)) is not None}
    found = case_from_cells({**cells, "id": case_id})
    if isinstance(found, CaseProblem):
        raise InvalidDataError(
            f"The test case {case_id} cannot be stored",
            value=tell_problem(found, "en"),
            allowed="cells as in the file that `tuneway suite template` writes",
            next_step="correct the column",
        )
    return put_case(suite_id, found, services, actor=actor, seen=None if stored is None else stored.edited_at)


def put_case(
    suite_id: int, case: TestCase, services: Services, *, actor: str, seen: datetime | None = None
) -> SuiteVersion:
    """Add a case or replace the one with its id; returns the version that has it now.

    Raises InvalidDataError for a case that no answer could be scored on or whose question is there already, and
    ConflictError as the repository does.
    """
    check_case(case)
    with services.unit_of_work() as uow:
        key = question_key(case.question)
        twin = next(
            (
                other
                for other in uow.suites.cases(suite_id)
                if other.id != case.id and question_key(other.question) == key
            ),
            None,
        )
        if twin is not None:
            raise unusable(case, CaseFault.DUPLICATE_QUESTION, value=f"{twin.id}: {twin.question}")
        suite = uow.suites.put_case(suite_id, case, actor=actor, seen=seen)
        uow.audit.append(actor, "suite.case_edited", f"{suite.name}@{suite.version}", {"case": case.id})
    return suite


def remove_case(suite_id: int, case_id: str, services: Services, *, actor: str) -> SuiteVersion:
    """Take a case out; returns the version without it."""
    with services.unit_of_work() as uow:
        suite = uow.suites.remove_case(suite_id, case_id, actor=actor)
        uow.audit.append(actor, "suite.case_removed", f"{suite.name}@{suite.version}", {"case": case_id})
    return suite


def lock_suite(suite_id: int, services: Services, *, actor: str) -> SuiteVersion:
    """Close the version for good; who and when is kept. One that is locked stays as it is."""
    with services.unit_of_work() as uow:
        before = uow.suites.get(suite_id)
        suite = uow.suites.lock(suite_id, actor=actor)
        if before != suite:
            uow.audit.append(
                actor, "suite.locked", f"{suite.name}@{suite.version}", {"content_hash": suite.content_hash}
            )
    return suite


def archive_suite(suite_id: int, services: Services, *, actor: str) -> SuiteVersion:
    """Take the version out of use; its results stay."""
    with services.unit_of_work() as uow:
        before = uow.suites.get(suite_id)
        suite = uow.suites.archive(suite_id)
        if before != suite:
            uow.audit.append(actor, "suite.archived", f"{suite.name}@{suite.version}")
    return suite


def compare_suites(before: SuiteVersion, after: SuiteVersion, services: Services) -> SuiteDifference:
    """What changed from one version to the other. Raises InvalidRequestError for versions of two suites."""
    if before.name != after.name:
        raise InvalidRequestError(
            "Versions of two test suites cannot be compared",
            value=f"{before.name}, {after.name}",
            allowed="two versions of one suite",
            next_step=f"see `tuneway suite show {before.name}`",
        )
    with services.unit_of_work() as uow:
        return suite_difference(before, after, uow.suites.cases(before.suite_id), uow.suites.cases(after.suite_id))


def _named(given: str, services: Services) -> tuple[str, int | None] | None:
    """Name and version of a managed suite; None for what is a file or can only be one."""
    match = _REFERENCE.fullmatch(given.strip())
    if match is None or Path(given.strip()).suffix.lower() in FORMATS:
        return None
    if match[2] is None and (services.settings.repository_root / given).is_file():
        return None
    return match[1], int(match[2]) if match[2] else None


def _reference(given: str) -> tuple[str, int | None]:
    match = _REFERENCE.fullmatch(given.strip())
    if match is None:
        raise InvalidRequestError(
            "This is no name of a test suite",
            value=given,
            allowed="lower-case letters, digits, dots, hyphens and underscores, with a version as in rules@3",
            next_step="see `tuneway suite list`",
        )
    return match[1], int(match[2]) if match[2] else None


def _dataset(given: str, services: Services) -> DatasetVersion:
    number = given.removeprefix(DATASET_PREFIX)
    if not number.isdecimal() or len(number) > 9:
        raise InvalidRequestError(
            "This is no dataset version", value=given, allowed="dataset:5", next_step="see `tuneway dataset list`"
        )
    with services.unit_of_work() as uow:
        return uow.datasets.get(int(number))


def _input_file(given: str, services: Services) -> Path:
    return resolve_input_file(
        given,
        relative_to=services.settings.repository_root,
        allowed_roots=services.settings.allowed_input_roots,
    )
