"""Import: the files' rows in canonical form, written as a whole, named by their content."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pyarrow
import pyarrow.parquet

from contracts.datasets import ColumnMapping, ImportedDataset, ImportRequest, SourceFile
from contracts.errors import InvalidDataError, NotFoundError
from contracts.record import JsonObject
from data_prep.abandoned import remove_abandoned_folders
from data_prep.imports.encoding import printable
from data_prep.imports.input_files import InputFile, open_input_files, require_disk_space
from data_prep.imports.reading import BrokenRow, ReadRow, open_rows
from data_prep.imports.shapes import KNOWN_SHAPES, canonical_row, require_columns, template_columns
from data_prep.rows import OnProgress, Rejection, Row, messages_as_json, messages_from_json
from storage.files import folder_written_whole, read_json, write_json_atomically

IMPORT_RULES = "1"
"""Raise when the same files would give other rows: earlier imports are then not taken for the same."""
ROWS_FILE, QUARANTINE_FILE, MANIFEST_FILE = "rows.parquet", "quarantine.jsonl", "manifest.json"

ROWS_SCHEMA = pyarrow.schema(
    [
        ("messages", pyarrow.string()),
        ("metadata", pyarrow.string()),
        ("source_file", pyarrow.string()),
        ("line", pyarrow.int64()),
    ]
)
_BATCH_ROWS = 1000
_GIVE_UP_AFTER_ROWS = 1000
"""So many broken rows at a file's start, and no good one: it is the wrong file, not a flawed one."""
_RAW_CHARACTERS = 20_000


def import_files(
    request: ImportRequest,
    *,
    imports_dir: Path,
    relative_to: Path,
    allowed_roots: Sequence[Path],
    min_free_disk_gb: float,
    on_progress: OnProgress | None = None,
) -> ImportedDataset:
    """Bring the request's files in; the same request again returns at once.

    Broken rows go to quarantine.jsonl, with file, line, reason and raw text. Raises InvalidRequestError or
    InvalidDataError, naming the file, when nothing of a file can be used; then nothing is written.
    """
    if request.columns.question_template:
        template_columns(request.columns.question_template)
    files = open_input_files(request.input_files, relative_to=relative_to, allowed_roots=allowed_roots)
    import_id = f"{request.dataset_name}-{_content_address(files, request.columns, request.max_rows)}"
    target = imports_dir / import_id
    if (found := _load(target)) is not None:
        return found
    require_disk_space(imports_dir, 2 * sum(file.size_bytes for file in files), min_free_disk_gb)
    remove_abandoned_folders(imports_dir)
    with folder_written_whole(target) as folder:
        sources = _write_rows(files, request, folder, on_progress)
        record = ImportedDataset(
            import_id=import_id,
            dataset_name=request.dataset_name,
            rows_path=str(target / ROWS_FILE),
            quarantine_path=str(target / QUARANTINE_FILE),
            total_rows=sum(source.rows for source in sources),
            broken_rows=sum(source.broken_rows for source in sources),
            files=sources,
        )
        write_json_atomically(folder / MANIFEST_FILE, record.model_dump(mode="json"))
    return record


def load_import(imports_dir: Path, import_id: str) -> ImportedDataset:
    """The record of an earlier import. Raises NotFoundError."""
    found = _load(imports_dir / import_id)
    if found is None:
        raise NotFoundError(
            "There is no such import",
            value=import_id,
            allowed="the import_id that `import_dataset` returned",
            next_step="run `tuneway stage import_dataset request.json` first",
        )
    return found


def read_imported_rows(imported: ImportedDataset) -> Iterator[Row]:
    """The rows of an import, in the order of the files."""
    with pyarrow.parquet.ParquetFile(imported.rows_path) as table:
        for batch in table.iter_batches(batch_size=_BATCH_ROWS):
            for value in batch.to_pylist():
                yield Row(
                    f"{value['source_file']}:{value['line']}",
                    messages_from_json(value["messages"]),
                    json.loads(value["metadata"]),
                )


def _load(folder: Path) -> ImportedDataset | None:
    manifest = read_json(folder / MANIFEST_FILE)
    if manifest is None:
        return None
    # the data folder may have been moved since
    moved = {"rows_path": str(folder / ROWS_FILE), "quarantine_path": str(folder / QUARANTINE_FILE)}
    return ImportedDataset.model_validate({**manifest, **moved})


def _content_address(files: Sequence[InputFile], columns: ColumnMapping, max_rows: int | None) -> str:
    content: JsonObject = {
        "rules": IMPORT_RULES,
        "files": [[file.name, file.sha256] for file in files],
        "columns": columns.model_dump(mode="json"),
        "max_rows": max_rows,
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


class _RowWriter:
    """Canonical rows into Parquet, a batch at a time."""

    def __init__(self, writer: pyarrow.parquet.ParquetWriter) -> None:
        self._writer = writer
        self._waiting: list[dict[str, object]] = []

    def add(self, row: Row, source_file: str, line: int) -> None:
        self._waiting.append(
            {
                "messages": messages_as_json(row.messages),
                "metadata": json.dumps(row.metadata, ensure_ascii=False, sort_keys=True),
                "source_file": source_file,
                "line": line,
            }
        )
        if len(self._waiting) >= _BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pyarrow.Table.from_pylist(self._waiting, schema=ROWS_SCHEMA))
            self._waiting = []


@contextmanager
def _row_writer(path: Path) -> Iterator[_RowWriter]:
    with pyarrow.parquet.ParquetWriter(path, ROWS_SCHEMA, compression="zstd") as parquet:
        rows = _RowWriter(parquet)
        yield rows
        rows.flush()


@dataclass(slots=True)
class _Counts:
    good: int = 0
    broken: int = 0
    first_reasons: list[str] | None = None


def _write_rows(
    files: Sequence[InputFile], request: ImportRequest, folder: Path, on_progress: OnProgress | None
) -> list[SourceFile]:
    total_bytes = sum(file.size_bytes for file in files)
    bytes_before = 0
    sources = []
    with (
        _row_writer(folder / ROWS_FILE) as writer,
        (folder / QUARANTINE_FILE).open("w", encoding="utf-8") as quarantine,
    ):
        for file in files:
            opened = open_rows(file)
            if opened.columns is not None:
                require_columns(request.columns, opened.columns, file.name)
            counts = _Counts(first_reasons=[])
            for read in _first(opened.rows, request.max_rows):
                taken = _take(read, request.columns, file, writer)
                if taken is None:
                    counts.good += 1
                else:
                    counts.broken += 1
                    encoding = opened.encoding or "utf-8"
                    quarantine.write(
                        json.dumps(
                            {
                                "source_file": file.name,
                                "line": taken.line,
                                "reason": printable(taken.reason, encoding),
                                "raw": printable(taken.raw[:_RAW_CHARACTERS], encoding),
                            },
                            ensure_ascii=False,
                        )
                        + "\n"
                    )
                    assert counts.first_reasons is not None
                    if len(counts.first_reasons) < 3:
                        counts.first_reasons.append(f"line {taken.line}: {printable(taken.reason, encoding)}")
                    if counts.good == 0 and counts.broken >= _GIVE_UP_AFTER_ROWS:
                        break
                if on_progress is not None and (counts.good + counts.broken) % _BATCH_ROWS == 0:
                    on_progress(f"importing {file.name}", bytes_before + opened.bytes_read(), total_bytes)
            if counts.good == 0:
                raise _no_row(file, counts)
            bytes_before += file.size_bytes
            if on_progress is not None:
                on_progress(f"imported {file.name}", bytes_before, total_bytes)
            sources.append(
                SourceFile(
                    path=str(file.path),
                    sha256=file.sha256,
                    format=file.format,
                    encoding=opened.encoding,
                    rows=counts.good,
                    broken_rows=counts.broken,
                )
            )
    return sources


def _first(rows: Iterator[ReadRow], limit: int | None) -> Iterator[ReadRow]:
    for number, row in enumerate(rows):
        if limit is not None and number >= limit:
            return
        yield row


def _take(read: ReadRow, columns: ColumnMapping, file: InputFile, writer: _RowWriter) -> BrokenRow | None:
    """Write a good row; return a broken one."""
    if isinstance(read, BrokenRow):
        return read
    row = canonical_row(read.value, columns, f"{file.name}:{read.line}")
    if isinstance(row, Rejection):
        raw = read.raw if read.raw is not None else json.dumps(read.value, ensure_ascii=False)
        return BrokenRow(read.line, row.reason, raw)
    writer.add(row, file.name, read.line)
    return None


def _no_row(file: InputFile, counts: _Counts) -> InvalidDataError:
    reasons = "; ".join(counts.first_reasons or [])
    return InvalidDataError(
        f"{file.name} holds no row" if counts.broken == 0 else f"No row of {file.name} can be used ({reasons})",
        value=f"{counts.broken} broken rows" if counts.broken else file.name,
        allowed=KNOWN_SHAPES,
        next_step="correct the file, or name its columns in the request's `columns`",
    )
