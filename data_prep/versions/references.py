"""Branches and tags: small files with the hash of a commit, replaced as a whole."""

import re
from difflib import get_close_matches
from pathlib import Path

from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from data_prep.versions.locks import changing_references
from data_prep.versions.manifest import MAIN, REFERENCE_PATTERN, SHORT, VersionManifest, read_manifest
from storage.files import fsync_path, write_text_atomically

_BRANCHES, _TAGS = Path("references", "branches"), Path("references", "tags")
_MIN_DIGITS = 6


def branches(name_dir: Path) -> dict[str, str]:
    """The newest commit of every branch."""
    return _all(name_dir / _BRANCHES)


def tags(name_dir: Path) -> dict[str, str]:
    """The commit of every tag."""
    return _all(name_dir / _TAGS)


def head(name_dir: Path, branch: str = MAIN) -> str | None:
    """The newest commit of a branch; None where there is no such branch."""
    return _read(name_dir / _BRANCHES / branch)


def advance(name_dir: Path, branch: str, commit: str) -> None:
    """Let the branch end at the commit. The caller holds the lock of `changing_references`."""
    check_name(branch, "branch")
    write_text_atomically(name_dir / _BRANCHES / branch, commit + "\n")


def create_branch(name_dir: Path, branch: str, commit: str) -> None:
    """A new branch that starts at the commit. Raises ConflictError when it exists and ends elsewhere."""
    check_name(branch, "branch")
    with changing_references(name_dir):
        present = head(name_dir, branch)
        if present is not None and present != commit:
            raise ConflictError(
                "The branch exists and ends at another commit",
                value=f"{branch} at {present[:SHORT]}",
                next_step="choose another name, or merge into it with `tuneway dataset merge`",
            )
        advance(name_dir, branch, commit)


def delete_branch(name_dir: Path, branch: str) -> str:
    """Forget the branch; its commits stay until garbage is collected. Returns where it ended."""
    if branch == MAIN:
        raise InvalidRequestError(
            "The main branch cannot be deleted", value=branch, allowed="any other branch", next_step="name another one"
        )
    return _delete(name_dir, _BRANCHES, branch, "branch")


def create_tag(name_dir: Path, tag: str, commit: str, *, move: bool = False) -> None:
    """A name for a commit. A tag stays where it is unless it is moved on purpose."""
    check_name(tag, "tag")
    with changing_references(name_dir):
        present = _read(name_dir / _TAGS / tag)
        if present is not None and present != commit and not move:
            raise ConflictError(
                "The tag names another commit already",
                value=f"{tag} at {present[:SHORT]}",
                next_step="choose another name, or move it with --move",
            )
        write_text_atomically(name_dir / _TAGS / tag, commit + "\n")


def delete_tag(name_dir: Path, tag: str) -> str:
    """Forget the tag. Returns the commit that it named."""
    return _delete(name_dir, _TAGS, tag, "tag")


def check_name(name: str, kind: str) -> None:
    """Raise InvalidRequestError where the name is not fit for a branch or a tag."""
    if not re.fullmatch(REFERENCE_PATTERN, name):
        raise InvalidRequestError(
            f"The {kind} cannot have this name",
            value=name,
            allowed="1 to 63 lower-case letters, digits, dots, hyphens and underscores; a letter or digit first",
            next_step="choose such a name",
        )


def commits(name_dir: Path) -> dict[str, Path]:
    """The folder of every whole commit."""
    found = {}
    for folder in sorted(name_dir.glob("[0-9a-f]*")):
        manifest = read_manifest(folder)
        if manifest is not None:
            found[manifest.commit] = folder
    return found


def commit_folder(name_dir: Path, commit: str) -> Path:
    """The folder of a commit."""
    return name_dir / commit[:SHORT]


def load_commit(name_dir: Path, commit: str) -> VersionManifest:
    """The commit's manifest. Raises NotFoundError."""
    manifest = read_manifest(commit_folder(name_dir, commit))
    if manifest is None or manifest.commit != commit:
        raise NotFoundError(
            "The commit's folder is missing",
            value=f"{name_dir.name}@{commit[:SHORT]}",
            next_step="restore it from the backup, or prepare the dataset again",
        )
    return manifest


def resolve(name_dir: Path, reference: str) -> str:
    """The commit that a branch, a tag or the start of a commit's hash names. Raises NotFoundError."""
    if not name_dir.is_dir():
        known = sorted(path.name for path in name_dir.parent.glob("*") if path.is_dir())
        raise NotFoundError(
            "There is no dataset of this name",
            value=name_dir.name,
            allowed=", ".join(known),
            next_step=_did_you_mean(name_dir.name, known) or "see `tuneway dataset list`",
        )
    at_branch, at_tag = branches(name_dir), tags(name_dir)
    if reference in at_branch:
        return at_branch[reference]
    if reference in at_tag:
        return at_tag[reference]
    if re.fullmatch(f"[0-9a-f]{{{_MIN_DIGITS},64}}", reference):
        matching = [commit for commit in commits(name_dir) if commit.startswith(reference)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise InvalidRequestError(
                "Several commits begin with these digits",
                value=reference,
                allowed=", ".join(commit[:SHORT] for commit in matching),
                next_step="give more digits",
            )
    known = [*at_branch, *at_tag]
    raise NotFoundError(
        "The dataset has no such branch, tag or commit",
        value=f"{name_dir.name}@{reference}",
        allowed=", ".join(known),
        next_step=_did_you_mean(reference, known) or f"see `tuneway dataset log {name_dir.name}`",
    )


def _did_you_mean(given: str, known: list[str]) -> str:
    similar = get_close_matches(given, known, n=1)
    return f"did you mean {similar[0]}?" if similar else ""


def _all(folder: Path) -> dict[str, str]:
    found = {path.name: _read(path) for path in sorted(folder.glob("[!.]*"))}
    return {name: commit for name, commit in found.items() if commit is not None}


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _delete(name_dir: Path, kind_dir: Path, name: str, kind: str) -> str:
    check_name(name, kind)
    path = name_dir / kind_dir / name
    with changing_references(name_dir):
        commit = _read(path)
        if commit is None:
            known = sorted(_all(name_dir / kind_dir))
            raise NotFoundError(
                f"There is no such {kind}",
                value=name,
                allowed=", ".join(known),
                next_step=_did_you_mean(name, known) or f"see `tuneway dataset log {name_dir.name}`",
            )
        path.unlink()
        fsync_path(path.parent)
    return commit
