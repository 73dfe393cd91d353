"""Which stored rows tell of a person. Rows are read where they lie; no index of people is kept that could be stolen."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from contracts.enums import Split
from data_prep.versions.history import walk
from data_prep.versions.names import INDEX_FILE, MASKED_FILE, REMOVED_FILE
from data_prep.versions.reading import read_split_batches
from storage.stored_files import open_stored, open_stored_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from contracts.datasets import ImportedDataset
    from data_prep.subjects.identifiers import Identifier
    from data_prep.versions.manifest import VersionManifest

_NOTHING, SHARED, CERTAIN = 0, 1, 2
"""How surely a row is about the person: something that others may have too, or something of theirs alone."""


@dataclass(frozen=True)
class Subject:
    """A person, by what they are known by."""

    identifiers: Sequence[Identifier]

    def certainty(self, columns: Sequence[pyarrow.ChunkedArray | pyarrow.Array]) -> NDArray[numpy.int8]:
        """Of each row of these text columns: CERTAIN, SHARED or 0."""
        return _certainty(columns, self._certain, self._shared)

    def certainty_of(self, *texts: str | None) -> int:
        """Of one row of these texts."""
        return int(self.certainty([pyarrow.array([text or ""], pyarrow.string()) for text in texts]).max())

    def pseudonyms(self, key: bytes) -> Pseudonyms:
        """The person as a dataset whose values were replaced under that key knows them."""
        return Pseudonyms(
            [identifier.pseudonym(key) for identifier in self.identifiers if not identifier.is_shared],
            [identifier.pseudonym(key) for identifier in self.identifiers if identifier.is_shared],
        )

    @cached_property
    def _certain(self) -> str:
        return _either(identifier.pattern for identifier in self.identifiers if not identifier.is_shared)

    @cached_property
    def _shared(self) -> str:
        return _either(identifier.pattern for identifier in self.identifiers if identifier.is_shared)


@dataclass(frozen=True)
class Pseudonyms:
    """A person, by what stands in their values' place."""

    certain: list[str]
    shared: list[str]

    def certainty(self, columns: Sequence[pyarrow.ChunkedArray | pyarrow.Array]) -> NDArray[numpy.int8]:
        """As Subject's."""
        return _certainty(columns, _either(map(_literal, self.certain)), _either(map(_literal, self.shared)))


@dataclass(slots=True)
class FoundInVersion:
    """What a version holds of a person."""

    keys: dict[str, int] = field(default_factory=dict)
    """Certainty by the key of a row that the version has."""
    sides: dict[str, Split] = field(default_factory=dict)
    """Side by key."""
    told: dict[str, int] = field(default_factory=dict)
    """Certainty by the row (`<file name>:<line>`) that it tells of: rows that it has, removed or masked."""


def find_in_import(imported: ImportedDataset, subject: Subject) -> dict[str, int]:
    """Certainty by row, `<file name>:<line>`."""
    found: dict[str, int] = {}
    with open_stored(Path(imported.rows_path)) as stream, pyarrow.parquet.ParquetFile(stream) as table:
        for batch in table.iter_batches(batch_size=10_000, columns=["messages", "metadata", "source_file", "line"]):
            certainty = subject.certainty([batch["messages"], batch["metadata"]])
            for place in numpy.flatnonzero(certainty).tolist():
                found[f"{batch['source_file'][place].as_py()}:{batch['line'][place].as_py()}"] = int(certainty[place])
    return found


def find_in_lines(path: Path, subject: Subject) -> dict[int, int]:
    """Certainty by the number of the line, from 0, of a file of JSON lines; none where there is no such file."""
    if not path.is_file():
        return {}
    with open_stored_text(path) as stream:
        lines = [_readable(line) for line in stream]
    certainty = subject.certainty([pyarrow.array(lines, pyarrow.large_string())])
    return {place: int(certainty[place]) for place in numpy.flatnonzero(certainty).tolist()}


def find_in_table(path: Path, subject: Subject) -> NDArray[numpy.int8]:
    """Certainty of each row of a Parquet file, by all its columns of text."""
    with open_stored(path) as stream:
        table = pyarrow.parquet.read_table(stream)
    return subject.certainty([column for column in table.columns if pyarrow.types.is_string(column.type)])


def find_in_version(
    name_dir: Path,
    folder: Path,
    manifest: VersionManifest,
    subject: Subject,
    *,
    pseudonym_key: bytes,
    imported: Mapping[str, Mapping[str, int]],
) -> FoundInVersion:
    """Rows that show the person, under a pseudonym too, and rows whose imported row did before it was masked.

    `imported`: what `find_in_import` found, by import.
    """
    found = FoundInVersion()
    origins: dict[str, int] = {}
    for commit in walk(name_dir, manifest.commit):
        for row, certainty in imported.get(commit.request.import_id, {}).items():
            origins[row] = max(certainty, origins.get(row, _NOTHING))
    replaced = subject.pseudonyms(pseudonym_key)
    for split in Split:
        for batch in read_split_batches(folder, split, ["key", "messages", "metadata"]):
            columns = [batch["messages"], batch["metadata"]]
            shown = numpy.maximum(subject.certainty(columns), replaced.certainty(columns))
            for place in numpy.flatnonzero(shown).tolist():
                found.keys[batch["key"][place].as_py()] = int(shown[place])
                found.sides[batch["key"][place].as_py()] = split
    for key, row, split in _rows_of(folder, origins, found.keys):
        certainty_of_row = max(origins.get(row, _NOTHING), found.keys.get(key, _NOTHING))
        found.keys[key] = found.told[row] = certainty_of_row
        found.sides[key] = split
    for name in (REMOVED_FILE, MASKED_FILE):
        rows, texts = _told_rows(folder / name)
        for row, of_text in zip(rows, subject.certainty([texts]).tolist(), strict=True):
            if certainty_of_row := max(origins.get(row, _NOTHING), of_text):
                found.told[row] = max(certainty_of_row, found.told.get(row, _NOTHING))
    return found


def _rows_of(folder: Path, origins: Mapping[str, int], keys: Collection[str]) -> Iterator[tuple[str, str, Split]]:
    with open_stored(folder / INDEX_FILE) as stream:
        index = pyarrow.parquet.read_table(stream)
    wanted = pyarrow.compute.or_(
        pyarrow.compute.is_in(index["row"], value_set=pyarrow.array(list(origins), pyarrow.string())),
        pyarrow.compute.is_in(index["key"], value_set=pyarrow.array(list(keys), pyarrow.string())),
    )
    for item in index.filter(wanted).to_pylist():
        yield item["key"], item["row"], Split(item["split"])


def _told_rows(path: Path) -> tuple[list[str], pyarrow.Array]:
    """Rows named by the lines of the file, and the text that each line shows of a removed row."""
    rows, texts = [], []
    if path.is_file():
        with open_stored_text(path) as stream:
            for line in stream:
                item = json.loads(line)
                rows.append(item["row"])
                texts.append(item.get("question", ""))
    return rows, pyarrow.array(texts, pyarrow.large_string())


def _certainty(
    columns: Sequence[pyarrow.ChunkedArray | pyarrow.Array], certain: str, shared: str
) -> NDArray[numpy.int8]:
    found = numpy.zeros(len(columns[0]), dtype=numpy.int8)
    for pattern, certainty in ((shared, SHARED), (certain, CERTAIN)):
        if not pattern:
            continue
        for column in columns:
            matched = pyarrow.compute.fill_null(pyarrow.compute.match_substring_regex(column, pattern), False)
            found[matched.to_numpy(zero_copy_only=False).astype(bool)] = certainty
    return found


def _either(patterns: Iterator[str]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def _literal(text: str) -> str:
    return "".join(f"\\{character}" if character in "[]-" else character for character in text)


def _readable(line: str) -> str:
    """The line with its characters as they are, where it was written with escapes."""
    if "\\u" not in line:
        return line
    try:
        return json.dumps(json.loads(line), ensure_ascii=False)
    except ValueError:
        return line
