"""Looking through the rows of a version: which match, and a page of them.

Columns that say nothing about the question are not read: a million rows are looked through by their scores in about a second,
and a page's texts come from the few parts that hold them. Only a search in the texts reads them all.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy
import pyarrow
import pyarrow.compute
import pyarrow.parquet
from numpy.typing import NDArray

from contracts.dataset_rows import (
    LOW_QUALITY_BELOW,
    TOXIC_FROM,
    FoundRow,
    FoundRows,
    RowFilter,
    RowFlag,
    RowOrder,
)
from contracts.enums import Split
from data_prep.rows import messages_from_json
from data_prep.versions.names import SPLIT_FILES
from storage.split_files import split_files
from storage.stored_files import open_stored

_SHOWN_COLUMNS = ["messages", "category", "source", "quality_score", "toxicity", "key", "parts"]


@dataclass(frozen=True, slots=True)
class _Place:
    """A file of the version, and where its rows begin among those that match."""

    split: Split
    path: Path
    rows: NDArray[numpy.int64]
    """Numbers of the matching rows in the file."""
    ranks: NDArray[numpy.float64]
    """What orders them; empty in stored order."""


def find_rows(folder: Path, wanted: RowFilter, *, first: int, rows: int) -> FoundRows:
    """The matching rows' number, and `rows` of them from the `first` on."""
    places = [
        _matching(split, path, wanted) for split in _splits(wanted) for path in split_files(folder / SPLIT_FILES[split])
    ]
    counts = numpy.array([len(place.rows) for place in places], dtype=numpy.int64)
    matching = int(counts.sum())
    if wanted.order is RowOrder.STORED:
        chosen = numpy.arange(first, min(first + rows, matching), dtype=numpy.int64)
    else:
        # equal ones in stored order, so that no page repeats a row of another
        ranks = numpy.concatenate([numpy.empty(0), *(place.ranks for place in places)])
        chosen = numpy.argsort(ranks, kind="stable")[first : first + rows]
    starts = numpy.concatenate([[0], numpy.cumsum(counts)])
    found: dict[int, FoundRow] = {}
    for number in numpy.unique(numpy.searchsorted(starts, chosen, side="right") - 1):
        place = places[int(number)]
        here = chosen[(chosen >= starts[number]) & (chosen < starts[number + 1])]
        table = _read(place.path, _SHOWN_COLUMNS).take(pyarrow.array(place.rows[here - starts[number]]))
        found |= dict(zip(here.tolist(), (_shown(value, place.split) for value in table.to_pylist()), strict=True))
    return FoundRows(matching=matching, rows=[found[number] for number in chosen.tolist()])


def _splits(wanted: RowFilter) -> list[Split]:
    return list(Split) if wanted.split is None else [wanted.split]


def _matching(split: Split, path: Path, wanted: RowFilter) -> _Place:
    names = {RowOrder.MOST_TOXIC: "toxicity", RowOrder.LOWEST_QUALITY: "quality_score"}
    flags = {RowFlag.TOXIC: "toxicity", RowFlag.LOW_QUALITY: "quality_score"}
    ordered_by = names.get(wanted.order)
    columns = {name for name in (ordered_by, flags.get(wanted.flag) if wanted.flag else None) if name}
    columns |= {name for name, value in (("category", wanted.category), ("source", wanted.source)) if value is not None}
    columns |= {"messages"} if wanted.text else set()
    if not columns:
        with open_stored(path) as stream:
            return _Place(split, path, numpy.arange(pyarrow.parquet.read_metadata(stream).num_rows), numpy.empty(0))
    table = _read(path, sorted(columns))
    kept = numpy.ones(table.num_rows, dtype=bool)
    if wanted.flag is RowFlag.TOXIC:
        kept &= table["toxicity"].to_numpy() >= TOXIC_FROM
    elif wanted.flag is RowFlag.LOW_QUALITY:
        kept &= table["quality_score"].to_numpy() < LOW_QUALITY_BELOW
    for name, value in (("category", wanted.category), ("source", wanted.source)):
        if value is not None:
            kept &= pyarrow.compute.equal(table[name], value).to_numpy(zero_copy_only=False)
    if wanted.text:
        kept = _holding(wanted.text, table["messages"], kept)
    rows = numpy.flatnonzero(kept)
    ranks = numpy.empty(0) if ordered_by is None else table[ordered_by].to_numpy()[rows]
    return _Place(split, path, rows, -ranks if wanted.order is RowOrder.MOST_TOXIC else ranks)


def _holding(text: str, messages: pyarrow.ChunkedArray, kept: NDArray[numpy.bool_]) -> NDArray[numpy.bool_]:
    """Of the kept rows those with the text in a turn. The column is JSON: the text stands in it as JSON writes it."""
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    found: NDArray[numpy.bool_] = (
        pyarrow.compute.match_substring(messages, written, ignore_case=True).to_numpy(zero_copy_only=False) & kept
    )
    rows = numpy.flatnonzero(found)
    # not in a role's name, nor in what else a turn has; the slower pattern for the few that are left
    within = r'"content": "(?:[^"\\]|\\.)*' + re.escape(written)
    is_said = pyarrow.compute.match_substring_regex(messages.take(pyarrow.array(rows)), within, ignore_case=True)
    found[rows] = is_said.to_numpy(zero_copy_only=False)
    return found


def _read(path: Path, columns: list[str]) -> pyarrow.Table:
    with open_stored(path) as stream:
        return pyarrow.parquet.read_table(stream, columns=columns).combine_chunks()


def _shown(value: dict[str, object], split: Split) -> FoundRow:
    return FoundRow(
        key=str(value["key"]),
        split=split,
        category=str(value["category"]),
        source=str(value["source"] or ""),
        turns=[{"role": turn.role, "content": turn.content} for turn in messages_from_json(str(value["messages"]))],
        quality_score=float(str(value["quality_score"])),
        parts=json.loads(str(value.get("parts") or "{}")),
        toxicity=float(str(value["toxicity"] or 0)),
    )
