"""Registered versions, what their judges said, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.enums import LineageKind
from contracts.models import ArmEndpoint, ModelVersion
from dashboard.reading.keeping import FRESH_SECONDS, LISTED, ask, kept
from dashboard.visits import Visit

if TYPE_CHECKING:
    from contracts.evaluation import EvaluationReport, GateVerdict
    from contracts.lineage import LineageGraph
    from database.unit_of_work import UnitOfWork

LINEAGE_SECONDS = 10.0
_OWNED_LINEAGE = {
    LineageKind.DATASET: ResourceKind.DATASET,
    LineageKind.JOB: ResourceKind.JOB,
    LineageKind.MODEL: ResourceKind.MODEL,
}


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """A model version with what is known about it."""

    model: ModelVersion
    endpoint: ArmEndpoint | None
    evaluation: EvaluationReport | None
    verdict: GateVerdict | None
    is_previous: bool
    """A rollback brings it back."""


@kept(FRESH_SECONDS)
def list_models(visit: Visit) -> list[JudgedModel]:
    """Model versions, newest first."""
    seen = visit.visible(ResourceKind.MODEL)

    def question(uow: UnitOfWork) -> list[JudgedModel]:
        endpoints = {endpoint.model_id: endpoint for endpoint in uow.models.deployed()}
        newest = uow.models.newest(limit=LISTED, visible=seen)
        previous = uow.promotions.previous_by_name({model.model_name for model in newest})
        return [_judged(uow, model, endpoints.get(model.model_id), previous.get(model.model_name)) for model in newest]

    return ask(visit, question)


@kept(LINEAGE_SECONDS)
def lineage(visit: Visit, model_id: int) -> LineageGraph | None:
    """What led to a model version, and what came of it, as far as the reader may read it. Raises ForbiddenError."""
    visit.require(ResourceKind.MODEL, "read", model_id)
    graph = ask(visit, lambda uow: uow.lineage.around(LineageKind.MODEL, str(model_id)))
    return None if graph is None else _readable_part(visit, graph)


def _readable_part(visit: Visit, graph: LineageGraph) -> LineageGraph:
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


def _judged(uow: UnitOfWork, model: ModelVersion, endpoint: ArmEndpoint | None, previous: int | None) -> JudgedModel:
    job_id = model.finetuning_job_id
    evaluation = None if job_id is None else uow.evaluations.latest_for_job(job_id)
    verdict = None if evaluation is None else uow.evaluations.verdict(evaluation.evaluation_id)
    return JudgedModel(model, endpoint, evaluation, verdict, model.model_id == previous)
