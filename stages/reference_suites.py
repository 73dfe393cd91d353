"""Suites whose content lies in files of its own: public benchmarks, and texts for perplexity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.enums import SuiteKind
from contracts.errors import InvalidRequestError
from evaluation.suites.harness import harness_settings
from evaluation.suites.perplexity import perplexity_settings

if TYPE_CHECKING:
    from contracts.record import JsonObject
    from contracts.suites import SuiteVersion
    from stages.services import Services


def import_benchmark(name: str, task: str, folder: Path, shots: int, *, actor: str, services: Services) -> SuiteVersion:
    """A benchmark over local data as a suite, locked at once: its content is the files' own. Safe to repeat."""
    settings = harness_settings(task, _allowed(folder, services), shots)
    return _add(name, SuiteKind.HARNESS, settings, actor, services)


def import_texts(name: str, file: Path, *, actor: str, services: Services) -> SuiteVersion:
    """Texts whose perplexity is measured, as a suite, locked at once. Safe to repeat."""
    return _add(name, SuiteKind.PERPLEXITY, perplexity_settings(_allowed(file, services)), actor, services)


def _add(name: str, kind: SuiteKind, settings: JsonObject, actor: str, services: Services) -> SuiteVersion:
    with services.unit_of_work() as uow:
        version = uow.suites.add(name, [], actor=actor, kind=kind, settings=settings)
        return uow.suites.lock(version.suite_id, actor=actor)


def _allowed(given: Path, services: Services) -> Path:
    """The real path, in a folder from which files may be read."""
    path = (services.settings.repository_root / given.expanduser()).resolve()
    roots = [root.resolve() for root in services.settings.allowed_input_roots]
    if not any(path.is_relative_to(root) for root in roots):
        raise InvalidRequestError(
            "The path lies outside the folders from which files may be read",
            value=given,
            allowed=", ".join(map(str, roots)),
            next_step="copy it into one of these folders, or add its folder to the setting TUNEWAY_INPUT_ROOTS",
        )
    return path
