"""Questions that a run puts to a person on Airflow's page, and who may answer them.

How an A/B test ends is over as soon as it is answered anywhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk.execution_time.hitl import upsert_hitl_detail
from airflow.triggers.base import BaseTrigger, TriggerEvent

from contracts.access import ResourceKind
from contracts.experiment_decisions import AskABTestRequest
from operators.access.runs import assigned_to
from operators.params import parse_request
from operators.requests import answers_to, chosen_arm
from operators.run_records import RunRecords
from stages.services import open_services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow.sdk import Context

    from stages.services import Services

POLL_SECONDS = 2.0
REVIEWER = "이 모델을 학습시키지 않은 검토자"
"""Who is asked, as Airflow's page names them."""
ANSWERED_ELSEWHERE = "answered_elsewhere"


class ApproveDeploymentOperator(ApprovalOperator):
    """Asks whether a model version goes into service: somebody who may deploy it, so nobody who had it trained.

    :param model_id: the number of the model version, from what the run's tasks have left
    """

    def __init__(self, *, model_id: Callable[[RunRecords], int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_id = model_id

    def execute(self, context: Context) -> None:
        """Ask, and wait without a worker."""
        model_id = self.model_id(RunRecords.of(context))
        self.assigned_users = [assigned_to(ResourceKind.MODEL, model_id, "deploy", REVIEWER)]
        super().execute(context)


class AskPersonOperator(HITLOperator):
    """Waits for a person's answer on Airflow's page; skips what follows where one was given elsewhere."""

    def execute(self, context: Context) -> None:
        """Ask, and wait without a worker. Airflow resumes a deferred task itself when its page is answered."""
        request = parse_request(AskABTestRequest, context["params"])
        with open_services().unit_of_work() as uow:
            self.options = answers_to(uow.experiments.get(request.experiment_id))
        upsert_hitl_detail(
            ti_id=context["task_instance"].id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            defaults=self.defaults,
            multiple=self.multiple,
            params=self.serialized_params,
            assigned_users=[assigned_to(ResourceKind.AB_TEST, request.experiment_id, "conclude", REVIEWER)],
        )
        self.defer(trigger=AnsweredElsewhereTrigger(request.experiment_id), method_name="execute_complete")

    def validate_chosen_options(self, chosen_options: list[str]) -> None:
        """Airflow's page offers the answers to this very test, which the file of the DAG does not know."""
        for answer in chosen_options:
            chosen_arm(answer)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """The answer of Airflow's page."""
        if ANSWERED_ELSEWHERE in event:
            raise AirflowSkipException(event[ANSWERED_ELSEWHERE])
        return super().execute_complete(context, event)


class AnsweredElsewhereTrigger(BaseTrigger):
    """Fires when the A/B test has its answer in PostgreSQL, or has ended."""

    def __init__(self, experiment_id: int) -> None:
        super().__init__()
        self.experiment_id = experiment_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """For the triggerer."""
        return f"{type(self).__module__}.{type(self).__name__}", {"experiment_id": self.experiment_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look every two seconds; while PostgreSQL is away too."""
        services = open_services()
        while (said := await asyncio.to_thread(answer_elsewhere, self.experiment_id, services)) is None:
            await asyncio.sleep(POLL_SECONDS)
        yield TriggerEvent({ANSWERED_ELSEWHERE: said})


def answer_elsewhere(experiment_id: int, services: Services) -> str | None:
    """Who has answered what, in one sentence; None while the question is open."""
    from contracts.enums import ExperimentStatus
    from contracts.errors import UnavailableError

    try:
        with services.unit_of_work() as uow:
            experiment = uow.experiments.get(experiment_id)
            decision = uow.experiment_decisions.get(experiment_id)
    except UnavailableError:
        return None
    if decision is not None and decision.answer is not None:
        chosen = "nobody wins" if decision.answer.winner is None else f"winner {decision.answer.winner}"
        return f"{decision.answer.actor} has answered: {chosen}"
    if experiment.status is not ExperimentStatus.RUNNING:
        return f"the A/B test {experiment.experiment_name} is {experiment.status.value}"
    return None
