"""Joining two branches whose rows were added, changed and removed independently."""

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import numpy
import pyarrow

from contracts.datasets import SourceFile
from contracts.enums import RemovalReason, Split, SplitUnit
from contracts.errors import ConflictError, InvalidDataError
from contracts.record import Record
from data_prep.preparation.steps import StepRecord
from data_prep.statistics.measuring import Tokenizer
from data_prep.versions.describing import DescribedWriter
from data_prep.versions.difference import RowDigest, digests, shared_parts
from data_prep.versions.history import is_ancestor, merge_base
from data_prep.versions.locks import changing_references
from data_prep.versions.manifest import SHORT, Recipe, VersionManifest, code_revision
from data_prep.versions.names import MASKED_FILE, REMOVED_FILE
from data_prep.versions.reading import read_in_source_order
from data_prep.versions.references import advance, commit_folder, head, load_commit
from data_prep.versions.writing import VersionWriter
from storage.stored_files import create_stored_text, open_stored_text

_LISTED_KEYS = 20

Keys = set[str]


class Merge(Record):
    """What a merge did."""

    commit: str
    """Where the branch ends."""
    fast_forward: bool = False
    """The branch had nothing of its own: it was moved, nothing was written."""
    already_merged: bool = False
    added: int = 0
    changed: int = 0
    removed: int = 0
    moved: int = 0
    """Added rows that went to the side where this branch has their source document."""


def merge(
    name_dir: Path,
    branch: str,
    theirs: str,
    *,
    message: str = "",
    tokenizer: Tokenizer | None = None,
) -> Merge:
    """Bring the rows of the commit `theirs` into the branch.

    Three-way, by the rows' keys, from the nearest commit that both have in their past: what only one side added, changed
    or removed is taken. Raises ConflictError that lists the keys when both did different things to a row. A source document
    stays on the side of the split where the branch has it. The tokenizer counts tokens for the statistics.
    """
    ours = head(name_dir, branch)
    if ours is None:
        raise InvalidDataError(
            "The branch has no commit to merge into",
            value=f"{name_dir.name}@{branch}",
            next_step=f"create it: `tuneway dataset branch {name_dir.name} {branch} <from>`",
        )
    if is_ancestor(name_dir, theirs, ours):
        return Merge(commit=ours, already_merged=True)
    if is_ancestor(name_dir, ours, theirs):
        return _fast_forward(name_dir, branch, ours, theirs)
    base = merge_base(name_dir, ours, theirs)
    our, their = load_commit(name_dir, ours), load_commit(name_dir, theirs)
    common = None if base is None else load_commit(name_dir, base)
    shared = shared_parts(our, their) if common is None else shared_parts(our, their, common)
    plan = _Plan(
        old={} if common is None else digests(name_dir, common, shared),
        ours=digests(name_dir, our, shared),
        theirs=digests(name_dir, their, shared),
    )
    plan.refuse_conflicts(name_dir.name, branch, theirs)
    with VersionWriter(name_dir, branch) as writer:
        described = DescribedWriter(writer, our.total_samples + len(plan.added) - len(plan.removed), tokenizer)
        moved = _write(name_dir, described, our, their, plan)
        described.write_statistics()
        removed = _join_lines(REMOVED_FILE, name_dir, (our, their), writer.path(REMOVED_FILE), "reason")
        masked = _join_lines(MASKED_FILE, name_dir, (our, their), writer.path(MASKED_FILE), "kind")
        broken = our.removed.get(RemovalReason.BROKEN_ROW.value, 0) + their.removed.get(
            RemovalReason.BROKEN_ROW.value, 0
        )
        if common is not None:
            broken -= common.removed.get(RemovalReason.BROKEN_ROW.value, 0)
        if broken > 0:
            removed[RemovalReason.BROKEN_ROW.value] = broken
        rows = our.total_samples + len(plan.added) - len(plan.removed)
        _, manifest = writer.commit(
            recipe=Recipe(
                operation="merge",
                request={"branch": branch, "ours": ours, "theirs": theirs, "base": base},
                code_revision=code_revision(),
            ),
            request=our.request,
            request_key=f"merge:{ours}:{theirs}",
            sources=_joined(our.sources, their.sources),
            test_suites={**their.test_suites, **our.test_suites},
            removed=dict(sorted(removed.items())),
            masked=dict(sorted(masked.items())),
            steps=[
                StepRecord(
                    step="merge", rows_in=our.total_samples + len(plan.added), rows_out=rows, changed=len(plan.changed)
                )
            ],
            parents=[ours, theirs],
            message=message or f"merge {theirs[:SHORT]} into {branch}",
        )
    return Merge(
        commit=manifest.commit,
        added=len(plan.added),
        changed=len(plan.changed),
        removed=len(plan.removed),
        moved=moved,
    )


class _Plan:
    """Which rows come from where."""

    def __init__(self, old: dict[str, RowDigest], ours: dict[str, RowDigest], theirs: dict[str, RowDigest]) -> None:
        self.added, self.changed, self.removed = set[str](), set[str](), set[str]()
        self.conflicts: dict[str, str] = {}
        for key in {**ours, **theirs, **old}:
            before, our, their = (_state(side.get(key)) for side in (old, ours, theirs))
            if our == their or their == before:
                continue
            if our != before:
                self.conflicts[key] = _what(before, our, their)
            elif our is None:
                self.added.add(key)
            elif their is None:
                self.removed.add(key)
            else:
                self.changed.add(key)

    def refuse_conflicts(self, name: str, branch: str, theirs: str) -> None:
        """Raise ConflictError where both did different things to a row."""
        if not self.conflicts:
            return
        listed = [f"{key} ({what})" for key, what in sorted(self.conflicts.items())[:_LISTED_KEYS]]
        rest = len(self.conflicts) - len(listed)
        raise ConflictError(
            f"{len(self.conflicts):,} rows were treated differently on both sides of the merge",
            value=", ".join(listed) + (f" and {rest:,} more" if rest else ""),
            allowed="rows that one side alone added, changed or removed",
            next_step=f"look at them with `tuneway dataset diff {name} {branch} {theirs[:SHORT]}`, "
            "make the rows equal in one of the inputs, prepare it again on its branch, and merge again",
        )


def _state(digest: RowDigest | None) -> tuple[Split, bytes] | None:
    """Scores follow from the content: they make no conflict."""
    return None if digest is None else (digest.split, digest.content)


def _what(before: object, our: object, their: object) -> str:
    if before is None:
        return "added differently"
    if our is None or their is None:
        return "removed and changed"
    return "changed differently"


def _fast_forward(name_dir: Path, branch: str, ours: str, theirs: str) -> Merge:
    with changing_references(name_dir):
        if head(name_dir, branch) != ours:
            raise ConflictError(
                "The branch has moved since the merge began", value=branch, next_step="merge again from its new end"
            )
        advance(name_dir, branch, theirs)
    return Merge(commit=theirs, fast_forward=True)


def _write(name_dir: Path, writer: DescribedWriter, our: VersionManifest, their: VersionManifest, plan: _Plan) -> int:
    """Ours in its order, with theirs' content where that changed, then what theirs added. Returns rows moved."""
    replacing = _rows_with(name_dir, their, plan.changed)
    side_of_source: dict[str, Split] = {}
    for table, sides in read_in_source_order(commit_folder(name_dir, our.commit)):
        keys = table["key"].to_pylist()
        kept = numpy.array([key not in plan.removed for key in keys])
        if plan.changed:
            table, sides = _replaced(table, sides, keys, replacing)
        side_of_source.update(zip(table["source"].to_pylist(), sides, strict=True))
        _add(writer, table, sides, kept)
    moved = 0
    of_documents = our.request.split_unit is SplitUnit.DOCUMENT
    for table, sides in read_in_source_order(commit_folder(name_dir, their.commit)):
        kept = numpy.array([key in plan.added for key in table["key"].to_pylist()])
        if of_documents:
            settled = [
                side_of_source.get(source, side) if source else side
                for source, side in zip(table["source"].to_pylist(), sides, strict=True)
            ]
            moved += sum(bool(taken) and was is not side for was, side, taken in zip(sides, settled, kept, strict=True))
            sides = settled
        _add(writer, table, sides, kept)
    return moved


def _add(
    writer: DescribedWriter, table: pyarrow.Table, sides: list[Split], kept: "numpy.typing.NDArray[numpy.bool_]"
) -> None:
    if kept.all():
        writer.add_table(table, sides)
    elif kept.any():
        writer.add_table(
            table.filter(pyarrow.array(kept)), [side for side, taken in zip(sides, kept, strict=True) if taken]
        )


def _rows_with(name_dir: Path, version: VersionManifest, keys: Keys) -> dict[str, tuple[pyarrow.Table, Split]]:
    found: dict[str, tuple[pyarrow.Table, Split]] = {}
    if not keys:
        return found
    for table, sides in read_in_source_order(commit_folder(name_dir, version.commit)):
        for place, key in enumerate(table["key"].to_pylist()):
            if key in keys:
                found[key] = (table.slice(place, 1), sides[place])
    return found


def _replaced(
    table: pyarrow.Table, sides: list[Split], keys: list[str], replacing: dict[str, tuple[pyarrow.Table, Split]]
) -> tuple[pyarrow.Table, list[Split]]:
    places = [place for place, key in enumerate(keys) if key in replacing]
    if not places:
        return table, sides
    pieces, start, new_sides = [], 0, list(sides)
    for place in places:
        row, side = replacing[keys[place]]
        pieces += [table.slice(start, place - start), row]
        new_sides[place] = side
        start = place + 1
    return pyarrow.concat_tables([*pieces, table.slice(start)]), new_sides


def _joined(ours: Iterable[SourceFile], theirs: Iterable[SourceFile]) -> list[SourceFile]:
    return list({(source.path, source.sha256): source for source in (*theirs, *ours)}.values())


def _join_lines(
    file_name: str, name_dir: Path, versions: tuple[VersionManifest, VersionManifest], target: Path, counted: str
) -> dict[str, int]:
    """The lines of both versions, each once; returns how many of each kind there are."""
    counts: dict[str, int] = {}
    seen: set[bytes] = set()
    with create_stored_text(target) as stream:
        for version in versions:
            before = frozenset(seen)
            for line in _lines(commit_folder(name_dir, version.commit) / file_name):
                digest = blake2b(line.encode(), digest_size=8).digest()
                if digest in before:
                    continue
                seen.add(digest)
                stream.write(line)
                kind = str(json.loads(line)[counted])
                counts[kind] = counts.get(kind, 0) + 1
    return counts


def _lines(path: Path) -> Iterator[str]:
    if path.is_file():
        with open_stored_text(path) as stream:
            yield from stream
