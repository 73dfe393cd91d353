"""Import: the files' rows in canonical form, written as a whole, named by their content."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Thread
from typing import Any, TextIO

import numpy
import orjson
import pyarrow
import pyarrow.parquet

from contracts.datasets import ColumnMapping, ImportedDataset, ImportRequest, SourceFile
from contracts.errors import InvalidDataError, NotFoundError, TooLargeError
from contracts.record import JsonObject
from data_prep.abandoned import remove_abandoned_folders
from data_prep.imports.batches import Batch, BrokenRow
from data_prep.imports.encoding import printable
from data_prep.imports.input_files import InputFile, open_input_files, require_disk_space
from data_prep.imports.reading import OpenedFile, open_rows
from data_prep.imports.shapes import (
    KNOWN_SHAPES,
    RowReader,
    messages_bytes,
    metadata_bytes,
    require_columns,
    template_columns,
    wanted_columns,
)
from data_prep.rows import Message, OnProgress, Rejection, Row
from storage.files import folder_written_whole, read_json, write_json_atomically
from storage.stored_files import create_stored, create_stored_text, open_stored

IMPORT_RULES = "2"
"""Raise when the same files would give other rows: earlier imports are then not taken for the same."""
ROWS_FILE, QUARANTINE_FILE, MANIFEST_FILE = "rows.parquet", "quarantine.jsonl", "manifest.json"
CHUNK_ROWS = 10_000
"""Rows of a row group; fewer in the last one, and where rows are so long that these would not fit into memory."""

ROWS_SCHEMA = pyarrow.schema(
    [
        ("messages", pyarrow.string()),
        ("metadata", pyarrow.string()),
        ("source_file", pyarrow.string()),
        ("line", pyarrow.int64()),
        ("key", pyarrow.string()),
    ]
)
_BATCH_ROWS = 1000
_MOST_GROUP_BYTES = 64 << 20
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
    files = open_input_files(request.input_files, relative_to=relative_to, allowed_roots=allowed_roots)
    return import_opened(
        files, request, imports_dir=imports_dir, min_free_disk_gb=min_free_disk_gb, on_progress=on_progress
    )


def import_opened(
    files: Sequence[InputFile],
    request: ImportRequest,
    *,
    imports_dir: Path,
    min_free_disk_gb: float,
    most_rows: int | None = None,
    on_progress: OnProgress | None = None,
) -> ImportedDataset:
    """`import_files` of files that somebody else has opened; raises TooLargeError from `most_rows` on."""
    if request.columns.question_template:
        template_columns(request.columns.question_template)
    import_id = f"{request.dataset_name}-{_content_address(files, request.columns, request.max_rows)}"
    target = imports_dir / import_id
    if (found := _load(target)) is not None:
        return found
    require_disk_space(imports_dir, 2 * sum(file.size_bytes for file in files), min_free_disk_gb)
    remove_abandoned_folders(imports_dir)
    with folder_written_whole(target) as folder:
        # the rows are as they came: personal data is masked when they are prepared
        folder.chmod(0o700)
        sources = _write_rows(files, request, folder, min_free_disk_gb, most_rows, on_progress)
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
            allowed="the import_id that the import told",
            next_step="run `tuneway dataset import <name> <file>` first",
        )
    return found


def read_imported_rows(imported: ImportedDataset) -> Iterator[Row]:
    """The rows of an import, in the order of the files."""
    with open_stored(Path(imported.rows_path)) as stream, pyarrow.parquet.ParquetFile(stream) as table:
        for batch in table.iter_batches(batch_size=_BATCH_ROWS):
            yield from _rows(batch)


def imported_chunks(rows_path: Path) -> int:
    """Into how many chunks an import is cut."""
    with open_stored(rows_path) as stream, pyarrow.parquet.ParquetFile(stream) as table:
        return int(table.num_row_groups)


def read_imported_chunk(rows_path: Path, row_group: int) -> list[Row]:
    """The rows of one chunk, from 0. All chunks have `CHUNK_ROWS` rows but the last one and those of very long rows."""
    with open_stored(rows_path) as stream, pyarrow.parquet.ParquetFile(stream) as table:
        return list(_rows(table.read_row_group(row_group)))


def _rows(table: "pyarrow.Table | pyarrow.RecordBatch") -> Iterator[Row]:
    columns = (
        [table.column(name).to_numpy(zero_copy_only=False).tolist() for name in ROWS_SCHEMA.names]
        if isinstance(table, pyarrow.RecordBatch)
        else [table.column(name).to_numpy().tolist() for name in ROWS_SCHEMA.names]
    )
    for messages, metadata, source_file, line, key in zip(*columns, strict=True):
        turns = tuple([Message(turn.pop("role"), turn.pop("content"), turn) for turn in orjson.loads(messages)])
        yield Row(f"{source_file}:{line}", turns, orjson.loads(metadata) if metadata != "{}" else {}, key)


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
        "columns": columns.model_dump(mode="json", exclude_none=True),
        "max_rows": max_rows,
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Waiting:
    """Rows that are not written yet."""

    messages: list[bytes] = field(default_factory=list)
    metadata: list[bytes] = field(default_factory=list)
    source_files: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    characters: int = 0
    """Bytes of the messages and metadata."""

    def __len__(self) -> int:
        return len(self.messages)

    def cut(self, rows: int) -> "pyarrow.Table":
        """The first rows, taken out."""
        columns = [
            _text_array(self.messages[:rows]),
            _text_array(self.metadata[:rows]),
            _text_array(self.source_files[:rows]),
            pyarrow.Array.from_buffers(
                pyarrow.int64(), min(rows, len(self)), [None, _numbers(self.lines[:rows], "<i8")]
            ),
            _text_array(self.keys[:rows]),
        ]
        waiting: tuple[list[Any], ...] = (self.messages, self.metadata, self.source_files, self.lines, self.keys)
        for values in waiting:
            del values[:rows]
        self.characters = sum(map(len, self.messages)) + sum(map(len, self.metadata))
        return pyarrow.Table.from_arrays(columns, schema=ROWS_SCHEMA)


def _text_array(texts: Sequence[bytes]) -> "pyarrow.Array":
    """What pyarrow.array gives, three times as fast, and without importing pandas."""
    offsets = numpy.zeros(len(texts) + 1, dtype="<i4")
    numpy.cumsum(numpy.fromiter(map(len, texts), dtype="<i4", count=len(texts)), out=offsets[1:])
    return pyarrow.Array.from_buffers(
        pyarrow.string(), len(texts), [None, pyarrow.py_buffer(offsets), pyarrow.py_buffer(b"".join(texts))]
    )


def _numbers(values: Sequence[int], kind: str) -> "pyarrow.Buffer":
    return pyarrow.py_buffer(numpy.array(values, dtype=kind))


class _RowWriter:
    """Canonical rows into Parquet, a row group at a time; compressing runs in a thread beside the reading."""

    def __init__(self, writer: "pyarrow.parquet.ParquetWriter", folder: Path, min_free_disk_gb: float) -> None:
        self._writer = writer
        self._folder = folder
        self._min_free_disk_gb = min_free_disk_gb
        self._tables: Queue[pyarrow.Table | None] = Queue(2)
        self._failure: Exception | None = None
        self._thread = Thread(target=self._write, name="writing rows", daemon=True)
        self._thread.start()
        self.waiting = _Waiting()

    def write_full_groups(self) -> None:
        while len(self.waiting) >= CHUNK_ROWS:
            self._put(self.waiting.cut(CHUNK_ROWS))
        if self.waiting.characters > _MOST_GROUP_BYTES:
            self._put(self.waiting.cut(len(self.waiting)))

    def finish(self) -> None:
        self.write_full_groups()
        if len(self.waiting):
            self._put(self.waiting.cut(len(self.waiting)))
        self._put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Stop the thread; what it has not written is not wanted any more."""
        while self._thread.is_alive():
            with suppress(Empty):
                self._tables.get_nowait()
            with suppress(Full):
                self._tables.put_nowait(None)
            self._thread.join(0.05)

    def _put(self, table: "pyarrow.Table | None") -> None:
        while True:
            if self._failure is not None:
                self._thread.join()
                raise self._failure
            with suppress(Full):
                self._tables.put(table, timeout=0.5)
                return

    def _write(self) -> None:
        try:
            while (table := self._tables.get()) is not None:
                # an unpacked file may be any size: the disk is looked at as it fills
                require_disk_space(self._folder, int(table.nbytes), self._min_free_disk_gb)
                self._writer.write_table(table, row_group_size=CHUNK_ROWS)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that reads
            self._failure = error


@contextmanager
def _row_writer(path: Path, min_free_disk_gb: float) -> Iterator[_RowWriter]:
    with (
        create_stored(path) as stream,
        pyarrow.parquet.ParquetWriter(
            stream, ROWS_SCHEMA, compression="zstd", use_dictionary=["source_file", "metadata"]
        ) as parquet,
    ):
        rows = _RowWriter(parquet, path.parent, min_free_disk_gb)
        try:
            yield rows
            rows.finish()
        finally:
            rows.abandon()


class _Quarantine:
    """Broken rows with their raw text, which nobody but the owner may read."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def add(self, row: BrokenRow, source_file: str, encoding: str) -> None:
        written = {
            "source_file": source_file,
            "line": row.line,
            "reason": printable(row.reason, encoding),
            "raw": printable(row.raw[:_RAW_CHARACTERS], encoding),
        }
        self._stream.write(json.dumps(written, ensure_ascii=False) + "\n")


@dataclass(slots=True)
class _Counts:
    good: int = 0
    broken: int = 0
    first_reasons: list[str] = field(default_factory=list)

    @property
    def all(self) -> int:
        return self.good + self.broken


def _write_rows(
    files: Sequence[InputFile],
    request: ImportRequest,
    folder: Path,
    min_free_disk_gb: float,
    most_rows: int | None,
    on_progress: OnProgress | None,
) -> list[SourceFile]:
    total_bytes = sum(file.size_bytes for file in files)
    bytes_before = 0
    sources = []
    with (
        _row_writer(folder / ROWS_FILE, min_free_disk_gb) as writer,
        create_stored_text(folder / QUARANTINE_FILE) as broken_rows,
    ):
        quarantine = _Quarantine(broken_rows)
        for file in files:
            opened = open_rows(file, wanted_columns(request.columns))
            if opened.columns is not None:
                require_columns(request.columns, opened.columns, file.name)

            def told(bytes_read: int, file: InputFile = file, before: int = bytes_before) -> None:
                if on_progress is not None:
                    on_progress(f"importing {file.name}", before + bytes_read, total_bytes)

            counts = _write_file(file, opened, request, writer, quarantine, most_rows, told)
            if counts.good == 0:
                raise _no_row(file, counts)
            bytes_before += file.size_bytes
            if on_progress is not None:
                on_progress(f"imported {file.name}", bytes_before, total_bytes)
            sources.append(
                SourceFile(
                    path=file.origin or str(file.path),
                    sha256=file.sha256,
                    format=file.format,
                    encoding=opened.encoding,
                    rows=counts.good,
                    broken_rows=counts.broken,
                    notes=opened.notes,
                )
            )
    return sources


def _write_file(
    file: InputFile,
    opened: OpenedFile,
    request: ImportRequest,
    writer: _RowWriter,
    quarantine: _Quarantine,
    most_rows: int | None,
    told: Callable[[int], None],
) -> _Counts:
    counts = _Counts()
    reader = RowReader(request.columns)
    encoding = opened.encoding or "utf-8"
    with closing(opened.batches):
        for batch in opened.batches:
            if request.max_rows is not None:
                batch = batch.first(request.max_rows - counts.all)
            good, broken = _taken(batch, reader, writer.waiting, file.name)
            counts.good += good
            counts.broken += len(broken)
            for row in broken:
                quarantine.add(row, file.name, encoding)
                if len(counts.first_reasons) < 3:
                    counts.first_reasons.append(f"line {row.line}: {printable(row.reason, encoding)}")
            if most_rows is not None and counts.all > most_rows:
                raise TooLargeError(
                    "The file has too many rows",
                    value=f"{file.name}: more than {most_rows}",
                    allowed=f"{most_rows} rows",
                    next_step="cut it into several files, or raise TUNEWAY_MAX_UPLOAD_ROWS",
                )
            writer.write_full_groups()
            told(opened.bytes_read())
            if counts.good == 0 and counts.broken >= _GIVE_UP_AFTER_ROWS:
                break
            if request.max_rows is not None and counts.all >= request.max_rows:
                break
    return counts


def _taken(batch: Batch, reader: RowReader, waiting: _Waiting, source_file: str) -> tuple[int, list[BrokenRow]]:
    """Put the good rows to those that wait; gives their number, and the broken ones in the order of their lines."""
    broken = list(batch.broken)
    good = 0
    read = reader.read
    for index, (line, value) in enumerate(zip(batch.lines, batch.values, strict=True)):
        row = read(value)
        if not isinstance(row, Rejection):
            messages, metadata = messages_bytes(row), metadata_bytes(row)
            if isinstance(messages, bytes) and isinstance(metadata, bytes):
                waiting.messages.append(messages)
                waiting.metadata.append(metadata)
                waiting.lines.append(line)
                waiting.keys.append(row.key.encode())
                waiting.characters += len(messages) + len(metadata)
                good += 1
                continue
            flaw = messages if isinstance(messages, Rejection) else metadata
        else:
            flaw = row
        assert isinstance(flaw, Rejection)
        raw = batch.raw_of(index) if batch.raw_of is not None else json.dumps(value, ensure_ascii=False, default=str)
        broken.append(BrokenRow(line, flaw.reason, raw))
    waiting.source_files += [source_file.encode()] * good
    broken.sort(key=lambda row: row.line)
    return good, broken


def _no_row(file: InputFile, counts: _Counts) -> InvalidDataError:
    reasons = "; ".join(counts.first_reasons or [])
    return InvalidDataError(
        f"{file.name} holds no row" if counts.broken == 0 else f"No row of {file.name} can be used ({reasons})",
        value=f"{counts.broken} broken rows" if counts.broken else file.name,
        allowed=KNOWN_SHAPES,
        next_step="correct the file, or name its columns in the request's `columns`",
    )
