"""Tokenised rows, kept by everything that shaped them, so that a resumed or repeated run need not tokenise again.

The key is a digest of the split's bytes, the tokenizer as it is (its vocabulary, merges and added tokens), the template,
the maximum length, the code that tokenises, and the versions of the libraries it uses. Packing comes after the cache and
is no part of it. An entry is a folder, written under another name and renamed: two writers, or a kill, leave one whole
entry or none. A damaged entry is made anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import DamagedFileError, KeyUnavailableError
from storage.files import folder_written_whole, read_json, sha256_of_file, write_json_atomically
from storage.split_files import sha256_of_split
from storage.stored_files import create_stored, open_stored, sha256_of_stored
from training import conversations as tokenising
from training.conversations import TokenizedRows, tokenize_rows

if TYPE_CHECKING:
    from training.conversations import Message

KEPT_ENTRIES = 20
"""The entries used last."""
ABANDONED_SECONDS = 24 * 3600.0
"""A folder that is being written is younger."""
ROWS, MANIFEST = "rows.arrow", "manifest.json"

log = logging.getLogger("training")


def cached_rows(
    split: Path,
    conversations: list[list[Message]],
    tokenizer: Any,
    template: str,
    max_length_tokens: int,
    cache_dir: Path | None,
) -> TokenizedRows:
    """What `tokenize_rows` gives, from the cache where it has it."""
    if cache_dir is None:
        return tokenize_rows(tokenizer, template, conversations, max_length_tokens)
    shaped_by = what_shapes(split, tokenizer, template, max_length_tokens)
    key = hashlib.sha256(json.dumps(shaped_by, sort_keys=True).encode()).hexdigest()
    entry = cache_dir / "tokenized" / key
    rows = _read(entry)
    if rows is None:
        shutil.rmtree(entry, ignore_errors=True)
        rows = tokenize_rows(tokenizer, template, conversations, max_length_tokens)
        _write(entry, rows, shaped_by)
        _remove_old(entry.parent)
    else:
        log.info("took %d tokenised rows of %s from the cache", len(rows.input_ids), split.stem)
        os.utime(entry)
    return rows


def what_shapes(split: Path, tokenizer: Any, template: str, max_length_tokens: int) -> dict[str, str | int]:
    """Everything that decides what the rows become."""
    return {
        "split": sha256_of_split(split),
        "tokenizer": hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        "template": hashlib.sha256(template.encode()).hexdigest(),
        "max_length_tokens": max_length_tokens,
        "code": sha256_of_file(Path(tokenising.__file__)),
        **{name: metadata.version(name) for name in ("tokenizers", "transformers", "jinja2")},
    }


def _read(entry: Path) -> TokenizedRows | None:
    import pyarrow as pa

    try:
        manifest = read_json(entry / MANIFEST)
        if manifest is None or sha256_of_stored(entry / ROWS) != manifest["sha256"]:
            return None
        with open_stored(entry / ROWS) as source:
            table = pa.ipc.open_file(source).read_all()
        columns = table.to_pydict()
    except (OSError, ValueError, KeyError, DamagedFileError, KeyUnavailableError):
        return None
    return TokenizedRows(
        columns["input_ids"], columns["labels"], int(str(manifest["cut"])), int(str(manifest["dropped"]))
    )


def _write(entry: Path, rows: TokenizedRows, shaped_by: dict[str, str | int]) -> None:
    import pyarrow as pa

    kind = pa.list_(pa.int32())
    table = pa.table({"input_ids": pa.array(rows.input_ids, kind), "labels": pa.array(rows.labels, kind)})
    try:
        with folder_written_whole(entry) as folder:
            with create_stored(folder / ROWS) as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
            write_json_atomically(
                folder / MANIFEST,
                {**shaped_by, "cut": rows.cut, "dropped": rows.dropped, "sha256": sha256_of_stored(folder / ROWS)},
            )
    except OSError as error:  # a full disk: the run does not need the cache
        log.warning("the tokenised rows are not kept: %s", error)


def _remove_old(folder: Path) -> None:
    """All but the entries used last, and what a kill left half written."""
    entries = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=_used_at, reverse=True)
    abandoned = [path for path in folder.glob(".*.tmp") if time.time() - _used_at(path) > ABANDONED_SECONDS]
    for path in [*entries[KEPT_ENTRIES:], *abandoned]:
        shutil.rmtree(path, ignore_errors=True)


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
