"""What model versions scored on suites, as cards and comparisons read it."""

from sqlalchemy import and_, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from contracts.suites import SuiteResult
from database.models import CaseScoreRow, SuiteResultRow
from database.repositories.suite_results import suite_result


class ModelResultRepository:
    """Rows of suite_results and case_scores, from the side of a model version."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def newest(self, model_id: int, job_id: int | None) -> list[SuiteResult]:
        """The newest result of each suite under each set of conditions, of the version or of the job that made it."""
        # a job's results are its version's: the weights are the same
        own = SuiteResultRow.model_id == model_id
        of_job = and_(SuiteResultRow.job_id == job_id, SuiteResultRow.model_id.is_(None))
        query = (
            select(SuiteResultRow)
            .ext(distinct_on(SuiteResultRow.suite_name, SuiteResultRow.comparison_key))
            .where(own if job_id is None else or_(own, of_job))
            .order_by(SuiteResultRow.suite_name, SuiteResultRow.comparison_key, SuiteResultRow.id.desc())
        )
        rows = sorted(self._session.execute(query).scalars(), key=lambda row: (row.suite_name, -row.id))
        return [suite_result(row) for row in rows]

    def reworded(self, first_id: int, second_id: int) -> int:
        """Cases of both results whose answers differ although both are right or both wrong."""
        first, second = aliased(CaseScoreRow), aliased(CaseScoreRow)
        query = (
            select(func.count())
            .select_from(first)
            .join(second, and_(second.case_id == first.case_id, second.result_id == second_id))
            .where(
                first.result_id == first_id,
                first.correct == second.correct,
                first.body["answer"].astext.is_distinct_from(second.body["answer"].astext),
            )
        )
        return self._session.execute(query).scalar_one()
