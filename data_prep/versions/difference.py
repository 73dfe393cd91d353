"""What is different between two versions, row by row, by the rows' keys.

Parts that both versions have are not read. Memory: some 200 bytes for each row of the other parts, and the rows shown.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import pyarrow.parquet
from pydantic import JsonValue

from contracts.dataset_versions import ChangedRow, FieldChange, ShownRow, VersionDifference
from contracts.enums import Split
from contracts.record import JsonObject
from data_prep.versions.manifest import VersionManifest
from data_prep.versions.objects import ObjectStore
from storage.stored_files import open_stored

SHOWN_ROWS = 20
"""Of each kind, unless more are asked for."""
_BATCH_ROWS = 2_000

SharedParts = frozenset[tuple[str, str]]
"""Split and digest."""


@dataclass(frozen=True, slots=True)
class RowDigest:
    """A row in short."""

    split: Split
    content: bytes
    """Of turns and metadata."""
    scores: bytes


def diff(
    name_dir: Path, before: VersionManifest, after: VersionManifest, shown: int | None = SHOWN_ROWS
) -> VersionDifference:
    """What was added, removed and changed. `shown`: rows of each kind that are given whole; None for all."""
    shared = shared_parts(before, after)
    old, new = digests(name_dir, before, shared), digests(name_dir, after, shared)
    added = [key for key in new if key not in old]
    removed = [key for key in old if key not in new]
    changed, rescored = [], 0
    for key, digest in new.items():
        other = old.get(key)
        if other is None or other == digest:
            continue
        if (other.split, other.content) == (digest.split, digest.content):
            rescored += 1
        else:
            changed.append(key)
    shown_added, shown_removed, shown_changed = added[:shown], removed[:shown], changed[:shown]
    old_rows = dict(read_rows(name_dir, before, {*shown_removed, *shown_changed}, shared))
    new_rows = dict(read_rows(name_dir, after, {*shown_added, *shown_changed}, shared))
    return VersionDifference(
        name=after.name,
        before=before.commit,
        after=after.commit,
        rows_before=before.total_samples,
        rows_after=after.total_samples,
        added=len(added),
        removed=len(removed),
        changed=len(changed),
        rescored=rescored,
        unchanged=after.total_samples - len(added) - len(changed) - rescored,
        added_rows=[_shown(key, new_rows[key]) for key in shown_added],
        removed_rows=[_shown(key, old_rows[key]) for key in shown_removed],
        changed_rows=[
            ChangedRow(key=key, question=_question(new_rows[key]), fields=_changes(old_rows[key], new_rows[key]))
            for key in shown_changed
        ],
        shared_parts=len(shared),
    )


def shared_parts(*versions: VersionManifest) -> SharedParts:
    """The parts that all the versions have."""
    return frozenset.intersection(*(_parts(version) for version in versions))


def digests(name_dir: Path, version: VersionManifest, without: SharedParts = frozenset()) -> dict[str, RowDigest]:
    """The rows of a version in short, by key; those of some parts are left out."""
    found = {}
    for split, batch in _batches(name_dir, version, without):
        columns = batch.to_pydict()
        for key, messages, metadata, *scores in zip(
            columns["key"],
            columns["messages"],
            columns["metadata"],
            columns["quality_score"],
            columns["toxicity"],
            columns["parts"],
            strict=True,
        ):
            content = blake2b(f"{messages}\0{metadata}".encode(), digest_size=8).digest()
            found[key] = RowDigest(split, content, blake2b(repr(scores).encode(), digest_size=8).digest())
    return found


def read_rows(
    name_dir: Path, version: VersionManifest, keys: set[str], without: SharedParts = frozenset()
) -> Iterator[tuple[str, JsonObject]]:
    """The rows with these keys, as `{"split", "quality_score", "messages", "metadata"}`."""
    wanted = pyarrow.array(sorted(keys), pyarrow.string())
    remaining = len(keys)
    for split, batch in _batches(name_dir, version, without):
        if not remaining:
            return
        matching = batch.filter(pyarrow.compute.is_in(batch["key"], wanted))
        remaining -= matching.num_rows
        for value in matching.to_pylist():
            yield (
                value["key"],
                {
                    "split": split.value,
                    "quality_score": value["quality_score"],
                    "messages": json.loads(value["messages"]),
                    "metadata": json.loads(value["metadata"]),
                },
            )


def _batches(
    name_dir: Path, version: VersionManifest, without: SharedParts
) -> Iterator[tuple[Split, pyarrow.RecordBatch]]:
    store = ObjectStore(name_dir)
    for split in Split:
        for part in version.parts.get(split.value, []):
            if (split.value, part.sha256) in without:
                continue
            with open_stored(store.path(part.sha256)) as stream, pyarrow.parquet.ParquetFile(stream) as table:
                for batch in table.iter_batches(batch_size=_BATCH_ROWS):
                    yield split, batch


def _parts(version: VersionManifest) -> SharedParts:
    return frozenset((split, part.sha256) for split, parts in version.parts.items() for part in parts)


def _shown(key: str, row: JsonObject) -> ShownRow:
    messages = row["messages"]
    assert isinstance(messages, list)
    last = messages[-1]
    assert isinstance(last, dict)
    return ShownRow(key=key, split=Split(str(row["split"])), question=_question(row), answer=str(last["content"]))


def _question(row: JsonObject) -> str:
    messages = row["messages"]
    assert isinstance(messages, list)
    return "\n".join(str(turn["content"]) for turn in messages if isinstance(turn, dict) and turn.get("role") == "user")


def _changes(before: JsonObject, after: JsonObject) -> list[FieldChange]:
    old, new = dict(_fields(before)), dict(_fields(after))
    return [
        FieldChange(field=name, before=old.get(name), after=new.get(name))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


def _fields(value: JsonValue, place: str = "") -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _fields(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _fields(inner, f"{place}[{index}]")
    else:
        yield place, value
