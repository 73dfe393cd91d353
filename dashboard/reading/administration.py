"""Accounts, keys and the audit trail, for those who administer the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from stages import accounts
from stages.audit import search_audit, verify_audit

if TYPE_CHECKING:
    from contracts.audit import AuditEntry, AuditFilter
    from contracts.identity import Account, ApiKey
    from dashboard.visits import Visit
    from stages.audit import AuditCheck

AUDIT_PART = 50
"""Entries that are shown at a time."""


def list_accounts(visit: Visit) -> list[Account]:
    """Every account, by name. Raises ForbiddenError."""
    visit.require(ResourceKind.USER, "read")
    return accounts.list_accounts(visit)


def list_keys(visit: Visit) -> list[ApiKey]:
    """The keys of service accounts, newest first. Raises ForbiddenError."""
    visit.require(ResourceKind.TOKEN, "read")
    return accounts.list_keys(visit)


def audit_entries(visit: Visit, wanted: AuditFilter, before: int | None) -> tuple[list[AuditEntry], bool]:
    """The newest entries that match, before one where it is named; and whether there are older ones. Raises ForbiddenError."""
    visit.require(ResourceKind.AUDIT, "read")
    found = search_audit(wanted, visit, limit=AUDIT_PART + 1, before=before)
    return found[:AUDIT_PART], len(found) > AUDIT_PART


def audit_check(visit: Visit) -> AuditCheck:
    """Every entry against its neighbours and the signed heads: some seconds for 100,000. Raises ForbiddenError."""
    visit.require(ResourceKind.AUDIT, "verify")
    return verify_audit(visit)
