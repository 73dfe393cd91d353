"""What model versions scored on suites, as cards and comparisons read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import and_, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from contracts.enums import PairedOutcome
from contracts.model_comparison import CaseChange, CategoryCounts, PairedCase
from contracts.suites import SuiteResult
from database.models import CaseScoreRow, SuiteResultRow, TestCaseRow
from database.repositories.suite_results import suite_result


@dataclass(slots=True)
class PairedCases:
    """Cases that two models answered."""

    counts: dict[tuple[bool, bool], int] = field(default_factory=dict)
    """By whether the first and the second had them right."""
    reworded: int = 0
    """Another answer, and as right or wrong as before."""
    won: list[CaseChange] = field(default_factory=list)
    """The first of those that the second had right alone."""
    lost: list[CaseChange] = field(default_factory=list)
    """The first of those that the first had right alone."""


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

    def history(self, model_id: int, job_id: int | None, limit: int = 500) -> list[SuiteResult]:
        """Every result of the version or of the job that made it, newest first."""
        own = SuiteResultRow.model_id == model_id
        of_job = and_(SuiteResultRow.job_id == job_id, SuiteResultRow.model_id.is_(None))
        query = select(SuiteResultRow).where(own if job_id is None else or_(own, of_job))
        rows = self._session.execute(query.order_by(SuiteResultRow.id.desc()).limit(limit)).scalars()
        return [suite_result(row) for row in rows]

    def paired_categories(self, reference_id: int, other_id: int) -> list[CategoryCounts]:
        """How the cases that two results share came out, by category."""
        first, second = aliased(CaseScoreRow), aliased(CaseScoreRow)
        query = (
            select(first.category, first.correct, second.correct, func.count())
            .join(second, and_(second.case_id == first.case_id, second.result_id == other_id))
            .where(first.result_id == reference_id)
            .group_by(first.category, first.correct, second.correct)
            .order_by(first.category)
        )
        found: dict[str, dict[PairedOutcome, int]] = {}
        for category, one, other, count in self._session.execute(query):
            found.setdefault(category, {})[PairedOutcome.of(one, other)] = count
        return [CategoryCounts(category=category, counts=counts) for category, counts in found.items()]

    def paired_page(
        self,
        reference_id: int,
        other_id: int,
        outcome: PairedOutcome,
        *,
        category: str | None = None,
        suite_id: int | None = None,
        offset: int = 0,
        limit: int = 10,
    ) -> list[PairedCase]:
        """Some cases that two results share, with the question and what was expected where the suite's cases are kept."""
        first, second = aliased(CaseScoreRow), aliased(CaseScoreRow)
        asked = and_(TestCaseRow.suite_id == suite_id, TestCaseRow.case_id == first.case_id)
        query = (
            select(first, second.body, TestCaseRow.question, TestCaseRow.body["accepted_answers"])
            .join(second, and_(second.case_id == first.case_id, second.result_id == other_id))
            .outerjoin(TestCaseRow, asked)
            .where(
                first.result_id == reference_id,
                first.correct == (outcome in {PairedOutcome.LOST, PairedOutcome.BOTH_RIGHT}),
                second.correct == (outcome in {PairedOutcome.WON, PairedOutcome.BOTH_RIGHT}),
            )
        )
        if category is not None:
            query = query.where(first.category == category)
        rows = self._session.execute(query.order_by(first.category, first.case_id).offset(offset).limit(limit))
        return [
            PairedCase(
                case_id=one.case_id,
                category=one.category,
                question=question,
                expected=accepted or [],
                reference_answer=one.body.get("answer", ""),
                other_answer=other.get("answer", ""),
                outcome=outcome,
            )
            for one, other, question, accepted in rows
        ]

    def paired(self, pairs: Mapping[int, int], shown: int) -> dict[int, PairedCases]:
        """The cases of both results of each pair, by the first one's id: two queries, however many pairs there are."""
        first, second = aliased(CaseScoreRow), aliased(CaseScoreRow)
        partner = case(pairs, value=first.result_id) if pairs else literal(0)
        both = and_(second.case_id == first.case_id, second.result_id == partner)
        reworded = first.body["answer"].astext.is_distinct_from(second.body["answer"].astext)
        counted = (
            select(first.result_id, first.correct, second.correct, func.count(), func.count().filter(reworded))
            .join(second, both)
            .where(first.result_id.in_(pairs))
            .group_by(first.result_id, first.correct, second.correct)
        )
        found = {result_id: PairedCases() for result_id in pairs}
        for result_id, one, other, count, changed in self._session.execute(counted):
            cases = found[result_id]
            cases.counts[(one, other)] = count
            if one == other:
                cases.reworded += changed
        place = func.row_number().over(partition_by=(first.result_id, second.correct), order_by=first.case_id)
        discordant = (
            select(
                first.result_id,
                first.case_id,
                first.category,
                first.body["answer"].astext.label("before"),
                second.body["answer"].astext.label("after"),
                second.correct.label("is_won"),
                place.label("place"),
            )
            .join(second, both)
            .where(first.result_id.in_(pairs), first.correct != second.correct)
            .subquery()
        )
        query = (
            select(discordant).where(discordant.c.place <= shown).order_by(discordant.c.result_id, discordant.c.place)
        )
        for row in self._session.execute(query):
            change = CaseChange(
                case_id=row.case_id,
                category=row.category,
                reference_answer=row.before or "",
                other_answer=row.after or "",
            )
            (found[row.result_id].won if row.is_won else found[row.result_id].lost).append(change)
        return found
