"""A dataset version on disk: three Parquet files, what was removed and masked, statistics, and the manifest last.

<versions_dir>/<name>/<content hash>/
    train.parquet, validation.parquet, test.parquet    messages (JSON text), category, source, quality_score, row
    removed.jsonl       row, reason, detail, question (masked)
    masked.jsonl        row, kind, where; never the value
    statistics.json
    manifest.json
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow
import pyarrow.parquet

from contracts.datasets import ImportedDataset, PrepareRequest, SourceFile
from contracts.enums import Split
from contracts.errors import NotFoundError
from contracts.record import JsonObject, Record
from data_prep.preparing import (
    Preparation,
    PreparedRow,
    StepRecord,
    count_by_kind,
    count_by_reason,
    describe,
)
from data_prep.rows import Row, messages_as_json, messages_from_json
from storage.files import folder_written_whole, read_json, sha256_of_file, write_json_atomically

PREPARATION_RULES = "1"
"""Raise when the same rows would give another version: earlier ones are then not taken for the same."""

SPLIT_FILES = {split: f"{split.value}.parquet" for split in Split}
MANIFEST_FILE, STATISTICS_FILE = "manifest.json", "statistics.json"
REMOVED_FILE, MASKED_FILE = "removed.jsonl", "masked.jsonl"

VERSION_SCHEMA = pyarrow.schema(
    [
        ("messages", pyarrow.string()),
        ("category", pyarrow.string()),
        ("source", pyarrow.string()),
        ("quality_score", pyarrow.float64()),
        ("row", pyarrow.string()),
    ]
)


class VersionManifest(Record):
    """Everything known of a version without its rows; its existence means that the folder is whole."""

    name: str
    content_hash: str
    request_key: str
    """Hash of the request, the import, the test suites and the rules: the same key gives the same version."""
    request: PrepareRequest
    sources: list[SourceFile]
    test_suites: dict[str, str]
    """SHA-256 by path, as they were when the rows were compared with them."""
    total_samples: int
    samples: dict[str, int]
    """Rows by Split."""
    removed: dict[str, int]
    masked: dict[str, int]
    quality_score: float
    categories: dict[str, int]
    steps: list[StepRecord]
    files: dict[str, str]
    """SHA-256 by file name."""


def request_key(request: PrepareRequest, imported: ImportedDataset, test_suites: dict[str, str]) -> str:
    """Equal for requests that must give the same version."""
    content = {
        "rules": PREPARATION_RULES,
        "request": request.model_dump(mode="json", exclude={"test_suites"}),
        "files": [[source.path, source.sha256] for source in imported.files],
        "test_suites": sorted(test_suites.values()),
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def find_version(name_dir: Path, key: str) -> tuple[Path, VersionManifest] | None:
    """The version that was made for the same request before."""
    for folder in sorted(name_dir.glob("[0-9a-f]*")):
        manifest = read_json(folder / MANIFEST_FILE)
        if manifest is not None and manifest.get("request_key") == key:
            return folder, VersionManifest.model_validate(manifest)
    return None


def load_manifest(folder: Path) -> VersionManifest:
    """The version's manifest. Raises NotFoundError when the folder is gone."""
    manifest = read_json(folder / MANIFEST_FILE)
    if manifest is None:
        raise NotFoundError(
            "The dataset version's folder is missing or has no manifest",
            value=folder,
            next_step="prepare the dataset again; the same request makes the same version",
        )
    loaded = VersionManifest.model_validate(manifest)
    missing = sorted(name for name in loaded.files if not (folder / name).is_file())
    if missing:
        raise NotFoundError(
            "Files of the dataset version are missing",
            value=f"{folder}: {', '.join(missing)}",
            next_step="restore them from the backup, or remove the folder and prepare the dataset again",
        )
    return loaded


def write_version(
    name_dir: Path,
    preparation: Preparation,
    *,
    request: PrepareRequest,
    imported: ImportedDataset,
    test_suites: dict[str, str],
) -> tuple[Path, VersionManifest]:
    """Write the version's folder as a whole; its name is the content hash."""
    content = _content_hash(preparation)
    target = name_dir / content[:12]
    rows = preparation.rows
    with folder_written_whole(target) as folder:
        for split, file_name in SPLIT_FILES.items():
            _write_split(folder / file_name, [prepared for prepared in rows if prepared.split is split])
        _write_lines(folder / REMOVED_FILE, _removed_lines(preparation))
        _write_lines(folder / MASKED_FILE, _masked_lines(preparation))
        write_json_atomically(folder / STATISTICS_FILE, describe(rows))
        manifest = VersionManifest(
            name=request.dataset_name,
            content_hash=content,
            request_key=request_key(request, imported, test_suites),
            request=request,
            sources=imported.files,
            test_suites=test_suites,
            total_samples=len(rows),
            samples={split.value: sum(prepared.split is split for prepared in rows) for split in Split},
            removed=count_by_reason(preparation.removed, imported.broken_rows),
            masked=count_by_kind(preparation.masked),
            quality_score=round(sum(prepared.quality_score for prepared in rows) / len(rows), 4),
            categories=_count_categories(rows),
            steps=preparation.steps,
            files={path.name: sha256_of_file(path) for path in sorted(folder.iterdir())},
        )
        write_json_atomically(folder / MANIFEST_FILE, manifest.model_dump(mode="json"))
    return target, load_manifest(target)


def read_version_rows(folder: Path, split: Split) -> Iterator[PreparedRow]:
    """The rows of one side of a version."""
    with pyarrow.parquet.ParquetFile(folder / SPLIT_FILES[split]) as table:
        for batch in table.iter_batches(batch_size=1000):
            for value in batch.to_pylist():
                metadata: JsonObject = {"category": value["category"], "source": value["source"]}
                row = Row(value["row"], messages_from_json(value["messages"]), metadata)
                yield PreparedRow(row, value["quality_score"], split)


def _content_hash(preparation: Preparation) -> str:
    digest = sha256()
    for prepared in preparation.rows:
        digest.update(json.dumps([prepared.split.value, _values(prepared)], sort_keys=True).encode())
    for line in (*_removed_lines(preparation), *_masked_lines(preparation)):
        digest.update(json.dumps(line, sort_keys=True).encode())
    return digest.hexdigest()


def _values(prepared: PreparedRow) -> JsonObject:
    return {
        "messages": messages_as_json(prepared.row.messages),
        "category": prepared.row.category,
        "source": prepared.row.source,
        "quality_score": prepared.quality_score,
        "row": prepared.row.row_id,
    }


def _write_split(path: Path, rows: Sequence[PreparedRow]) -> None:
    table = pyarrow.Table.from_pylist([_values(prepared) for prepared in rows], schema=VERSION_SCHEMA)
    pyarrow.parquet.write_table(table, path, compression="zstd")


def _write_lines(path: Path, lines: Iterable[JsonObject]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def _removed_lines(preparation: Preparation) -> Iterator[JsonObject]:
    for removed in preparation.removed:
        yield {
            "row": removed.row_id,
            "reason": removed.removal.reason.value,
            "detail": removed.removal.detail,
            "question": removed.question,
        }


def _masked_lines(preparation: Preparation) -> Iterator[JsonObject]:
    for item in preparation.masked:
        yield {"row": item.row_id, "kind": item.kind.value, "where": item.where}


def _count_categories(rows: Sequence[PreparedRow]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for prepared in rows:
        counts[prepared.row.category] = counts.get(prepared.row.category, 0) + 1
    return dict(sorted(counts.items()))
