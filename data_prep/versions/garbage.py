"""What no branch, no tag and nobody else refers to any more, removed. A referenced part is never touched."""

import shutil
import time
import uuid
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from contracts.errors import InvalidDataError
from contracts.record import Record
from data_prep.versions.history import walk
from data_prep.versions.locks import changing_references, collecting
from data_prep.versions.manifest import SHORT, VersionManifest
from data_prep.versions.names import MANIFEST_FILE
from data_prep.versions.objects import ObjectStore
from data_prep.versions.references import branches, commits, load_commit, tags
from storage.files import fsync_path

KEPT_FOR = timedelta(days=14)
"""How long a commit that nothing refers to is kept: time to notice that a branch was deleted by mistake."""


class Garbage(Record):
    """What was removed, or would be."""

    name: str
    dry_run: bool
    commits: list[str]
    """Commits that nothing refers to."""
    parts: int
    unfinished: int
    """Files and folders of writers that were killed."""
    freed_bytes: int
    kept_commits: int
    kept_parts: int


def collect_garbage(
    name_dir: Path,
    *,
    needed_folders: Collection[Path] = (),
    kept_for: timedelta = KEPT_FOR,
    dry_run: bool = False,
) -> Garbage:
    """Remove commits that no branch, tag or folder in `needed_folders` leads to, then parts without a commit.

    Raises ConflictError while a version is being written. Killed at any instant, it has removed garbage only; the next
    run goes on.
    """
    with collecting(name_dir), changing_references(name_dir):
        present = commits(name_dir)
        needed = {folder.resolve() for folder in needed_folders}
        reachable = _reachable(name_dir, [commit for commit, folder in present.items() if folder.resolve() in needed])
        unreachable = {
            commit: folder
            for commit, folder in present.items()
            if commit not in reachable and _age(folder / MANIFEST_FILE) >= kept_for
        }
        kept = [load_commit(name_dir, commit) for commit in present if commit not in unreachable]
        needed_parts = {digest for manifest in kept for digest in _parts(manifest)}
        store = ObjectStore(name_dir)
        stored = store.digests()
        _refuse_damage(name_dir, needed_parts - stored)
        unneeded = sorted(stored - needed_parts)
        unfinished = [*name_dir.glob(".*.tmp"), *store.root.glob(".*.tmp")]
        # links of kept commits share the bytes of a part, so only what is unneeded counts as freed
        freed = sum(store.path(digest).stat().st_size for digest in unneeded) + sum(map(_size, unfinished))
        if not dry_run:
            for folder in unreachable.values():
                _remove_folder(folder)
            for digest in unneeded:
                store.path(digest).unlink()
            for path in unfinished:
                _remove(path)
    return Garbage(
        name=name_dir.name,
        dry_run=dry_run,
        commits=sorted(unreachable),
        parts=len(unneeded),
        unfinished=len(unfinished),
        freed_bytes=freed,
        kept_commits=len(kept),
        kept_parts=len(needed_parts),
    )


def _reachable(name_dir: Path, further: Collection[str]) -> set[str]:
    ends = {*branches(name_dir).values(), *tags(name_dir).values(), *further}
    return {manifest.commit for end in ends for manifest in walk(name_dir, end)}


def _parts(manifest: VersionManifest) -> set[str]:
    return {part.sha256 for parts in manifest.parts.values() for part in parts}


def _refuse_damage(name_dir: Path, missing: set[str]) -> None:
    """Nothing is removed from a store that lacks a part: the copy that could mend it may be among the garbage."""
    if missing:
        raise InvalidDataError(
            "Parts of the dataset's versions are missing; nothing was removed",
            value=", ".join(sorted(digest[:SHORT] for digest in missing)),
            next_step=f"see which versions lack them with `tuneway dataset verify {name_dir.name}`, "
            "and restore them from the backup",
        )


def _age(path: Path) -> timedelta:
    return timedelta(seconds=time.time() - path.stat().st_mtime)


def _size(path: Path) -> int:
    if path.is_dir():
        # a hard link to a stored part frees nothing
        return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file() and entry.stat().st_nlink == 1)
    return path.stat().st_size


def _remove_folder(folder: Path) -> None:
    """Out of sight first: a folder that is half removed must not look like a commit."""
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    folder.rename(temporary)
    fsync_path(folder.parent)
    shutil.rmtree(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
