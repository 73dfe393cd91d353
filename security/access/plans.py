"""A query plan of Cerbos as a filter over owners and projects. What it does not understand is refused, never let through."""

from typing import Any

from contracts.access import EVERYTHING, NOTHING, Visibility
from contracts.errors import UnavailableError

OWNER = {"variable": "request.resource.attr.owner"}
PROJECTS = {"variable": "request.resource.attr.projects"}


def visibility_of(plan: dict[str, Any]) -> Visibility:
    """The rows that a plan's `filter` lets through. Raises UnavailableError for a plan of another shape."""
    match plan:
        case {"kind": "KIND_ALWAYS_ALLOWED"}:
            return EVERYTHING
        case {"kind": "KIND_ALWAYS_DENIED"}:
            return NOTHING
        case {"kind": "KIND_CONDITIONAL", "condition": dict(condition)}:
            return _any_of(condition)
    raise _not_understood(plan.get("kind"))


def _any_of(node: dict[str, Any]) -> Visibility:
    match node:
        case {"expression": {"operator": "or", "operands": [*operands]}}:
            parts = [_any_of(operand) for operand in operands]
            return Visibility(
                everything=any(part.everything for part in parts),
                owners=sorted({owner for part in parts for owner in part.owners}),
                projects=sorted({project for part in parts for project in part.projects}),
            )
        case {"expression": {"operator": "eq", "operands": [first, {"value": str(owner)}]}} if first == OWNER:
            return Visibility(owners=[owner])
        case {"expression": {"operator": "hasIntersection", "operands": [first, {"value": [*projects]}]}} if (
            first == PROJECTS and all(isinstance(project, str) for project in projects)
        ):
            return Visibility(projects=projects)
        case {"value": bool(is_true)}:
            return EVERYTHING if is_true else NOTHING
    raise _not_understood(node)


def _not_understood(what: object) -> UnavailableError:
    return UnavailableError(
        "The policies' plan for this list cannot be turned into a filter: nothing is shown",
        value=str(what)[:300],
        allowed="R.attr.owner == ..., hasIntersection(R.attr.projects, ...), joined by or",
        next_step="write the rule for `read` in security/policies in these terms",
    )
