"""What experts rate, and how far they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from dashboard.reading.keeping import FRESH_SECONDS, ask, kept
from dashboard.visits import Visit
from stages.rating_tasks import agreement_of, items_of, licences_of, list_tasks

if TYPE_CHECKING:
    from contracts.ratings import AgreementReport, JudgeLicence, Rating, RatingItem, RatingTask


@dataclass(frozen=True, slots=True)
class RatingAgreement:
    """How far the raters of a task agree, and which judge may decide a gate."""

    report: AgreementReport
    licences: list[JudgeLicence]


def rating_tasks(visit: Visit) -> list[tuple[RatingTask, int]]:
    """What is put up for rating, newest first, each with the number of ratings it has brought."""
    visit.require(ResourceKind.RATING_TASK, "read")
    counts = ask(visit, lambda uow: uow.ratings.counts())
    return [(task, counts.get(task.name, 0)) for task in list_tasks(visit)]


@kept(FRESH_SECONDS)
def rating_items(visit: Visit, task: str) -> list[RatingItem]:
    """The task's items in order. Raises NotFoundError."""
    visit.require(ResourceKind.RATING_TASK, "read")
    return items_of(task, visit)


def ratings_of(visit: Visit, task: str, rater: str) -> dict[str, Rating]:
    """What one person has said of the task's items, by item_key."""
    keys = [item.item_key for item in rating_items(visit, task)]
    return ask(visit, lambda uow: uow.ratings.of_rater(keys, rater))


@kept(FRESH_SECONDS)
def rating_agreement(visit: Visit, task: str) -> RatingAgreement:
    """The ratings of a task compared."""
    visit.require(ResourceKind.RATING_TASK, "read")
    report = agreement_of(task, visit)
    return RatingAgreement(report, licences_of(report, visit))
