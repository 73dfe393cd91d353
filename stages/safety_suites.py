"""The safety suites as managed ones: our own questions, and KoBBQ's samples from a file of the site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.enums import SuiteKind
from evaluation.safety.kobbq import read_kobbq
from evaluation.safety.prompts import safety_cases
from stages.suites import lock_suite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.evaluation import TestCase
    from contracts.suites import SuiteVersion
    from stages.services import Services

SAFETY, KOBBQ = "safety", "kobbq"
"""Names of the suites."""


def add_safety_suites(services: Services, *, actor: str, kobbq_file: str | None = None) -> list[SuiteVersion]:
    """The suites, locked: what they hold is not for editing. Those that are there with the same cases stay."""
    from data_prep.imports.input_files import resolve_input_file

    wanted: list[tuple[str, Sequence[TestCase], str]] = [
        (SAFETY, safety_cases(), "유혹하는 질문과, 거절하지 말아야 할 질문")
    ]
    if kobbq_file is not None:
        settings = services.settings
        path = resolve_input_file(
            kobbq_file, relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots
        )
        wanted.append((KOBBQ, read_kobbq(path), "KoBBQ: 한국어 사회적 편향 (Jin et al. 2024)"))
    with services.unit_of_work() as uow:
        added = [
            uow.suites.add(name, cases, actor=actor, kind=SuiteKind.SAFETY, description=description)
            for name, cases, description in wanted
        ]
    return [lock_suite(suite.suite_id, services, actor=actor) for suite in added]
