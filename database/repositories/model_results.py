"""What model versions scored on suites, as cards and comparisons read it."""

from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from contracts.suites import SuiteResult
from database.models import CaseScoreRow, SuiteResultRow
from database.repositories.suite_results import suite_result


@dataclass(frozen=True, slots=True)
class PairedCases:
    """Cases that two models answered."""

    both_right: int
    both_wrong: int
    reworded: int
    """Another answer, and as right or wrong as before."""
    won: list[str]
    """Cases that the second had right alone."""
    lost: list[str]
    """Cases that the first had right alone."""


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

    def paired(self, first_id: int, second_id: int) -> PairedCases:
        """The cases of both results: how many were right with both, one or none, and which with one alone."""
        first, second = aliased(CaseScoreRow), aliased(CaseScoreRow)
        both = and_(second.case_id == first.case_id, second.result_id == second_id)
        reworded = and_(
            first.correct == second.correct,
            first.body["answer"].astext.is_distinct_from(second.body["answer"].astext),
        )
        query = (
            select(first.correct, second.correct, func.count(), func.count().filter(reworded))
            .join(second, both)
            .where(first.result_id == first_id)
            .group_by(first.correct, second.correct)
        )
        counts, changed_answers = {}, 0
        for one, other, count, changed in self._session.execute(query):
            counts[(one, other)] = count
            changed_answers += changed
        discordant = (
            select(first.case_id, second.correct)
            .join(second, both)
            .where(first.result_id == first_id, first.correct != second.correct)
            .order_by(first.case_id)
        )
        won: list[str] = []
        lost: list[str] = []
        for case_id, other in self._session.execute(discordant):
            (won if other else lost).append(case_id)
        return PairedCases(
            both_right=counts.get((True, True), 0),
            both_wrong=counts.get((False, False), 0),
            reworded=changed_answers,
            won=won,
            lost=lost,
        )
