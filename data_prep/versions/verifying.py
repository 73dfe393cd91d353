"""Whether every file of every version is what it was when it was written."""

from pathlib import Path

from contracts.errors import DamagedFileError
from contracts.record import Record
from data_prep.versions.manifest import SHORT
from data_prep.versions.objects import ObjectStore
from data_prep.versions.references import branches, commits, load_commit, tags
from storage.stored_files import sha256_of_stored


class Damage(Record):
    """One file that is missing or has changed."""

    commit: str
    """The version that needs it; empty for a branch or tag that leads nowhere."""
    file: str
    problem: str
    """`missing` or `changed`."""


class Verification(Record):
    """The outcome."""

    name: str
    commits: int
    parts: int
    damaged: list[Damage]


def verify(name_dir: Path) -> Verification:
    """Read every file of every version of a dataset again, each part once."""
    store = ObjectStore(name_dir)
    damaged: list[Damage] = []
    verdicts: dict[str, str] = {}
    known = commits(name_dir)
    for commit, folder in known.items():
        manifest = load_commit(name_dir, commit)
        for parts in manifest.parts.values():
            for part in parts:
                if part.sha256 not in verdicts:
                    verdicts[part.sha256] = _verdict(store.path(part.sha256), part.sha256)
                _note(damaged, commit, str(store.path(part.sha256).relative_to(name_dir)), verdicts[part.sha256])
        for name, digest in manifest.files.items():
            _note(damaged, commit, f"{folder.name}/{name}", _verdict(folder / name, digest))
    for name, commit in {**branches(name_dir), **tags(name_dir)}.items():
        if commit not in known:
            damaged.append(Damage(commit="", file=f"{name} → {commit[:SHORT]}", problem="missing"))
    return Verification(name=name_dir.name, commits=len(known), parts=len(verdicts), damaged=damaged)


def _verdict(path: Path, digest: str) -> str:
    if not path.is_file():
        return "missing"
    try:
        return "" if sha256_of_stored(path) == digest else "changed"
    except DamagedFileError:
        return "changed"


def _note(damaged: list[Damage], commit: str, file: str, problem: str) -> None:
    if problem:
        damaged.append(Damage(commit=commit, file=file, problem=problem))
