"""The audit trail over HTTP: searched, newest first."""

from typing import Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime, BaseModel

from contracts.access import ResourceKind
from contracts.audit import AuditEntry, AuditFilter, AuditResult, SubjectCategory
from serving_api.admin.routers import admin_router
from serving_api.authentication import ServicesParameter
from serving_api.permissions import permit
from stages.audit import search_audit


class AuditPart(BaseModel):
    """Entries that match, newest first. The trail only grows, so a part never moves."""

    items: list[AuditEntry]
    next_before: int | None
    """For `before`: the part after this one; null where this is the last."""


Words = Annotated[str | None, Query(min_length=1, max_length=200)]

router = admin_router("audit")


def _filter(
    since: Annotated[AwareDatetime | None, Query(description="By the event's time, inclusive")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Exclusive")] = None,
    actor: Words = None,
    action: Annotated[str | None, Query(max_length=200, description="Whole, or its beginning and *: job.*")] = None,
    subject: Annotated[str | None, Query(max_length=200, description="Whole, or its beginning and *: model/*")] = None,
    category: SubjectCategory | None = None,
    result: AuditResult | None = None,
    text: Annotated[str | None, Query(max_length=200, description="Anywhere in the entry")] = None,
) -> AuditFilter:
    return AuditFilter(
        since=since,
        until=until,
        actor=actor,
        action=action or None,
        subject=subject or None,
        category=category,
        result=result,
        text=text or None,
    )


@router.get("/audit", dependencies=[permit(ResourceKind.AUDIT, "read")])
def search(
    services: ServicesParameter,
    wanted: Annotated[AuditFilter, Depends(_filter)],
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[int | None, Query(ge=1, lt=2**63, description="Entries before this one")] = None,
) -> AuditPart:
    """Who did what, to what, when, from where and with which result."""
    found = search_audit(wanted, services, limit=limit + 1, before=before)
    return AuditPart(items=found[:limit], next_before=found[limit - 1].id if len(found) > limit else None)
