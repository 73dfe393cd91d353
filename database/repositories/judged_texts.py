"""Texts of test cases, of models' answers to them, of raters and of contamination reports: read through, and forgotten."""

import json
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Select, Text, cast, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from database.models import CaseScoreRow, ContaminationReportRow, ExpertRatingRow, ModelEvaluation, TestCaseRow

_BATCH_ROWS = 2_000


class JudgedText(NamedTuple):
    """What a row says."""

    holder: int
    """Id of the suite version, the evaluation, the suite result, the rating or the report."""
    key: str
    """Case id within it, an overlap's number in a report; empty for a rating."""
    text: str


class JudgedTextRepository:
    """Texts in test_suite_cases, model_evaluations, case_scores, expert_ratings and contamination_reports."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def test_cases(self) -> Iterator[list[JudgedText]]:
        """Every case of every suite version, some thousands at a time."""
        row = TestCaseRow
        yield from self._batches(
            select(row.suite_id, row.case_id, cast(row.body, Text)).order_by(row.suite_id, row.case_id),
            tuple_(row.suite_id, row.case_id),
        )

    def scored_answers(self) -> Iterator[list[JudgedText]]:
        """Every answer of every suite result, some thousands at a time."""
        row = CaseScoreRow
        yield from self._batches(
            select(row.result_id, row.case_id, cast(row.body, Text)).order_by(row.result_id, row.case_id),
            tuple_(row.result_id, row.case_id),
        )

    def comments(self) -> Iterator[list[JudgedText]]:
        """Every rating's comment, some thousands at a time."""
        row = ExpertRatingRow
        yield from self._batches(select(row.id, literal(""), row.comment).order_by(row.id), tuple_(row.id, literal("")))

    def evaluated_answers(self) -> Iterator[list[JudgedText]]:
        """Question and both answers of every case, an evaluation at a time."""
        for evaluation_id, cases in self._each(ModelEvaluation.id, ModelEvaluation.test_cases):
            yield [JudgedText(evaluation_id, case["case_id"], _text(case)) for case in cases]

    def overlaps(self) -> Iterator[list[JudgedText]]:
        """Case and row of every overlap, a contamination report at a time."""
        for report_id, report in self._each(ContaminationReportRow.id, ContaminationReportRow.report):
            found = enumerate(report["overlaps"])
            yield [JudgedText(report_id, str(number), _text(overlap)) for number, overlap in found]

    def forget_scored_answers(self, result_id: int, case_ids: Collection[str]) -> None:
        """Empty what the model said and why it was scored so; scores stay."""
        left = CaseScoreRow.body.op("-")(cast(["repeated_answer", "remark", "findings"], ARRAY(Text)))
        self._session.execute(
            update(CaseScoreRow)
            .where(CaseScoreRow.result_id == result_id, CaseScoreRow.case_id.in_(list(case_ids)))
            .values(body=left.op("||")(cast({"answer": ""}, JSONB)))
        )

    def forget_comments(self, rating_ids: Collection[int]) -> None:
        """Empty these comments; the ratings stay."""
        self._session.execute(
            update(ExpertRatingRow).where(ExpertRatingRow.id.in_(list(rating_ids))).values(comment="")
        )

    def forget_evaluated_answers(self, evaluation_id: int, case_ids: Collection[str]) -> None:
        """Empty question and answers of these cases; whether they were right stays."""
        row = self._session.get(ModelEvaluation, evaluation_id)
        if row is None:
            return
        empty = {"question": "", "accepted_answers": [], "base_answer": "", "tuned_answer": ""}
        row.test_cases = [{**case, **empty} if case["case_id"] in case_ids else case for case in row.test_cases]
        self._session.flush()

    def forget_overlaps(self, report_id: int, numbers: Collection[str]) -> None:
        """Empty the texts of these overlaps; that there are such stays."""
        row = self._session.get(ContaminationReportRow, report_id)
        if row is None:
            return
        empty = {"question": "", "row_text": ""}
        overlaps = [
            {**overlap, **empty} if str(number) in numbers else overlap
            for number, overlap in enumerate(row.report["overlaps"])
        ]
        row.report = {**row.report, "overlaps": overlaps}
        self._session.flush()

    def _each(self, row_id: Any, content: Any) -> Iterator[tuple[int, Any]]:
        for found in self._session.execute(select(row_id).order_by(row_id)).scalars().all():
            yield found, self._session.execute(select(content).where(row_id == found)).scalar_one()

    def _batches(self, query: "Select[int, str, str]", key: Any) -> Iterator[list[JudgedText]]:
        last: tuple[int, str] | None = None
        while True:
            page = query if last is None else query.where(key > last)
            rows = [JudgedText(*row) for row in self._session.execute(page.limit(_BATCH_ROWS))]
            if not rows:
                return
            yield rows
            last = rows[-1].holder, rows[-1].key


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
