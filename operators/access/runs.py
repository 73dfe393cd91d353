"""What a run is about: who may start it, and who may answer what it asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.identity import PLATFORM_USER

if TYPE_CHECKING:
    from airflow.sdk.execution_time.hitl import HITLUser

    from contracts.access import Ownership
    from contracts.identity import Principal
    from stages.services import Services


def require_of_starter(kind: ResourceKind, action: str, row_id: int | None, services: Services) -> None:
    """Return where whoever started the run may do it to that thing. Raises ForbiddenError, NotFoundError, UnavailableError.

    The platform itself was asked for the rights of its caller before. A run without a person was started by Airflow, or on
    the machine by somebody who holds the installation's secrets.
    """
    principal = _starter(services)
    if principal is None:
        return
    from security.access.decisions import PolicyDecisions
    from stages.permissions import require

    settings = services.settings

    async def ask() -> None:
        decisions = PolicyDecisions(settings.policy_url, settings.policy_timeout_seconds)
        try:
            await require(principal, kind, action, row_id, decisions=decisions, services=services)
        finally:
            await decisions.close()

    asyncio.run(ask())


def assigned_to(kind: ResourceKind, row_id: int, action: str, name: str) -> HITLUser:
    """Whoever may do that to the thing, as somebody to whom Airflow can assign a question."""
    return {"id": f"{kind.value}:{row_id}:{action}", "name": name}


def thing_asked_about(assigned: str, services: Services) -> tuple[Ownership, str]:
    """The thing and the action of `assigned_to`. Raises ValueError for another text, NotFoundError."""
    from stages.permissions import thing_of

    kind, row_id, action = assigned.split(":")
    return thing_of(ResourceKind(kind), int(row_id), services), action


def _starter(services: Services) -> Principal | None:
    from stages.logins import principal_named

    name = services.started_by
    return None if name in {"", PLATFORM_USER} else principal_named(name, services)
