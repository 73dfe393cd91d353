"""What A/B tests have decided, what the monitor knows between two looks, and the results that are kept."""

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.enums import ExperimentStatus
from contracts.experiment_decisions import ExperimentDecision, MonitoredState, PersonsAnswer
from contracts.experiment_results import ArmSummary, ExperimentResults
from contracts.record import JsonObject, utc_now
from database.models import ABExperimentDecisionRow, ABExperimentRow, ABExperimentStateRow, ABTestResult
from database.repositories.experiments import LOCK_EXPERIMENTS

_IN_COLUMNS = {"experiment_id", "decided_at", "answer", "obstacle", "carried_out_at"}


def _record(row: ABExperimentDecisionRow) -> ExperimentDecision:
    return ExperimentDecision.model_validate({**row.decision, **{name: getattr(row, name) for name in _IN_COLUMNS}})


class ExperimentDecisionRepository:
    """Rows of ab_experiment_states, ab_experiment_decisions and ab_test_results."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self, experiment_id: int) -> ExperimentStatus:
        """Until the transaction's end, nobody else looks at the experiment or ends it; its status now."""
        self._session.execute(LOCK_EXPERIMENTS)
        return ExperimentStatus(
            self._session.execute(
                select(ABExperimentRow.status).where(ABExperimentRow.id == experiment_id).with_for_update()
            ).scalar_one()
        )

    def state(self, experiment_id: int) -> MonitoredState | None:
        """As the last look left it."""
        row = self._session.get(ABExperimentStateRow, experiment_id, populate_existing=True)
        return None if row is None else MonitoredState.model_validate(row.state)

    def save_state(self, experiment_id: int, state: MonitoredState) -> None:
        """Keep the state; one that has decided is not written over by one that has not."""
        values = {"looks": state.looks, "state": state.model_dump(mode="json"), "updated_at": utc_now()}
        kept = insert(ABExperimentStateRow).values(experiment_id=experiment_id, **values)
        self._session.execute(
            kept.on_conflict_do_update(
                index_elements=["experiment_id"],
                set_=values,
                where=ABExperimentStateRow.looks <= state.looks,
            )
        )

    def get(self, experiment_id: int) -> ExperimentDecision | None:
        """The decision, where there is one."""
        row = self._session.get(ABExperimentDecisionRow, experiment_id, populate_existing=True)
        return None if row is None else _record(row)

    def decide(self, decision: ExperimentDecision) -> tuple[ExperimentDecision, bool]:
        """The decision that stands, which is the first one, and whether it is this one."""
        added = self._session.execute(
            insert(ABExperimentDecisionRow)
            .values(
                experiment_id=decision.experiment_id,
                decision=decision.model_dump(mode="json", exclude=_IN_COLUMNS),
                decided_at=decision.decided_at,
                answer=None if decision.answer is None else decision.answer.model_dump(mode="json"),
            )
            .on_conflict_do_nothing(index_elements=["experiment_id"])
            .returning(ABExperimentDecisionRow.experiment_id)
        ).scalar_one_or_none()
        standing = self.get(decision.experiment_id)
        assert standing is not None, "it was added, or there before"
        return standing, added is not None

    def answer(self, experiment_id: int, answer: PersonsAnswer) -> bool:
        """Keep a person's answer; False where there is one already."""
        found = self._session.execute(
            update(ABExperimentDecisionRow)
            .where(ABExperimentDecisionRow.experiment_id == experiment_id, ABExperimentDecisionRow.answer.is_(None))
            .values(answer=answer.model_dump(mode="json"), obstacle=None)
            .returning(ABExperimentDecisionRow.experiment_id)
        ).scalar_one_or_none()
        return found is not None

    def set_obstacle(self, experiment_id: int, error: JsonObject | None) -> None:
        """Why the decision is not carried out yet; None once it can be."""
        self._session.execute(
            update(ABExperimentDecisionRow)
            .where(ABExperimentDecisionRow.experiment_id == experiment_id)
            .values(obstacle=error)
        )

    def set_carried_out(self, experiment_id: int) -> bool:
        """The registry and the traffic follow the decision; False where they did before."""
        found = self._session.execute(
            update(ABExperimentDecisionRow)
            .where(
                ABExperimentDecisionRow.experiment_id == experiment_id,
                ABExperimentDecisionRow.carried_out_at.is_(None),
            )
            .values(carried_out_at=func.clock_timestamp(), obstacle=None)
            .returning(ABExperimentDecisionRow.experiment_id)
        ).scalar_one_or_none()
        return found is not None

    def with_loser_in_service(self) -> list[ExperimentDecision]:
        """Carried out, the oldest first; what becomes of the loser is not settled yet."""
        rows = self._session.execute(
            select(ABExperimentDecisionRow)
            .where(ABExperimentDecisionRow.carried_out_at.is_not(None), ABExperimentDecisionRow.loser_left_at.is_(None))
            .order_by(ABExperimentDecisionRow.carried_out_at)
        )
        return [_record(row) for row in rows.scalars()]

    def settle_loser(self, experiment_id: int) -> None:
        """The loser has left, or stays for good: nobody looks at it again."""
        self._session.execute(
            update(ABExperimentDecisionRow)
            .where(ABExperimentDecisionRow.experiment_id == experiment_id)
            .values(loser_left_at=func.clock_timestamp())
        )

    def keep_results(self, results: ExperimentResults, winner: str | None, *, is_significant: bool) -> None:
        """A row an arm, in the customer's columns."""
        for summary in results.arms:
            self._session.add(_result_row(results, summary, winner, is_significant=is_significant))
        self._session.flush()


def _result_row(
    results: ExperimentResults, summary: ArmSummary, winner: str | None, *, is_significant: bool
) -> ABTestResult:
    interval = summary.rating_interval
    return ABTestResult(
        experiment_id=results.experiment.experiment_id,
        variant=summary.arm,
        total_samples=summary.samples,
        avg_rating=summary.mean_rating,
        avg_response_time_ms=summary.mean_response_time_ms,
        confidence_interval=None if interval is None else {"lower": interval.lower, "upper": interval.upper},
        statistical_significance=is_significant,
        winner=summary.arm == winner,
    )
