"""Where one row of a version came from: file and line, document span, generator and prompt, commits."""

import json
from difflib import get_close_matches
from pathlib import Path

import pyarrow.compute
import pyarrow.parquet

from contracts.datasets import SourceFile
from contracts.enums import Split
from contracts.errors import NotFoundError
from contracts.record import JsonObject, Record
from data_prep.versions.difference import read_rows
from data_prep.versions.history import walk
from data_prep.versions.manifest import SHORT, Recipe, VersionManifest
from data_prep.versions.names import INDEX_FILE, MASKED_FILE
from data_prep.versions.references import commit_folder, load_commit
from storage.stored_files import open_stored, open_stored_text

LINEAGE = "lineage"
"""The field of a generated row's metadata that says how it was made."""


class RowLineage(Record):
    """The past of one row."""

    name: str
    commit: str
    key: str
    row: str
    """`<file name>:<line>` in the import."""
    split: Split
    question: str
    answer: str
    quality_score: float
    source_file: SourceFile | None
    """The imported file of that name; None when several have it, or none."""
    import_id: str
    source: str
    """The source document that the row names."""
    generated: JsonObject | None
    """document, document_sha256, chunk_id, start, end, generator_model, template, prompt_sha256, grounding; None for a
    row that was imported as it is."""
    masked: dict[str, int]
    """Personal data replaced in it, by kind."""
    first_commit: str
    """The oldest commit on the first-parent line since which the row has been there without a gap."""
    last_changed: str
    """The newest commit that changed its content."""
    recipe: Recipe
    """Of the version asked about."""


def trace(name_dir: Path, commit: str, row: str) -> RowLineage:
    """The lineage of the row with this key or `<file name>:<line>`. Raises NotFoundError."""
    manifest = load_commit(name_dir, commit)
    folder = commit_folder(name_dir, commit)
    key, row_id, split = _find(folder, row, f"{manifest.name}@{manifest.short}")
    content = dict(read_rows(name_dir, manifest, {key}))[key]
    messages, metadata = content["messages"], content["metadata"]
    assert isinstance(messages, list)
    assert isinstance(metadata, dict)
    turns = [turn for turn in messages if isinstance(turn, dict)]
    generated = metadata.get(LINEAGE)
    files = [file for file in manifest.sources if Path(file.path).name == row_id.rpartition(":")[0]]
    first, changed = _when(name_dir, manifest, key, content)
    return RowLineage(
        name=manifest.name,
        commit=commit,
        key=key,
        row=row_id,
        split=split,
        question="\n".join(str(turn["content"]) for turn in turns if turn.get("role") == "user"),
        answer=str(turns[-1]["content"]),
        quality_score=float(str(content["quality_score"])),
        source_file=files[0] if len(files) == 1 else None,
        import_id=manifest.request.import_id,
        source=str(metadata.get("source") or ""),
        generated=generated if isinstance(generated, dict) else None,
        masked=_masked(folder / MASKED_FILE, row_id),
        first_commit=first,
        last_changed=changed,
        recipe=manifest.recipe,
    )


def _find(folder: Path, row: str, version: str) -> tuple[str, str, Split]:
    with open_stored(folder / INDEX_FILE) as stream:
        index = pyarrow.parquet.read_table(stream)
    for column in ("key", "row"):
        found = index.filter(pyarrow.compute.equal(index[column], row))
        if found.num_rows:
            value = found.slice(0, 1).to_pylist()[0]
            return value["key"], value["row"], Split(value["split"])
    examples = index.slice(0, 1).to_pylist()
    similar = get_close_matches(row, index["row"].slice(0, 10_000).to_pylist(), n=1)
    raise NotFoundError(
        "The version has no such row",
        value=f"{row} in {version}",
        allowed="a row's key or `<file name>:<line>`"
        + (f", such as {examples[0]['key']} or {examples[0]['row']}" if examples else ""),
        next_step=f"did you mean {similar[0]}?" if similar else "it may have been removed: see removed.jsonl",
    )


def _masked(path: Path, row_id: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    if path.is_file():
        with open_stored_text(path) as stream:
            for line in stream:
                # a cheap look before the JSON is parsed: a million lines a second
                if row_id in line and (item := json.loads(line))["row"] == row_id:
                    counts[item["kind"]] = counts.get(item["kind"], 0) + 1
    return counts


def _when(name_dir: Path, manifest: VersionManifest, key: str, content: JsonObject) -> tuple[str, str]:
    """The commits since which the row is there, and is as it is, along first parents."""
    same = {name: content[name] for name in ("messages", "metadata")}
    first = changed = manifest
    unchanged = True
    known = {commit.commit: commit for commit in walk(name_dir, manifest.commit)}
    while first.parents and (parent := known.get(first.parents[0])) is not None:
        before = dict(read_rows(name_dir, parent, {key})).get(key)
        if before is None:
            break
        first = parent
        unchanged = unchanged and {name: before[name] for name in same} == same
        if unchanged:
            changed = parent
    return first.commit[:SHORT], changed.commit[:SHORT]
