"""The look at running A/B tests as an Airflow task. It keeps no row of its own: it runs each minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from contracts.enums import ExperimentPolicy
from contracts.experiment_decisions import MonitorABTestRequest
from operators.defaults import Queue
from operators.failures import airflow_failures
from operators.params import parse_request
from stages.services import open_services

if TYPE_CHECKING:
    from airflow.sdk import Context

    from contracts.experiment_decisions import MonitorReport


class MonitorABTestOperator(BaseOperator):
    """Looks once; returns the runs that ask people, one a test whose promotion waits for an approval."""

    ui_color = "#e8f0fe"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"queue": Queue.SERVING, **kwargs})

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """The arguments of each run of `conclude_ab_test`; the same test always gets the same run."""
        with airflow_failures():
            from stages.monitor_ab_test import monitor_ab_test

            report = monitor_ab_test(parse_request(MonitorABTestRequest, context["params"]), open_services())
        for each in report.experiments:
            decided = "undecided" if each.decision is None else f"winner {each.decision.chosen or 'nobody'}"
            self.log.info(
                "%s: look %s, %s and %s users, %s",
                each.experiment_name,
                each.looks,
                each.users_a,
                each.users_b,
                decided,
            )
        if report.undeployed:
            self.log.info("out of service: models %s", ", ".join(map(str, report.undeployed)))
        return questions(report)


def questions(report: MonitorReport) -> list[dict[str, Any]]:
    """A run's id and request, of each test that asks."""
    return [
        {"trigger_run_id": f"experiment-{each.experiment_id}", "conf": {"experiment_id": each.experiment_id}}
        for each in report.experiments
        if each.needs_answer and each.policy is ExperimentPolicy.APPROVE
    ]
