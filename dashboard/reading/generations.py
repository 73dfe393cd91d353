"""Generated samples, and what people say of them."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from contracts.access import ResourceKind
from contracts.enums import QuestionTemplate, ReviewVerdict
from contracts.generation import GenerationReport, ReviewCounts, SampleReview
from dashboard.reading.keeping import LISTED, ask
from dashboard.visits import Visit
from stages.services import Services
from storage.files import read_json


@dataclass(frozen=True, slots=True)
class GenerationStory:
    """One generation: what it brought, and how far its review is."""

    generation_id: str
    dataset_name: str
    report: GenerationReport | None
    """None where its folder is gone."""
    counts: ReviewCounts | None
    """None where no sample passed the checks."""


def list_generations(visit: Visit) -> list[GenerationStory]:
    """Every generation, the newest first. Never kept: a verdict shows at once."""
    visit.require(ResourceKind.GENERATION, "read")
    counts = {found.generation_id: found for found in ask(visit, lambda uow: uow.reviews.generations(LISTED))}
    reports = _generation_reports(visit)
    silent = [name for name in reports if name not in counts]
    return [
        GenerationStory(
            name,
            counts[name].dataset_name if name in counts else reports[name].dataset_name,
            reports.get(name),
            counts.get(name),
        )
        for name in (*silent, *counts)
    ]


def _generation_reports(services: Services) -> dict[str, GenerationReport]:
    """The reports that lie in the folders, the newest first; one that cannot be read is left out."""
    paths = sorted(
        services.settings.generations_dir.glob("*/*/report.json"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    found = {}
    for path in paths[:LISTED]:
        try:
            report = GenerationReport.model_validate(read_json(path) or {})
        except (ValidationError, ValueError, OSError):
            continue
        found[report.generation_id] = report
    return found


def samples_to_review(
    visit: Visit,
    generation_id: str,
    verdict: ReviewVerdict | None,
    waiting: bool,
    template: QuestionTemplate | None,
) -> list[int]:
    """The review_id of each sample of that kind, in order."""
    return ask(
        visit,
        lambda uow: uow.reviews.positions(generation_id, verdict=verdict, waiting=waiting, template=template),
    )


def templates_to_review(visit: Visit, generation_id: str) -> list[QuestionTemplate]:
    """The kinds of samples that a generation has."""
    return ask(visit, lambda uow: uow.reviews.templates(generation_id))


def review_counts(visit: Visit, generation_id: str) -> ReviewCounts:
    """How far the generation's review is. Raises NotFoundError."""
    return ask(visit, lambda uow: uow.reviews.counts(generation_id))


def sample_to_review(visit: Visit, review_id: int) -> SampleReview:
    """One sample with its passage and its verdict."""
    visit.require(ResourceKind.GENERATION, "read")
    return ask(visit, lambda uow: uow.reviews.get(review_id))
