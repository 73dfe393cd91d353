"""Versions of test suites and their cases. A locked version never changes; editing it makes the next version."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Select, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.enums import SuiteKind, SuiteStatus
from contracts.errors import ConflictError, InvalidDataError, NotFoundError
from contracts.evaluation import TestCase
from contracts.record import JsonObject, utc_now
from contracts.suite_versions import StoredCase, SuiteListing, content_hash_of
from contracts.suites import SuiteVersion
from database.models import TestCaseRow, TestSuiteRow

_BATCH_ROWS = 500


def _record(row: TestSuiteRow) -> SuiteVersion:
    return SuiteVersion(
        suite_id=row.id,
        name=row.name,
        version=row.version,
        kind=SuiteKind(row.kind),
        status=SuiteStatus(row.status),
        content_hash=row.content_hash,
        description=row.description,
        case_count=row.case_count,
        categories=row.categories,
        settings=row.settings,
        created_by=row.created_by,
        created_at=row.created_at,
        locked_by=row.locked_by,
        locked_at=row.locked_at,
    )


def _stored(row: TestCaseRow) -> StoredCase:
    return StoredCase(
        case=TestCase.model_validate(row.body),
        position=row.position,
        edited_by=row.edited_by,
        edited_at=row.edited_at,
    )


class SuiteRepository:
    """Rows of test_suites and test_suite_cases."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        name: str,
        cases: Sequence[TestCase],
        *,
        actor: str,
        kind: SuiteKind = SuiteKind.CASES,
        description: str = "",
        settings: JsonObject | None = None,
    ) -> SuiteVersion:
        """The next version of a name, a draft. The newest version's cases again are that version."""
        self._one_writer(name)
        newest = self._newest(name)
        content_hash = content_hash_of(cases, settings)
        is_the_same = newest is not None and newest.content_hash == content_hash and newest.kind == kind.value
        if newest is not None and is_the_same and newest.status != SuiteStatus.ARCHIVED.value:
            return _record(newest)
        return _record(self._insert(name, [(case, None, None) for case in cases], actor, kind, description, settings))

    def get(self, suite_id: int) -> SuiteVersion:
        """The version. Raises NotFoundError."""
        return _record(self._row(suite_id))

    def find(self, name: str, version: int | None = None) -> SuiteVersion:
        """That version of a name; without a number the newest locked one, else the newest draft.

        Raises NotFoundError with names or versions that there are.
        """
        rows = list(
            self._session.execute(
                select(TestSuiteRow).where(TestSuiteRow.name == name).order_by(TestSuiteRow.version.desc())
            ).scalars()
        )
        if not rows:
            names = list(self._session.execute(select(TestSuiteRow.name).distinct()).scalars())
            close = get_close_matches(name, names, n=1)
            raise NotFoundError(
                "There is no test suite of that name",
                value=name,
                allowed=f"did you mean {close[0]}?" if close else ", ".join(sorted(names)[:10]),
                next_step="see `tuneway suite list`, or bring one in with `tuneway suite import`",
            )
        if version is not None:
            found = next((row for row in rows if row.version == version), None)
            if found is None:
                raise NotFoundError(
                    f"The test suite {name} has no such version",
                    value=version,
                    allowed=", ".join(str(row.version) for row in reversed(rows)),
                    next_step=f"see `tuneway suite show {name}`",
                )
            return _record(found)
        for status in (SuiteStatus.LOCKED, SuiteStatus.DRAFT):
            for row in rows:
                if row.status == status.value:
                    return _record(row)
        raise NotFoundError(
            f"Every version of the test suite {name} is archived",
            value=name,
            allowed=", ".join(f"{name}@{row.version}" for row in reversed(rows)),
            next_step="name a version, or bring the suite in again",
        )

    def newest(self, name: str) -> SuiteVersion | None:
        """The version with the highest number, whatever its status."""
        row = self._newest(name)
        return None if row is None else _record(row)

    def versions(self, name: str) -> list[SuiteVersion]:
        """All versions of a name, the newest first."""
        query = select(TestSuiteRow).where(TestSuiteRow.name == name).order_by(TestSuiteRow.version.desc())
        return [_record(row) for row in self._session.execute(query).scalars()]

    def list_suites(self, *, with_archived: bool = False) -> list[SuiteListing]:
        """Every name with its newest version, by name; names of which all is archived only where wanted."""
        query = select(TestSuiteRow).order_by(TestSuiteRow.name, TestSuiteRow.version.desc())
        by_name: dict[str, list[TestSuiteRow]] = {}
        for row in self._session.execute(query).scalars():
            by_name.setdefault(row.name, []).append(row)
        listings = []
        for name, rows in by_name.items():
            in_use = [row for row in rows if row.status != SuiteStatus.ARCHIVED.value]
            if not in_use and not with_archived:
                continue
            locked = [row.version for row in rows if row.status == SuiteStatus.LOCKED.value]
            newest = _record((in_use or rows)[0])
            listings.append(
                SuiteListing(name=name, versions=len(rows), newest=newest, locked_version=max(locked, default=None))
            )
        return listings

    def cases(self, suite_id: int) -> list[TestCase]:
        """All cases in their order. Raises NotFoundError."""
        self._row(suite_id)
        query = select(TestCaseRow.body).where(TestCaseRow.suite_id == suite_id).order_by(TestCaseRow.position)
        return [TestCase.model_validate(body) for body in self._session.execute(query).scalars()]

    def case(self, suite_id: int, case_id: str) -> StoredCase:
        """One case. Raises NotFoundError."""
        row = self._session.get(TestCaseRow, (suite_id, case_id))
        if row is None:
            raise NotFoundError(
                "The test suite has no such case", value=case_id, next_step="see `tuneway suite show NAME --cases`"
            )
        return _stored(row)

    def page(
        self,
        suite_id: int,
        *,
        category: str | None = None,
        search: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[list[StoredCase], int]:
        """Some cases in their order, and how many there are of that kind.

        `search` is found in a case's id, question or accepted answers, whatever the case of its letters.
        """
        query = self._matching(select(TestCaseRow), suite_id, category, search)
        count = self._session.execute(self._matching(select(func.count()), suite_id, category, search)).scalar_one()
        rows = self._session.execute(query.order_by(TestCaseRow.position).offset(offset).limit(limit)).scalars()
        return [_stored(row) for row in rows], count

    def _matching(self, query: Select[Any], suite_id: int, category: str | None, search: str) -> Select[Any]:
        query = query.where(TestCaseRow.suite_id == suite_id)
        if category is not None:
            query = query.where(TestCaseRow.category == category)
        if search.strip():
            escaped = search.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            wanted = f"%{escaped}%"
            query = query.where(
                or_(
                    TestCaseRow.question.ilike(wanted),
                    TestCaseRow.case_id.ilike(wanted),
                    TestCaseRow.body["accepted_answers"].astext.ilike(wanted),
                )
            )
        return query

    def put_case(self, suite_id: int, case: TestCase, *, actor: str, seen: datetime | None) -> SuiteVersion:
        """Add a case, or replace the one with its id. `seen` is the edited_at of the case as the editor saw it.

        Returns the version that has it: the next one where the given one is locked. Raises ConflictError when
        somebody else has edited the case in the meantime, or the version is archived.
        """
        suite = self._editable(suite_id, actor)
        present = self._session.get(TestCaseRow, (suite.id, case.id))
        now = utc_now()
        if present is None:
            last = self._session.execute(
                select(func.max(TestCaseRow.position)).where(TestCaseRow.suite_id == suite.id)
            ).scalar()
            self._session.add(_row_of(suite.id, 0 if last is None else last + 1, case, actor, now))
        else:
            if present.edited_at != seen:
                raise ConflictError(
                    "Somebody else has edited this case in the meantime",
                    value=f"{case.id} by {present.edited_by}",
                    next_step="look at it again",
                )
            present.body, present.category, present.question = _body(case), case.category, case.question
            present.edited_by, present.edited_at = actor, now
        return self._recount(suite)

    def remove_case(self, suite_id: int, case_id: str, *, actor: str) -> SuiteVersion:
        """Take a case out. Returns the version without it: the next one where the given one is locked."""
        self.case(suite_id, case_id)
        suite = self._editable(suite_id, actor)
        self._session.execute(
            delete(TestCaseRow).where(TestCaseRow.suite_id == suite.id, TestCaseRow.case_id == case_id)
        )
        return self._recount(suite)

    def forget_cases(self, suite_id: int, case_ids: Collection[str]) -> SuiteVersion:
        """Take cases out for good, of a locked version too: for a person who demands it.

        The hash of a draft is that of what is left; that of another version stays, as results were measured under it.
        """
        suite = self._row(suite_id, for_update=True)
        content_hash = suite.content_hash
        self._session.execute(
            delete(TestCaseRow).where(TestCaseRow.suite_id == suite_id, TestCaseRow.case_id.in_(list(case_ids)))
        )
        self._recount(suite)
        if suite.status != SuiteStatus.DRAFT.value:
            suite.content_hash = content_hash
        self._session.flush()
        return _record(suite)

    def lock(self, suite_id: int, *, actor: str) -> SuiteVersion:
        """Close the version for good. One that is locked stays as it is."""
        row = self._row(suite_id, for_update=True)
        if row.status == SuiteStatus.LOCKED.value:
            return _record(row)
        if row.status == SuiteStatus.ARCHIVED.value:
            raise ConflictError("An archived version cannot be locked", value=f"{row.name}@{row.version}")
        if row.kind == SuiteKind.CASES.value and not row.case_count:
            raise InvalidDataError(
                "A suite without cases cannot be locked",
                value=f"{row.name}@{row.version}",
                allowed="at least one case",
                next_step="add cases, or bring them in with `tuneway suite import`",
            )
        row.status, row.locked_by, row.locked_at = SuiteStatus.LOCKED.value, actor, utc_now()
        self._session.flush()
        return _record(row)

    def archive(self, suite_id: int) -> SuiteVersion:
        """Take the version out of use; results that name it keep it."""
        self._session.execute(
            update(TestSuiteRow).where(TestSuiteRow.id == suite_id).values(status=SuiteStatus.ARCHIVED.value)
        )
        self._session.expire_all()
        return self.get(suite_id)

    def _row(self, suite_id: int, *, for_update: bool = False) -> TestSuiteRow:
        query = select(TestSuiteRow).where(TestSuiteRow.id == suite_id).execution_options(populate_existing=True)
        row = self._session.execute(query.with_for_update() if for_update else query).scalar_one_or_none()
        if row is None:
            raise NotFoundError("There is no such test suite", value=suite_id, next_step="see `tuneway suite list`")
        return row

    def _newest(self, name: str) -> TestSuiteRow | None:
        query = select(TestSuiteRow).where(TestSuiteRow.name == name).order_by(TestSuiteRow.version.desc()).limit(1)
        return self._session.execute(query).scalar_one_or_none()

    def _one_writer(self, name: str) -> None:
        """One writer a name at a time, so that two versions never take the same number."""
        self._session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"test_suites:{name}"})

    def _insert(
        self,
        name: str,
        cases: Sequence[tuple[TestCase, str | None, datetime | None]],
        actor: str,
        kind: SuiteKind,
        description: str,
        settings: JsonObject | None,
    ) -> TestSuiteRow:
        newest = self._newest(name)
        plain = [case for case, _, _ in cases]
        row = TestSuiteRow(
            name=name,
            version=1 if newest is None else newest.version + 1,
            kind=kind.value,
            status=SuiteStatus.DRAFT.value,
            content_hash=content_hash_of(plain, settings),
            description=description or ("" if newest is None else newest.description),
            case_count=len(plain),
            categories=dict(sorted(Counter(case.category for case in plain).items())),
            settings=settings or {},
            created_by=actor,
        )
        self._session.add(row)
        self._session.flush()
        self._session.refresh(row)
        values = [
            {
                "suite_id": row.id,
                "case_id": case.id,
                "position": position,
                "category": case.category,
                "question": case.question,
                "body": _body(case),
                "edited_by": edited_by,
                "edited_at": edited_at,
            }
            for position, (case, edited_by, edited_at) in enumerate(cases)
        ]
        for start in range(0, len(values), _BATCH_ROWS):
            self._session.execute(insert(TestCaseRow).values(values[start : start + _BATCH_ROWS]))
        return row

    def _editable(self, suite_id: int, actor: str) -> TestSuiteRow:
        """The version where it is a draft; the next version with the same cases where it is locked."""
        row = self._row(suite_id)
        self._one_writer(row.name)
        row = self._row(suite_id, for_update=True)
        if row.status == SuiteStatus.DRAFT.value:
            return row
        if row.status == SuiteStatus.ARCHIVED.value:
            raise ConflictError(
                "An archived version cannot be edited",
                value=f"{row.name}@{row.version}",
                next_step="edit the newest version, or bring the suite in again",
            )
        newest = self._newest(row.name)
        if newest is not None and newest.id != row.id and newest.status == SuiteStatus.DRAFT.value:
            raise ConflictError(
                "There is a draft after this locked version already",
                value=f"{row.name}@{newest.version}",
                next_step="edit that draft",
            )
        query = select(TestCaseRow).where(TestCaseRow.suite_id == row.id).order_by(TestCaseRow.position)
        cases = [
            (TestCase.model_validate(found.body), found.edited_by, found.edited_at)
            for found in self._session.execute(query).scalars()
        ]
        return self._insert(row.name, cases, actor, SuiteKind(row.kind), row.description, row.settings)

    def _recount(self, suite: TestSuiteRow) -> SuiteVersion:
        self._session.flush()
        cases = self.cases(suite.id)
        suite.case_count = len(cases)
        suite.categories = dict(sorted(Counter(case.category for case in cases).items()))
        suite.content_hash = content_hash_of(cases, suite.settings)
        self._session.flush()
        return _record(suite)


def _body(case: TestCase) -> JsonObject:
    return case.model_dump(mode="json")


def _row_of(suite_id: int, position: int, case: TestCase, actor: str, at: datetime) -> TestCaseRow:
    return TestCaseRow(
        suite_id=suite_id,
        case_id=case.id,
        position=position,
        category=case.category,
        question=case.question,
        body=_body(case),
        edited_by=actor,
        edited_at=at,
    )
