"""Writing a dataset version: rows go in, in source order, and a commit comes out, or nothing.

<versions_dir>/<name>/
    <commit, 12 digits>/    manifest.json; train.parquet, validation.parquet, test.parquet: links to the parts (a folder
                            of links where a side has several); index.parquet, removed.jsonl, masked.jsonl, statistics.json
    objects/aa/aa….parquet  the parts of all versions, each once
    references/             branches/<branch>, tags/<tag>: files with a commit's hash

Killed at any instant, it leaves the versions and branches that were there, and files that the next collection of garbage
removes. Order: parts, folder with the manifest last, folder's name, branch.
"""

import json
import shutil
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from contracts.datasets import PrepareRequest, SourceFile
from contracts.enums import Split
from contracts.errors import ConflictError, InvalidDataError
from contracts.record import utc_now
from data_prep.preparation.steps import StepRecord
from data_prep.rows import Row, messages_as_json
from data_prep.versions.history import is_ancestor
from data_prep.versions.locks import changing_references, writing
from data_prep.versions.manifest import (
    MAIN,
    SHORT,
    Recipe,
    VersionManifest,
    commit_hash,
    content_hash,
    read_manifest,
)
from data_prep.versions.names import INDEX_FILE, INDEX_SCHEMA, MANIFEST_FILE, PART_SCHEMA, SPLIT_FILES
from data_prep.versions.objects import ObjectStore
from data_prep.versions.parts import Part, PartWriter
from data_prep.versions.references import advance, check_name, head
from storage.files import fsync_path, write_json_atomically
from storage.stored_files import create_stored, sha256_of_stored

_SCORE_DIGITS = 6
"""Scores come as 32-bit numbers from chunk files; stored so that they read as they were meant."""


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A row of a dataset version."""

    row: Row
    quality: float
    split: Split
    parts: Mapping[str, float] = field(default_factory=dict)
    """What the quality score was made of."""
    toxicity: float = 0.0


class VersionWriter:
    """Takes rows in source order and makes a commit of them. Use it in a `with` block.

    `with VersionWriter(name_dir) as writer: writer.add(rows); folder, manifest = writer.commit(…)`. Leaving the block
    without a commit leaves no trace. While the block is open no garbage is collected.
    """

    def __init__(self, name_dir: Path, branch: str = MAIN) -> None:
        check_name(branch, "branch")
        self._name_dir, self._branch = name_dir, branch
        store = ObjectStore(name_dir)
        self._store = store
        self._writers = {split: PartWriter(store) for split in Split}
        self._index: list[pyarrow.Table] = []
        self._categories: Counter[str] = Counter()
        self._quality_millionths = 0
        self._temporary = name_dir / f".{uuid.uuid4().hex}.tmp"
        self._locks = ExitStack()

    def __enter__(self) -> Self:
        self._locks.enter_context(writing(self._name_dir))
        self._temporary.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._locks.close()

    def path(self, file_name: str) -> Path:
        """Where the caller writes a further file of the version: REMOVED_FILE, MASKED_FILE, STATISTICS_FILE and so on."""
        return self._temporary / file_name

    def add(self, rows: Sequence[VersionRow]) -> None:
        """Take rows."""
        self.add_table(
            pyarrow.Table.from_pydict(
                {
                    "messages": [messages_as_json(row.row.messages) for row in rows],
                    "category": [row.row.category for row in rows],
                    "source": [row.row.source for row in rows],
                    "quality_score": [row.quality for row in rows],
                    "toxicity": [row.toxicity for row in rows],
                    "key": [row.row.key for row in rows],
                    "metadata": [json.dumps(row.row.metadata, ensure_ascii=False, sort_keys=True) for row in rows],
                    "parts": [json.dumps(row.parts, sort_keys=True) for row in rows],
                    "row": [row.row.row_id for row in rows],
                },
                schema=PART_SCHEMA.append(pyarrow.field("row", pyarrow.string())),
            ),
            [row.split for row in rows],
        )

    def add_table(self, table: pyarrow.Table, sides: Sequence[Split], keys: Sequence[str] | None = None) -> None:
        """Take rows as a table: the columns of PART_SCHEMA and `row`, in any order, others are left out.

        `sides` gives the split of each row; `keys` replaces the column `key` where it is given.
        """
        if keys is not None:
            table = table.set_column(table.schema.get_field_index("key"), "key", pyarrow.array(keys, pyarrow.string()))
        for name in ("quality_score", "toxicity"):
            scores = numpy.round(table[name].to_numpy().astype(numpy.float64), _SCORE_DIGITS)
            table = table.set_column(table.schema.get_field_index(name), name, pyarrow.array(scores))
        splits = pyarrow.array([side.value for side in sides], pyarrow.string())
        self._index.append(
            pyarrow.table([splits, table["key"], table["row"]], names=INDEX_SCHEMA.names).cast(INDEX_SCHEMA)
        )
        self._categories.update(
            {item["values"]: item["counts"] for item in table["category"].value_counts().to_pylist()}
        )
        millionths = numpy.round(table["quality_score"].to_numpy() * 10**_SCORE_DIGITS).astype(numpy.int64)
        self._quality_millionths += int(millionths.sum())
        content = table.select(PART_SCHEMA.names).cast(PART_SCHEMA)
        for split, writer in self._writers.items():
            of_split = content.filter(pyarrow.compute.equal(splits, split.value))
            if of_split.num_rows:
                writer.add(of_split)

    def commit(
        self,
        *,
        recipe: Recipe,
        request: PrepareRequest,
        request_key: str,
        sources: Sequence[SourceFile] = (),
        test_suites: Mapping[str, str] | None = None,
        removed: Mapping[str, int] | None = None,
        masked: Mapping[str, int] | None = None,
        steps: Sequence[StepRecord] = (),
        parents: Sequence[str] | None = None,
        message: str = "",
    ) -> tuple[Path, VersionManifest]:
        """Make the commit and let the branch end there. Returns its folder and manifest.

        `parents`: the branch must end at the first of them (ConflictError otherwise); None takes where it ends. The same
        rows and recipe as the branch's newest commit are that commit.
        """
        parts = {split.value: writer.finish() for split, writer in self._writers.items()}
        index = pyarrow.concat_tables(self._index) if self._index else INDEX_SCHEMA.empty_table()
        _require_different_keys(index)
        with create_stored(self._temporary / INDEX_FILE) as stream:
            pyarrow.parquet.write_table(index.combine_chunks(), stream, compression="zstd")
        for split, file_name in SPLIT_FILES.items():
            self._link_parts(parts[split.value], file_name)
        files = {
            str(path.relative_to(self._temporary)): sha256_of_stored(path)
            for path in sorted(self._temporary.rglob("*"))
            if path.is_file()
        }
        samples = {split: sum(part.rows for part in of_split) for split, of_split in parts.items()}
        total = sum(samples.values())
        content = content_hash(parts, files)
        with changing_references(self._name_dir):
            ends_at = head(self._name_dir, self._branch)
            newest = None if ends_at is None or parents is not None else read_manifest(self._name_dir / ends_at[:SHORT])
            if newest is not None and (newest.content_hash, newest.recipe) == (content, recipe):
                return self._name_dir / newest.short, newest
            before = self._parents(parents, ends_at)
            commit = commit_hash(content, before, recipe, samples)
            manifest = VersionManifest(
                name=self._name_dir.name,
                commit=commit,
                content_hash=content,
                parents=before,
                branch=self._branch,
                message=message,
                created_at=utc_now().isoformat(timespec="seconds"),
                recipe=recipe,
                parts=parts,
                request_key=request_key,
                request=request,
                sources=list(sources),
                test_suites=dict(test_suites or {}),
                total_samples=total,
                samples=samples,
                removed=dict(removed or {}),
                masked=dict(masked or {}),
                quality_score=round(self._quality_millionths / 10**_SCORE_DIGITS / total, 4) if total else 0.0,
                categories=dict(sorted(self._categories.items())),
                steps=list(steps),
                files=files,
            )
            target = self._take_its_name(manifest)
            advance(self._name_dir, self._branch, commit)
        found = read_manifest(target)
        assert found is not None
        return target, found

    def _parents(self, given: Sequence[str] | None, ends_at: str | None) -> list[str]:
        if given is None:
            return [] if ends_at is None else [ends_at]
        if ends_at != (given[0] if given else None):
            raise ConflictError(
                "The branch has moved since the work began",
                value=f"{self._branch} ends at {'nothing' if ends_at is None else ends_at[:SHORT]}",
                allowed=given[0][:SHORT] if given else "a new branch",
                next_step="start again from the branch's present end",
            )
        return list(given)

    def _take_its_name(self, manifest: VersionManifest) -> Path:
        write_json_atomically(self._temporary / MANIFEST_FILE, manifest.model_dump(mode="json"))
        for path in self._temporary.rglob("*"):
            fsync_path(path)
        fsync_path(self._temporary)
        target = self._name_dir / manifest.short
        try:
            self._temporary.rename(target)
        except OSError:
            if read_manifest(target) is None:
                raise
        fsync_path(self._name_dir)
        return target

    def _link_parts(self, parts: list[Part], file_name: str) -> None:
        if len(parts) == 1:
            self._store.link(parts[0].sha256, self._temporary / file_name)
            return
        for number, part in enumerate(parts):
            self._store.link(part.sha256, self._temporary / file_name / f"{number:05d}.parquet")


def finish_commit(name_dir: Path, manifest: VersionManifest) -> None:
    """Let the commit's branch end at it, where a kill came between the folder and the branch.

    Nothing where the branch has it already, or has moved elsewhere since.
    """
    with changing_references(name_dir):
        ends_at = head(name_dir, manifest.branch)
        if ends_at is None or (
            manifest.parents[:1] == [ends_at] and not is_ancestor(name_dir, manifest.commit, ends_at)
        ):
            advance(name_dir, manifest.branch, manifest.commit)


def find_version(name_dir: Path, key: str) -> tuple[Path, VersionManifest] | None:
    """The version that was made for the same request before."""
    for folder in sorted(name_dir.glob("[0-9a-f]*")):
        manifest = read_manifest(folder)
        if manifest is not None and manifest.request_key == key:
            finish_commit(name_dir, manifest)
            return folder, manifest
    return None


def _require_different_keys(index: pyarrow.Table) -> None:
    keys = index["key"]
    if pyarrow.compute.count_distinct(keys).as_py() == len(keys):
        return
    counts = keys.value_counts().to_pylist()
    twice = sorted(str(item["values"]) for item in counts if item["counts"] > 1)
    raise InvalidDataError(
        "Several rows of the version have the same key",
        value=", ".join(twice[:10]),
        allowed="one row a key",
        next_step="number the rows that came with the same id",
    )
