"""What was made of what, around one thing that a person names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.enums import LineageKind
from contracts.errors import InvalidRequestError, NotFoundError
from stages.models import find_model

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from contracts.lineage import LineageGraph
    from stages.services import Services

FORMS = (
    "model:3, NAME or NAME@VERSION of a model, dataset:5, job:7, document:PATH or SHA-256, evaluation:4, experiment:2"
)


def trace(given: str, services: Services, *, up: bool = True, down: bool = True) -> LineageGraph:
    """What led to the thing, and what came of it. Raises NotFoundError or InvalidRequestError."""
    kind, key = _parse(given.strip(), services)
    with services.unit_of_work() as uow:
        if kind is LineageKind.DOCUMENT:
            keys = uow.lineage.documents(key)
            if len(keys) != 1:
                raise _document_error(given, keys)
            key = keys[0]
        found = uow.lineage.around(kind, key, up=up, down=down)
    if found is None:
        raise NotFoundError(
            f"There is no such {kind.value}", value=given, allowed=FORMS, next_step="see `tuneway model list`"
        )
    return found


def without_hidden(graph: LineageGraph, visible: Mapping[LineageKind, Collection[int]]) -> LineageGraph:
    """The graph without the things of these kinds that are not among the visible, and without what hangs on them alone."""
    shown = {
        node.node_id
        for node in graph.nodes
        if node.node_id == graph.root or node.kind not in visible or int(node.key) in visible[node.kind]
    }
    # what only a hidden thing leads to says something of that thing
    neighbours: dict[str, set[str]] = {node: set() for node in shown}
    for edge in graph.edges:
        if {edge.source, edge.target} <= shown:
            neighbours[edge.source].add(edge.target)
            neighbours[edge.target].add(edge.source)
    reached, waiting = {graph.root}, [graph.root]
    while waiting:
        for node in neighbours[waiting.pop()] - reached:
            reached.add(node)
            waiting.append(node)
    return graph.model_copy(
        update={
            "nodes": [node for node in graph.nodes if node.node_id in reached],
            "edges": [edge for edge in graph.edges if {edge.source, edge.target} <= reached],
        }
    )


def _parse(given: str, services: Services) -> tuple[LineageKind, str]:
    prefix, separator, key = given.partition(":")
    if not separator:
        return LineageKind.MODEL, str(find_model(given, services).model_id)
    if prefix not in set(LineageKind) or not key or (prefix != LineageKind.DOCUMENT and not key.isdecimal()):
        raise InvalidRequestError(
            "This names nothing that has a lineage",
            value=given,
            allowed=FORMS,
            next_step="see `tuneway model list`, `tuneway dataset list` or `tuneway job list`",
        )
    return LineageKind(prefix), key if prefix == LineageKind.DOCUMENT else str(int(key))


def _document_error(given: str, keys: list[str]) -> NotFoundError | InvalidRequestError:
    if not keys:
        return NotFoundError(
            "No dataset version was made from this document",
            value=given,
            allowed="document:PATH as it was imported, its last part, or the first digits of the file's SHA-256",
            next_step="see the sources with `tuneway dataset show`",
        )
    return InvalidRequestError(
        "More than one document is named so",
        value=given,
        allowed=", ".join(f"document:{key[:12]}" for key in keys),
        next_step="name one of them by its SHA-256",
    )
