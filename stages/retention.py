"""What is kept on the disk and for how long. Nothing that something else refers to is ever removed.

Models, dataset versions and their rows, suites, answers, ratings and the audit trail have rules of their own, or none; those
here are about what nobody needs any more. The runner applies them each hour.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.enums import JobState
from contracts.errors import InvalidDataError, NotFoundError
from contracts.record import utc_now
from contracts.retention import Prunable, PrunableKind, PruneReport
from stages.audit import record_action
from storage.files import fsync_path
from storage.job_state import job_folders, job_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.services import Services
    from storage.job_folder import JobFolder

REMOVED = ".removed"
"""Ends the name of what is being removed: a kill in between leaves it to the next time."""


def prune(services: Services, actor: str, *, is_dry_run: bool = False) -> PruneReport:
    """Apply every rule. A kill at any moment leaves what is whole or what the next call removes."""
    found = list(prunable(services, utc_now()))
    if is_dry_run:
        return _report(found, is_dry_run=True)
    _finish_removals(services)
    removed = [one for one in found if _remove(one, services)]
    report = _report(removed, is_dry_run=False)
    if removed:
        counts = {kind.value: sum(one.kind is kind for one in removed) for kind in PrunableKind}
        record_action(services, actor, "storage.pruned", "storage", {**counts, "freed_bytes": report.freed_bytes})
    return report


def prunable(services: Services, now: datetime) -> Iterator[Prunable]:
    """What the rules let go at that moment."""
    settings = services.settings
    folders = job_folders(settings.jobs_dir)
    yield from _old_checkpoints(folders, now - timedelta(days=settings.checkpoint_days))
    yield from _old_files(settings.airflow_home / "logs", now - timedelta(days=settings.task_log_days))


def _old_checkpoints(folders: list[JobFolder], oldest: datetime) -> Iterator[Prunable]:
    unfinished = [folder for folder in folders if not _is_complete(folder)]
    wanted = "\n".join(_text(path) for folder in unfinished for path in (folder.plan, folder.submission))
    for folder in folders:
        if not _is_complete(folder) or not any(_entries(folder.checkpoints)):
            continue
        since = datetime.fromtimestamp(folder.result.stat().st_mtime, UTC)
        if since < oldest and str(folder.checkpoints) not in wanted:
            yield _prunable(PrunableKind.CHECKPOINTS, folder.checkpoints, since)


def _old_files(root: Path, oldest: datetime) -> Iterator[Prunable]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            since = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            if since < oldest:
                yield _prunable(PrunableKind.TASK_LOGS, path, since)


def _is_complete(folder: JobFolder) -> bool:
    return _state(folder) is JobState.SUCCEEDED and folder.result.exists()


def _state(folder: JobFolder) -> JobState | None:
    try:
        return job_view(folder).state
    except (InvalidDataError, NotFoundError):
        return None


def _remove(one: Prunable, services: Services) -> bool:
    path = Path(one.path)
    doomed = path.with_name(f".{path.name}{REMOVED}")
    try:
        path.rename(doomed)
    except FileNotFoundError:  # another process was first
        return False
    fsync_path(path.parent)
    if one.kind is PrunableKind.CHECKPOINTS:
        _forget_checkpoints(path.parent.name, services)
    _remove_whole(doomed)
    if one.kind is PrunableKind.TASK_LOGS:
        _remove_empty(path.parent, services.settings.airflow_home / "logs")
    return True


def _forget_checkpoints(job_key: str, services: Services) -> None:
    kind, _, number = job_key.rpartition("-")
    if kind == "train" and number.isdigit():
        with services.unit_of_work() as uow:
            uow.jobs.set_checkpoints(int(number), [])


def _finish_removals(services: Services) -> None:
    """What an earlier call was killed over. Rows of checkpoints that are gone were not told yet, it may be."""
    settings = services.settings
    for folder in job_folders(settings.jobs_dir):
        doomed = folder.root / f".{folder.checkpoints.name}{REMOVED}"
        if doomed.exists():
            _forget_checkpoints(folder.root.name, services)
            _remove_whole(doomed)
    for doomed in sorted((settings.airflow_home / "logs").rglob(f".*{REMOVED}")):
        _remove_whole(doomed)


def _remove_whole(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_empty(folder: Path, root: Path) -> None:
    """The folder and those above it, up to the root, that hold nothing any more."""
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:  # not empty
            return
        folder = folder.parent


def _prunable(kind: PrunableKind, path: Path, since: datetime) -> Prunable:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return Prunable(kind=kind, path=str(path), size_bytes=sum(one.stat().st_size for one in files), since=since)


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if not path.name.startswith("."))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _report(found: list[Prunable], *, is_dry_run: bool) -> PruneReport:
    return PruneReport(removed=found, freed_bytes=sum(one.size_bytes for one in found), is_dry_run=is_dry_run)
