"""A job's plan, made in a process of its own: it loads transformers, which the router does not carry about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.job_requests import FinetuneJobRequest, JobPlan
from stages.elsewhere import answer, answered_elsewhere
from stages.services import open_services

if TYPE_CHECKING:
    from stages.services import Services

LIMIT_SECONDS = 300.0
"""Some 5 s on a machine that is not busy, most of them to load libraries."""


def planned_elsewhere(request: FinetuneJobRequest, services: Services) -> JobPlan:
    """The plan. Raises as `stages.finetuning.plan_job`, and UnavailableError where the process does not come to an end."""
    return answered_elsewhere(
        "serving_api.planning",
        request.model_dump_json(),
        JobPlan,
        services.settings,
        what="The plan",
        limit_seconds=LIMIT_SECONDS,
    )


def _plan(question: str) -> JobPlan:
    from stages.finetuning import plan_job

    return plan_job(FinetuneJobRequest.model_validate_json(question), open_services())


if __name__ == "__main__":
    answer(_plan)
