"""The few things that a page changes, each one short transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.experiment_decisions import ConcludeABTestRequest
from evaluation.rating_items import rating_of
from stages.jobs import find_job, resume_job, stop_job

if TYPE_CHECKING:
    from contracts.enums import Arm, ReviewVerdict
    from contracts.generation import SampleReview
    from contracts.ratings import RatingItem, RatingTask
    from contracts.record import JsonObject
    from stages.services import Services


def decide_sample(
    services: Services,
    sample: SampleReview,
    verdict: ReviewVerdict | None,
    *,
    reviewer: str,
    edited_messages: list[JsonObject] | None = None,
    note: str | None = None,
) -> None:
    """Record what a person says of the sample as it was shown. Raises ConflictError where another was faster."""
    with services.unit_of_work() as uow:
        uow.reviews.decide(
            sample.review_id,
            verdict,
            reviewer=reviewer,
            seen=sample.reviewed_at,
            edited_messages=edited_messages,
            note=note,
        )


def stop(services: Services, job_id: int) -> int | None:
    """Stop the job; the step from which it can go on, None where no checkpoint was saved."""
    _, step = stop_job(find_job(f"train-{job_id}", services.settings), services.settings)
    with services.unit_of_work() as uow:
        uow.audit.append("dashboard", "job.stopped", f"job/{job_id}")
    return step


def resume(services: Services, job_id: int, checkpoint: str | None) -> None:
    """Let the job go on from the checkpoint, or from its last one."""
    resume_job(find_job(f"train-{job_id}", services.settings), checkpoint, services.settings)
    with services.unit_of_work() as uow:
        uow.audit.append("dashboard", "job.resumed", f"job/{job_id}")


def answer_experiment(services: Services, experiment_id: int, winner: Arm | None, *, actor: str, reason: str) -> None:
    """Answer an A/B test's decision; it is carried out. Raises ConflictError where another was faster and said otherwise."""
    # mlflow comes with it, and takes seconds to import
    from stages.conclude_ab_test import conclude_ab_test

    conclude_ab_test(
        ConcludeABTestRequest(experiment_id=experiment_id, winner=winner, actor=actor, reason=reason), services
    )


def rate_item(services: Services, task: RatingTask, item: RatingItem, rater: str, value: str, comment: str) -> None:
    """Record what an expert says of an item; said again, the newest counts."""
    with services.unit_of_work() as uow:
        uow.ratings.rate([rating_of(task, item, rater, value, comment)])


def take_rating_back(services: Services, item: RatingItem, rater: str) -> None:
    """Forget what an expert said of an item."""
    with services.unit_of_work() as uow:
        uow.ratings.take_back(item.item_key, rater)
