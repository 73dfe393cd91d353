"""The commits before a commit."""

from collections.abc import Iterator
from pathlib import Path

from data_prep.versions.manifest import SHORT, VersionManifest, read_manifest


def walk(name_dir: Path, commit: str) -> Iterator[VersionManifest]:
    """The commit and everything before it, each once, nearer ones first; what was collected as garbage is left out."""
    waiting, seen = [commit], {commit}
    while waiting:
        manifest = read_manifest(name_dir / waiting.pop(0)[:SHORT])
        if manifest is None:
            continue
        yield manifest
        for parent in manifest.parents:
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)


def is_ancestor(name_dir: Path, commit: str, of: str) -> bool:
    """Whether the commit is `of` or before it."""
    return any(manifest.commit == commit for manifest in walk(name_dir, of))


def merge_base(name_dir: Path, ours: str, theirs: str) -> str | None:
    """The nearest commit that both have in their past; None where they have nothing in common."""
    before_ours = {manifest.commit for manifest in walk(name_dir, ours)}
    return next((manifest.commit for manifest in walk(name_dir, theirs) if manifest.commit in before_ours), None)
