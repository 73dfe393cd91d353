"""The few things that a page changes, each one short transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contracts.enums import ReviewVerdict
    from contracts.generation import SampleReview
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
