"""The monitor's task: one run a test that asks, always the same."""

import pytest

from contracts.enums import Arm, DecisionCause, ExperimentPolicy
from contracts.experiment_decisions import ExperimentDecision, MonitoredExperiment, MonitorReport
from contracts.record import utc_now
from operators.monitor_operator import MonitorABTestOperator, questions


def monitored(experiment_id: int, policy: ExperimentPolicy, *, needs_answer: bool) -> MonitoredExperiment:
    decision = ExperimentDecision(
        experiment_id=experiment_id, winner=Arm.B, cause=DecisionCause.VERDICT, reason="r", look=None,
        actor="monitor_ab_test", decided_at=utc_now(),
    )  # fmt: skip
    return MonitoredExperiment(
        experiment_id=experiment_id, experiment_name="e", looks=1, users_a=1, users_b=1, is_held=False, policy=policy,
        decision=decision, needs_answer=needs_answer,
    )  # fmt: skip


def test_only_a_test_whose_policy_is_approval_asks_in_airflow():
    report = MonitorReport(
        experiments=[
            monitored(1, ExperimentPolicy.AUTO, needs_answer=False),
            monitored(2, ExperimentPolicy.APPROVE, needs_answer=True),
            monitored(3, ExperimentPolicy.NOTIFY, needs_answer=True),
        ],
        notifications_delivered=0,
        notifications_waiting=0,
    )
    assert questions(report) == [{"trigger_run_id": "experiment-2", "conf": {"experiment_id": 2}}]


@pytest.mark.slow
def test_where_nothing_runs_nobody_is_asked_and_no_row_is_kept(services, context):
    assert MonitorABTestOperator(task_id="look").execute({**context, "params": {"experiment_id": None}}) == []
    with services.unit_of_work() as uow:
        assert uow.pipeline_runs.latest() is None
