"""What somebody may do: asked of the policies here, for whichever door the question comes through.

What is refused is in the audit trail. Where there is no decision, UnavailableError is raised and nothing is allowed.
"""

import asyncio
from collections.abc import Collection, Iterable

from contracts.access import Ownership, ResourceKind, Visibility
from contracts.errors import ForbiddenError
from contracts.identity import Principal
from security.access.decisions import PolicyDecisions
from security.identity.scopes import covers
from stages.audit import record_action
from stages.services import Services

MOST_AT_ONCE = 50
"""Things in one question to Cerbos, which by default takes no more."""


async def require(
    principal: Principal,
    kind: ResourceKind,
    action: str,
    row_id: int | None,
    *,
    decisions: PolicyDecisions,
    services: Services,
) -> None:
    """Return where the principal may do it to that thing, or, without a row, to the kind.

    Raises ForbiddenError, NotFoundError for a row that is not there, UnavailableError where there is no decision.
    """
    if not covers(principal.scopes, kind.value, action):
        raise forbidden(principal, kind, action)
    thing = await asyncio.to_thread(thing_of, kind, row_id, services)
    (allowed,) = await decisions.allowed(principal, [(thing, [action])])
    if action not in allowed:
        await asyncio.to_thread(record_refusal, services, principal, thing, action)
        raise forbidden(principal, kind, action)


async def allowed_actions(
    principal: Principal,
    kind: ResourceKind,
    actions: Collection[str],
    row_id: int | None,
    *,
    decisions: PolicyDecisions,
    services: Services,
) -> frozenset[str]:
    """Those of the actions that the principal may do: what is worth offering. Refuses nothing and records nothing."""
    thing = await asyncio.to_thread(thing_of, kind, row_id, services)
    (allowed,) = await decisions.allowed(principal, [(thing, list(actions))])
    return frozenset(action for action in allowed if covers(principal.scopes, kind.value, action))


async def readable(
    principal: Principal,
    kind: ResourceKind,
    row_ids: Iterable[int],
    *,
    decisions: PolicyDecisions,
    services: Services,
) -> frozenset[int]:
    """Those of the rows that the principal may read, fifty a question; rows that are not there are left out."""
    if not covers(principal.scopes, kind.value, "read"):
        return frozenset()
    things = await asyncio.to_thread(_things_of, kind, sorted(set(row_ids)), services)
    found: set[int] = set()
    for start in range(0, len(things), MOST_AT_ONCE):
        asked = things[start : start + MOST_AT_ONCE]
        answers = await decisions.allowed(principal, [(thing, ["read"]) for thing in asked])
        found |= {int(thing.resource_id) for thing, allowed in zip(asked, answers, strict=True) if "read" in allowed}
    return frozenset(found)


async def visible(principal: Principal, kind: ResourceKind, *, decisions: PolicyDecisions) -> Visibility:
    """Which things of a kind the principal may read, as a filter for the query.

    Raises ForbiddenError where a key's scopes leave lists out, UnavailableError where there is no decision.
    """
    if not covers(principal.scopes, kind.value, "read"):
        raise forbidden(principal, kind, "read")
    return await decisions.visible(principal, kind)


def thing_of(kind: ResourceKind, row_id: int | None, services: Services) -> Ownership:
    """Whose the thing is; without a row, the kind as such. Raises NotFoundError."""
    if row_id is None:
        return Ownership(kind=kind, resource_id="any")
    with services.unit_of_work() as uow:
        return uow.ownership.of(kind, row_id)


def forbidden(principal: Principal, kind: ResourceKind, action: str) -> ForbiddenError:
    """The answer to somebody who is known and may not."""
    return ForbiddenError(
        "This is not allowed to you",
        value=f"{kind.value}:{action} as {principal.role.value}",
        next_step="ask an administrator for the role, the project or the key's scope that allows it",
    )


def _things_of(kind: ResourceKind, row_ids: list[int], services: Services) -> list[Ownership]:
    with services.unit_of_work() as uow:
        return uow.ownership.of_many(kind, row_ids)


def record_refusal(services: Services, principal: Principal, thing: Ownership, action: str) -> None:
    """What is refused is in the audit trail, at whichever door."""
    record_action(
        services,
        principal.username,
        "access.refused",
        f"{thing.kind.value}/{thing.resource_id}",
        {"action": action, "role": principal.role.value},
    )
