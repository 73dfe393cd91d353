"""Evaluations and verdicts."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.errors import NotFoundError
from contracts.evaluation import CaseResult, EvaluationReport, GateVerdict
from contracts.model_listings import ScorePoint
from contracts.suites import ScoreEstimate
from database.models import ModelEvaluation


def _record(row: ModelEvaluation) -> EvaluationReport:
    return EvaluationReport.model_validate({**row.report, "evaluation_id": row.id})


class EvaluationRepository:
    """Rows of model_evaluations."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, report: EvaluationReport, *, content_key: str, cases: list[CaseResult] | None = None
    ) -> EvaluationReport:
        """Store the report; its evaluation_id is replaced by the row's. The same content key again is the row that is there."""
        main = report.main
        self._session.execute(
            insert(ModelEvaluation)
            .values(
                job_id=report.job_id,
                content_key=content_key,
                report=report.model_dump(mode="json"),
                metrics={
                    "accuracy": main.tuned.accuracy,
                    "accuracy_base": main.base.accuracy,
                    "n": main.tuned.n,
                    "lower": main.tuned.interval.lower,
                    "upper": main.tuned.interval.upper,
                    **{f"accuracy_{extra.name}": extra.tuned.accuracy for extra in report.extras},
                },
                test_cases=[case.model_dump(mode="json") for case in cases or []],
            )
            .on_conflict_do_nothing(index_elements=["content_key"])
        )
        row = self._session.execute(
            select(ModelEvaluation).where(ModelEvaluation.content_key == content_key)
        ).scalar_one()
        return _record(row)

    def _row(self, evaluation_id: int) -> ModelEvaluation:
        row = self._session.get(ModelEvaluation, evaluation_id)
        if row is None:
            raise NotFoundError("There is no such evaluation", value=evaluation_id)
        return row

    def get(self, evaluation_id: int) -> EvaluationReport:
        """The evaluation. Raises NotFoundError."""
        return _record(self._row(evaluation_id))

    def cases(self, evaluation_id: int) -> list[CaseResult]:
        """Both models' answers to the main suite."""
        return [CaseResult.model_validate(case) for case in self._row(evaluation_id).test_cases]

    def record_verdict(self, verdict: GateVerdict) -> None:
        """The gate's verdict over an evaluation; the newest counts."""
        self._row(verdict.evaluation_id).verdict = verdict.model_dump(mode="json")
        self._session.flush()

    def verdict(self, evaluation_id: int) -> GateVerdict | None:
        """The newest verdict over the evaluation."""
        stored = self._row(evaluation_id).verdict
        return None if stored is None else GateVerdict.model_validate(stored)

    def for_job(self, job_id: int) -> list[EvaluationReport]:
        """The job's evaluations, newest first."""
        rows = self._session.execute(
            select(ModelEvaluation).where(ModelEvaluation.job_id == job_id).order_by(ModelEvaluation.id.desc())
        ).scalars()
        return [_record(row) for row in rows]

    def scores(self, job_id: int) -> list[ScorePoint]:
        """The fine-tuned model's accuracy in every evaluation of the job, on each suite, oldest first."""
        query = (
            select(ModelEvaluation.id, ModelEvaluation.evaluated_at, ModelEvaluation.report)
            .where(ModelEvaluation.job_id == job_id)
            .order_by(ModelEvaluation.id)
        )
        found = []
        for evaluation_id, at, body in self._session.execute(query):
            report = EvaluationReport.model_validate({**body, "evaluation_id": evaluation_id})
            for suite in (report.main, *report.extras):
                tuned = suite.tuned
                score = ScoreEstimate(name="accuracy", value=tuned.accuracy, interval=tuned.interval, n=tuned.n)
                found.append(
                    ScorePoint(
                        suite=suite.name,
                        source="evaluation",
                        number=evaluation_id,
                        at=at,
                        score=score,
                        engine=report.backend.value,
                    )
                )
        return found

    def latest_for_job(self, job_id: int) -> EvaluationReport | None:
        """The job's newest evaluation."""
        row = self._session.execute(
            select(ModelEvaluation).where(ModelEvaluation.job_id == job_id).order_by(ModelEvaluation.id.desc()).limit(1)
        ).scalar_one_or_none()
        return None if row is None else _record(row)

    def newest_judged(self, job_id: int) -> tuple[EvaluationReport, GateVerdict] | None:
        """The job's newest evaluation that has a verdict, with it."""
        row = self._session.execute(
            select(ModelEvaluation)
            .where(ModelEvaluation.job_id == job_id, ModelEvaluation.verdict.is_not(None))
            .order_by(ModelEvaluation.id.desc())
            .limit(1)
        ).scalar_one_or_none()
        return None if row is None else (_record(row), GateVerdict.model_validate(row.verdict))
