"""What models scored on suites, and every answer of theirs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic_core import PydanticSerializationError
from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.errors import NotFoundError
from contracts.suites import CaseScore, SuiteResult
from database.models import CaseScoreRow, SuiteResultRow

READ_AT_A_TIME = 10_000
_COLUMNS = {"case_id", "category", "score", "correct"}
"""Fields of a case score that have a column; the others stand in its body."""


def content_key(result: SuiteResult, repetition: int = 0) -> str:
    """The same model under the same conditions; a repetition on purpose has a number."""
    return f"{result.model.content_hash[:40]}:{result.conditions.comparison_key}:{repetition}"


def suite_result(row: SuiteResultRow) -> SuiteResult:
    """The row's record."""
    return SuiteResult.model_validate({**row.report, "result_id": row.id, "created_at": row.created_at})


def _body(case: CaseScore) -> str:
    """What has no column, as JSON that PostgreSQL takes."""
    try:
        text = case.model_dump_json(exclude=_COLUMNS, exclude_defaults=True)
    except PydanticSerializationError:  # a lone surrogate
        text = ""
    if text and "\\u0000" not in text:
        return text
    return json.dumps(_storable(case.model_dump(exclude=_COLUMNS, exclude_defaults=True)), ensure_ascii=False)


def _storable(value: Any) -> Any:
    """PostgreSQL's jsonb takes no NUL and no lone surrogate; answers of a broken model have them."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _storable(part) for key, part in value.items()}
    return [_storable(part) for part in value] if isinstance(value, list) else value


def _case(row: Any) -> CaseScore:
    return CaseScore.model_validate(
        {"case_id": row.case_id, "category": row.category, "score": row.score, "correct": row.correct, **row.body}
    )


class SuiteResultRepository:
    """Rows of suite_results and case_scores."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, result: SuiteResult, cases: Iterable[CaseScore], repetition: int = 0) -> SuiteResult:
        """Store a result with its cases; its result_id and created_at become the row's.

        The same model under the same conditions again is the row that is there, with its cases.
        """
        key = content_key(result, repetition)
        primary = result.primary
        new_id = self._session.execute(
            insert(SuiteResultRow)
            .values(
                content_key=key,
                suite_name=result.conditions.suite_name,
                suite_version=result.conditions.suite_version,
                comparison_key=result.conditions.comparison_key,
                model_id=result.model.model_id,
                job_id=result.model.job_id,
                model_content_hash=result.model.content_hash,
                score_name=primary.name,
                score=primary.value,
                lower=None if primary.interval is None else primary.interval.lower,
                upper=None if primary.interval is None else primary.interval.upper,
                n=result.n,
                report=result.model_dump(mode="json", exclude={"result_id", "created_at"}),
            )
            .on_conflict_do_nothing(index_elements=["content_key"])
            .returning(SuiteResultRow.id)
        ).scalar_one_or_none()
        if new_id is not None:
            self._copy(new_id, cases)
        return suite_result(
            self._session.execute(select(SuiteResultRow).where(SuiteResultRow.content_key == key)).scalar_one()
        )

    def _copy(self, result_id: int, cases: Iterable[CaseScore]) -> None:
        """COPY, within the transaction: a million answers take seconds, not minutes."""
        connection: Any = self._session.connection().connection.dbapi_connection
        statement = "COPY case_scores (result_id, case_id, category, score, correct, body) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for case in cases:
                copy.write_row((result_id, case.case_id, case.category, case.score, case.correct, _body(case)))

    def get(self, result_id: int) -> SuiteResult:
        """The result. Raises NotFoundError."""
        row = self._session.get(SuiteResultRow, result_id)
        if row is None:
            raise NotFoundError("There is no such suite result", value=result_id)
        return suite_result(row)

    def find(self, model_content_hash: str, comparison_key: str) -> SuiteResult | None:
        """The newest result of exactly this model under exactly these conditions."""
        return self._first(
            select(SuiteResultRow).where(
                SuiteResultRow.model_content_hash == model_content_hash, SuiteResultRow.comparison_key == comparison_key
            )
        )

    def repetitions(self, model_content_hash: str, comparison_key: str) -> int:
        """How often exactly this model was evaluated under exactly these conditions."""
        return len(
            self._session.execute(
                select(SuiteResultRow.id).where(
                    SuiteResultRow.model_content_hash == model_content_hash,
                    SuiteResultRow.comparison_key == comparison_key,
                )
            ).all()
        )

    def comparable(self, comparison_key: str, limit: int = 100) -> list[SuiteResult]:
        """Results under the same conditions, of any model, newest first."""
        return self._all(select(SuiteResultRow).where(SuiteResultRow.comparison_key == comparison_key), limit)

    def newest(
        self,
        *,
        suite_name: str | None = None,
        model_id: int | None = None,
        job_id: int | None = None,
        model_content_hash: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[SuiteResult]:
        """Results, newest first."""
        query = select(SuiteResultRow)
        for column, value in (
            (SuiteResultRow.suite_name, suite_name),
            (SuiteResultRow.model_id, model_id),
            (SuiteResultRow.job_id, job_id),
            (SuiteResultRow.model_content_hash, model_content_hash),
        ):
            if value is not None:
                query = query.where(column == value)
        return self._all(query, limit, offset)

    def cases(self, result_id: int) -> Iterator[CaseScore]:
        """Every case of a result, by case id, read in pages."""
        last = ""
        while page := self._page(result_id, last):
            yield from map(_case, page)
            last = page[-1].case_id

    def outcomes(self, result_id: int) -> dict[str, bool]:
        """Which cases were right, by case id: what two results are compared by."""
        rows = self._session.execute(
            select(CaseScoreRow.case_id, CaseScoreRow.correct).where(CaseScoreRow.result_id == result_id)
        )
        return {row.case_id: row.correct for row in rows}

    def cases_named(self, result_id: int, case_ids: Sequence[str]) -> list[CaseScore]:
        """Those cases of a result."""
        rows = self._session.execute(
            select(CaseScoreRow)
            .where(CaseScoreRow.result_id == result_id, CaseScoreRow.case_id.in_(case_ids))
            .order_by(CaseScoreRow.case_id)
        ).scalars()
        return [_case(row) for row in rows]

    def _page(self, result_id: int, after: str) -> Sequence[Any]:
        columns = CaseScoreRow.__table__.columns
        return self._session.execute(
            select(columns.case_id, columns.category, columns.score, columns.correct, columns.body)
            .where(columns.result_id == result_id, columns.case_id > after)
            .order_by(columns.case_id)
            .limit(READ_AT_A_TIME)
        ).all()

    def _first(self, query: Select[Any]) -> SuiteResult | None:
        found = self._all(query, 1)
        return found[0] if found else None

    def _all(self, query: Select[Any], limit: int, offset: int = 0) -> list[SuiteResult]:
        rows = self._session.execute(query.order_by(SuiteResultRow.id.desc()).limit(limit).offset(offset)).scalars()
        return [suite_result(row) for row in rows]
