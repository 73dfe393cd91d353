"""A version as plain files for other programs: JSONL in the form that the import reads, or Parquet."""

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

import pyarrow
import pyarrow.parquet

from contracts.enums import Split
from contracts.errors import ConflictError
from contracts.record import Record
from data_prep.rows import OnProgress
from data_prep.versions.manifest import VersionManifest
from data_prep.versions.names import MANIFEST_FILE, PART_SCHEMA
from data_prep.versions.reading import read_split_batches
from storage.files import folder_written_whole, write_json_atomically


class ExportFormat(StrEnum):
    """How the rows are written."""

    JSONL = "jsonl"
    """`{"messages": […], "metadata": {…}}` a line."""
    PARQUET = "parquet"
    """One file a split, with the columns of the version."""


class Export(Record):
    """What was written."""

    name: str
    commit: str
    folder: str
    rows: dict[str, int]
    """By file name."""


def export_version(
    folder: Path,
    manifest: VersionManifest,
    target: Path,
    format: ExportFormat = ExportFormat.JSONL,
    splits: Sequence[Split] = tuple(Split),
    on_progress: OnProgress | None = None,
) -> Export:
    """Write the version's sides into a new folder, whole or not at all. Raises ConflictError when it exists."""
    if target.exists():
        raise ConflictError(
            "The folder to export to exists already",
            value=target,
            allowed="a folder that does not exist yet",
            next_step="name another one, or remove this one",
        )
    rows: dict[str, int] = {}
    total = sum(manifest.samples[split.value] for split in splits)
    with folder_written_whole(target) as temporary:
        for split in splits:
            name = f"{split.value}.{format.value}"
            batches = _told(read_split_batches(folder, split), sum(rows.values()), total, on_progress)
            write = _write_jsonl if format is ExportFormat.JSONL else _write_parquet
            rows[name] = write(temporary / name, batches)
        write_json_atomically(temporary / MANIFEST_FILE, manifest.model_dump(mode="json"))
    return Export(name=manifest.name, commit=manifest.commit, folder=str(target), rows=rows)


def _told(
    batches: Iterable[pyarrow.RecordBatch], done: int, total: int, on_progress: OnProgress | None
) -> Iterable[pyarrow.RecordBatch]:
    for batch in batches:
        yield batch
        done += batch.num_rows
        if on_progress is not None:
            on_progress("exporting", done, total)


def _write_jsonl(path: Path, batches: Iterable[pyarrow.RecordBatch]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as stream:
        for batch in batches:
            for value in batch.to_pylist():
                metadata = {**json.loads(value["metadata"]), "quality_score": value["quality_score"]}
                # the messages are JSON text already
                stream.write(
                    f'{{"messages": {value["messages"]}, "metadata": {json.dumps(metadata, ensure_ascii=False)}}}\n'
                )
            rows += batch.num_rows
    return rows


def _write_parquet(path: Path, batches: Iterable[pyarrow.RecordBatch]) -> int:
    rows = 0
    with pyarrow.parquet.ParquetWriter(path, PART_SCHEMA, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.cast(PART_SCHEMA))
            rows += batch.num_rows
    return rows
