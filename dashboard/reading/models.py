"""Registered versions, what their judges said, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.enums import LineageKind, PairedOutcome
from contracts.errors import ConflictError
from contracts.model_comparison import ComparedCases, ModelComparison, SuiteComparison
from contracts.model_listings import ModelListing, ScorePoint
from dashboard.reading.keeping import FRESH_SECONDS, LISTED, ask, kept
from dashboard.visits import Visit
from stages import compared_cases as comparing
from stages.model_cards import write_card

if TYPE_CHECKING:
    from contracts.evaluation import EvaluationReport, GateVerdict
    from contracts.lineage import LineageGraph
    from contracts.models import ArmEndpoint
    from contracts.parity import ParityCertificate
    from database.unit_of_work import UnitOfWork

LINEAGE_SECONDS = 10.0
COMPARISON_SECONDS = 30.0
"""What is compared never changes; only a newer result, or another version in production, changes the choice."""
CASES_A_PAGE = 8
_OWNED_LINEAGE = {
    LineageKind.DATASET: ResourceKind.DATASET,
    LineageKind.JOB: ResourceKind.JOB,
    LineageKind.MODEL: ResourceKind.MODEL,
}


@dataclass(frozen=True, slots=True)
class ModelStory:
    """A model version with what is known about it."""

    listing: ModelListing
    endpoint: ArmEndpoint | None
    evaluation: EvaluationReport | None
    verdict: GateVerdict | None
    scores: list[ScorePoint]
    """Oldest first."""
    certificate: ParityCertificate | None
    """The newest comparison of what was trained and what is served."""


@kept(FRESH_SECONDS)
def list_models(visit: Visit) -> list[ModelListing]:
    """Model versions, newest first, base models too."""
    seen = visit.visible(ResourceKind.MODEL)
    return ask(visit, lambda uow: uow.model_listings.newest(limit=LISTED, visible=seen, with_base=True))


@kept(FRESH_SECONDS)
def model_story(visit: Visit, model_id: int) -> ModelStory:
    """One version. Raises ForbiddenError, NotFoundError."""
    visit.require(ResourceKind.MODEL, "read", model_id)

    def question(uow: UnitOfWork) -> ModelStory:
        listing = uow.model_listings.get(model_id)
        job_id = listing.version.finetuning_job_id
        judged = None if job_id is None else uow.evaluations.newest_judged(job_id)
        latest = None if job_id is None else uow.evaluations.latest_for_job(job_id)
        scores = [] if job_id is None else uow.evaluations.scores(job_id)
        scores += [
            ScorePoint(
                suite=result.conditions.suite_name
                if result.conditions.suite_version is None
                else f"{result.conditions.suite_name} v{result.conditions.suite_version}",
                source="suite",
                number=result.result_id,
                at=result.created_at,
                score=result.primary,
                engine=result.conditions.engine,
            )
            for result in uow.model_results.history(model_id, job_id)
        ]
        return ModelStory(
            listing=listing,
            endpoint=uow.models.deployment(model_id),
            evaluation=latest if judged is None else judged[0],
            verdict=None if judged is None else judged[1],
            scores=sorted(scores, key=lambda point: point.at),
            certificate=uow.certificates.newest(model_id),
        )

    return ask(visit, question)


@kept(COMPARISON_SECONDS)
def model_card(visit: Visit, model_id: int, language: str) -> str | None:
    """The version's card; None for one that no job of ours made."""
    visit.require(ResourceKind.MODEL, "read", model_id)
    version = ask(visit, lambda uow: uow.models.get(model_id))
    try:
        return write_card(version, language, visit)
    except ConflictError:
        return None


@kept(COMPARISON_SECONDS)
def comparison_with_production(visit: Visit, model_id: int) -> ModelComparison | None:
    """The version beside the one in production; None where there is none that may be read. Raises ForbiddenError."""
    visit.require(ResourceKind.MODEL, "read", model_id)
    version = ask(visit, lambda uow: uow.models.get(model_id))
    measure = comparing.measure_of(version, visit)
    if measure is None or not visit.readable(ResourceKind.MODEL, [measure.model_id]):
        return None
    return comparing.compare_with(measure, version, visit)


@kept(COMPARISON_SECONDS)
def compared_cases(
    visit: Visit, model_id: int, suite: str, source: str, outcome: PairedOutcome, category: str | None, page: int
) -> ComparedCases | None:
    """A page, from 0, of the cases of one suite of that comparison; None where its cases are not kept."""
    compared = comparison_with_production(visit, model_id)
    found = None if compared is None else _suite_of(compared, suite, source)
    if found is None or found.reference_id is None:
        return None
    return comparing.compared_cases(
        found, visit, outcome, category=category, offset=page * CASES_A_PAGE, limit=CASES_A_PAGE
    )


def _suite_of(compared: ModelComparison, suite: str, source: str) -> SuiteComparison | None:
    (pair,) = compared.pairs
    return next((found for found in pair.suites if (found.suite, found.source) == (suite, source)), None)


@kept(LINEAGE_SECONDS)
def lineage(visit: Visit, model_id: int) -> LineageGraph | None:
    """What led to a model version, and what came of it, as far as the reader may read it. Raises ForbiddenError."""
    visit.require(ResourceKind.MODEL, "read", model_id)
    graph = ask(visit, lambda uow: uow.lineage.around(LineageKind.MODEL, str(model_id)))
    return None if graph is None else readable_part(visit, graph)


def readable_part(visit: Visit, graph: LineageGraph) -> LineageGraph:
    """The graph without the things that the reader may not read."""
    hidden: set[str] = set()
    for kind, resource in _OWNED_LINEAGE.items():
        nodes = {int(node.key): node.node_id for node in graph.nodes if node.kind is kind}
        if nodes:
            seen = visit.readable(resource, nodes)
            hidden |= {node_id for row_id, node_id in nodes.items() if row_id not in seen}
    return graph.model_copy(
        update={
            "nodes": [node for node in graph.nodes if node.node_id not in hidden],
            "edges": [edge for edge in graph.edges if not {edge.source, edge.target} & hidden],
        }
    )
