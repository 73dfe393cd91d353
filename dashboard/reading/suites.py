"""Test suites, their versions and cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.suite_versions import StoredCase, SuiteListing
from contracts.suites import SuiteVersion
from dashboard.reading.keeping import ask
from dashboard.visits import Visit

if TYPE_CHECKING:
    from contracts.evaluation import TestCase


def list_suites(visit: Visit) -> list[SuiteListing]:
    """Every test suite by name, archived ones too."""
    visit.require(ResourceKind.SUITE, "read")
    return ask(visit, lambda uow: uow.suites.list_suites(with_archived=True))


def suite_versions(visit: Visit, name: str) -> list[SuiteVersion]:
    """The versions of a suite, the newest first."""
    visit.require(ResourceKind.SUITE, "read")
    return ask(visit, lambda uow: uow.suites.versions(name))


def suite_cases(
    visit: Visit, suite_id: int, category: str | None, search: str, offset: int, limit: int
) -> tuple[list[StoredCase], int]:
    """Some cases of a version in their order, and how many there are of that kind."""
    visit.require(ResourceKind.SUITE, "read")
    return ask(
        visit,
        lambda uow: uow.suites.page(suite_id, category=category, search=search, offset=offset, limit=limit),
    )


def every_case(visit: Visit, suite_id: int) -> list[TestCase]:
    """All cases of a version."""
    visit.require(ResourceKind.SUITE, "read")
    return ask(visit, lambda uow: uow.suites.cases(suite_id))
