"""Rows of a person taken out of what is stored, for good.

A dataset version keeps its name: models were trained on it, and say so by that name. Its manifest tells how many rows were
taken out of it since, and its files are those without them. Each file is replaced whole, the manifest behind all that it
names; an erasure that was killed, done again with the same rows, ends the same.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from contracts.datasets import ImportedDataset
from contracts.record import utc_now
from data_prep.imports.importing import MANIFEST_FILE as IMPORT_MANIFEST_FILE
from data_prep.imports.importing import load_import
from data_prep.statistics.report import REPORT_FILE, without_examples, write_report
from data_prep.versions.locks import changing_references, collecting
from data_prep.versions.manifest import Erasure, VersionManifest, load_manifest
from data_prep.versions.names import INDEX_FILE, MANIFEST_FILE, MASKED_FILE, REMOVED_FILE, SPLIT_FILES, STATISTICS_FILE
from data_prep.versions.objects import ObjectStore
from data_prep.versions.parts import Part, write_part
from storage.files import fsync_path, write_json_atomically
from storage.split_files import split_files
from storage.stored_files import (
    create_stored,
    create_stored_text,
    open_stored,
    open_stored_text,
    read_stored_json,
    sha256_of_stored,
    write_stored_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from contracts.enums import Split


def erase_imported_rows(imports_dir: Path, import_id: str, rows: Collection[str]) -> ImportedDataset:
    """The import without the rows (`<file name>:<line>`); its id stays. Raises NotFoundError."""
    imported = load_import(imports_dir, import_id)
    path = Path(imported.rows_path)
    files: Counter[str] = Counter()
    with (
        _replacing(path) as temporary,
        open_stored(path) as stream,
        pyarrow.parquet.ParquetFile(stream) as table,
        create_stored(temporary) as out,
        pyarrow.parquet.ParquetWriter(out, table.schema_arrow, compression="zstd") as writer,
    ):
        for group in range(table.num_row_groups):
            whole = table.read_row_group(group)
            lines = pyarrow.compute.cast(whole["line"], pyarrow.string())
            names = pyarrow.compute.binary_join_element_wise(whole["source_file"], lines, ":")
            kept = whole.filter(pyarrow.compute.invert(_is_in(names, rows)))
            files.update(kept["source_file"].to_pylist())
            if kept.num_rows:
                writer.write_table(kept, row_group_size=kept.num_rows)
    left = imported.model_copy(
        update={
            "total_rows": sum(files.values()),
            "files": [file.model_copy(update={"rows": files[Path(file.path).name]}) for file in imported.files],
        }
    )
    write_json_atomically(path.parent / IMPORT_MANIFEST_FILE, left.model_dump(mode="json"))
    return left


def erase_lines(path: Path, lines: Collection[int]) -> None:
    """The file of JSON lines without those of these numbers, from 0."""
    if lines:
        _rewrite_lines(path, lambda number, _: number not in lines)


def erase_table_rows(path: Path, keep: Sequence[bool]) -> None:
    """The Parquet file with the rows alone that `keep` marks."""
    with open_stored(path) as stream:
        table = pyarrow.parquet.read_table(stream)
    with _replacing(path) as temporary, create_stored(temporary) as out:
        pyarrow.parquet.write_table(table.filter(pyarrow.array(keep, pyarrow.bool_())), out, compression="zstd")


def erase_version_rows(
    name_dir: Path, folder: Path, keys: Collection[str], rows: Collection[str], erasure_id: str
) -> VersionManifest:
    """The version without the rows of these keys, and without what it tells of these rows (`<file name>:<line>`).

    Raises ConflictError while a version of the dataset is being written.
    """
    with collecting(name_dir), changing_references(name_dir):
        manifest = load_manifest(folder)
        store = ObjectStore(name_dir)
        taken: Counter[str] = Counter()
        parts = {
            split.value: [
                _part_without(store, part, path, keys, taken)
                for part, path in zip(manifest.parts[split.value], _links(folder, split), strict=True)
            ]
            for split in SPLIT_FILES
        }
        _rewrite_index(folder / INDEX_FILE, keys)
        for name in (REMOVED_FILE, MASKED_FILE):
            if (folder / name).is_file():
                _rewrite_lines(folder / name, lambda _, line: json.loads(line)["row"] not in rows)
        _without_examples(folder)
        samples = {split: sum(part.rows for part in of_split) for split, of_split in parts.items()}
        left = manifest.model_copy(
            update={
                "parts": parts,
                "samples": samples,
                "total_samples": sum(samples.values()),
                "categories": {
                    category: count - taken[category]
                    for category, count in manifest.categories.items()
                    if count > taken[category]
                },
                "files": {
                    name: sha256_of_stored(folder / name) for name in manifest.files if (folder / name).is_file()
                },
                "erasures": _with_erasure(manifest, manifest.total_samples - sum(samples.values()), erasure_id),
            }
        )
        write_json_atomically(folder / MANIFEST_FILE, left.model_dump(mode="json"))
        if (folder / REPORT_FILE).is_file():
            write_report(folder)
    return left


def _with_erasure(manifest: VersionManifest, rows: int, erasure_id: str) -> list[Erasure]:
    earlier = sum(done.rows for done in manifest.erasures if done.erasure_id == erasure_id)
    return [
        *(done for done in manifest.erasures if done.erasure_id != erasure_id),
        Erasure(erasure_id=erasure_id, erased_at=utc_now(), rows=earlier + rows),
    ]


def _links(folder: Path, split: Split) -> list[Path]:
    return split_files(folder / SPLIT_FILES[split])


def _part_without(store: ObjectStore, part: Part, link: Path, keys: Collection[str], taken: Counter[str]) -> Part:
    with open_stored(store.path(part.sha256)) as stream:
        table = pyarrow.parquet.read_table(stream)
    out = _is_in(table["key"], keys)
    if not pyarrow.compute.any(out).as_py():
        return part
    taken.update(table.filter(out)["category"].to_pylist())
    fresh = write_part(store, table.filter(pyarrow.compute.invert(out)))
    with _replacing(link) as temporary:
        store.link(fresh.sha256, temporary)
    return fresh


def _rewrite_index(path: Path, keys: Collection[str]) -> None:
    with open_stored(path) as stream:
        index = pyarrow.parquet.read_table(stream)
    kept = index.filter(pyarrow.compute.invert(_is_in(index["key"], keys)))
    with _replacing(path) as temporary, create_stored(temporary) as out:
        pyarrow.parquet.write_table(kept.combine_chunks(), out, compression="zstd")


def _rewrite_lines(path: Path, keeps: Callable[[int, str], bool]) -> None:
    with _replacing(path) as temporary, open_stored_text(path) as lines, create_stored_text(temporary) as out:
        for number, line in enumerate(lines):
            if keeps(number, line):
                out.write(line)


def _without_examples(folder: Path) -> None:
    """Examples are texts of rows, and may be of those."""
    told = read_stored_json(folder / STATISTICS_FILE)
    if told is not None:
        write_stored_json(folder / STATISTICS_FILE, without_examples(told))


def _is_in(column: pyarrow.ChunkedArray, values: Collection[str]) -> pyarrow.ChunkedArray:
    return pyarrow.compute.is_in(column, value_set=pyarrow.array(list(values), pyarrow.string()))


class _replacing:
    """A name beside the file; what stands there when the block ends well takes the file's place, durably."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")

    def __enter__(self) -> Path:
        return self._temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            mode = self._path.stat().st_mode
            fsync_path(self._temporary)
            self._temporary.chmod(mode & 0o777)
            self._temporary.replace(self._path)
            fsync_path(self._path.parent)
        else:
            self._temporary.unlink(missing_ok=True)
