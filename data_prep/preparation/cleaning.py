"""One chunk of an import, cleaned: what stays, what was taken out and why, and what comparing it needs."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet

from contracts.contamination import SoughtCase
from contracts.data_policy import DataPolicy
from contracts.datasets import PrepareRequest
from contracts.enums import RemovalReason
from contracts.record import JsonObject, Record
from data_prep.contamination.overlaps import CaseIndex
from data_prep.duplicates.fingerprints import Fingerprints, fingerprint_rows
from data_prep.imports.importing import read_imported_chunk
from data_prep.masking.masker import MaskedTexts, Masker
from data_prep.normalisation import normalise_rows, question_key
from data_prep.preparation.steps import StepRecord, step
from data_prep.quality.judging import QualityJudge, RowQuality
from data_prep.removal import Removal
from data_prep.rows import Row, messages_as_json, messages_from_json, texts_of, with_texts, written_texts
from data_prep.statistics.measuring import histogram
from data_prep.stored_rows import StoredRows
from data_prep.workers import Task
from storage.files import folder_written_whole, read_json, write_json_atomically
from storage.stored_files import create_stored, create_stored_text

ROWS_FILE, REMOVED_FILE, MASKED_FILE, KEPT_FILE = "rows.parquet", "removed.jsonl", "masked.jsonl", "kept.jsonl"
FINGERPRINTS_FILE, DONE_FILE = "fingerprints.npy", "done.json"
CHUNK_SCHEMA = pyarrow.schema(
    [
        ("number", pyarrow.int32()),
        ("messages", pyarrow.string()),
        ("metadata", pyarrow.string()),
        ("category", pyarrow.string()),
        ("source", pyarrow.string()),
        ("row", pyarrow.string()),
        ("key", pyarrow.string()),
        ("question_key", pyarrow.uint64()),
        ("quality_score", pyarrow.float32()),
        ("toxicity", pyarrow.float32()),
        ("parts", pyarrow.string()),
        ("question_characters", pyarrow.int32()),
        ("answer_characters", pyarrow.int32()),
        ("turns", pyarrow.int32()),
    ]
)
QUESTION_CHARACTERS = 100
"""Of the masked question, so that a person recognises a removed row."""


class CleaningPlan(Record):
    """What every worker needs to know."""

    work_dir: str
    rows_path: str
    request: PrepareRequest
    policy: DataPolicy
    pseudonym_key: str = ""
    """Hexadecimal; the plan is readable by its owner only."""
    test_cases: list[SoughtCase]
    """Comparable text of a question -> name of its case."""


class CleanedChunk(Record):
    """What one chunk gave, without its rows."""

    rows: int
    steps: list[StepRecord]
    removed: dict[str, int]
    masked: dict[str, int]
    """Replacements in the rows that stayed, by kind."""
    quality_before: JsonObject
    """Histogram of the quality scores of all rows, before any was taken out."""


def chunk_dir(work_dir: Path, chunk: int) -> Path:
    """Where a chunk's files are."""
    return work_dir / f"chunk-{chunk:05d}"


def open_cleaning(plan_path: Path) -> Task:
    """The work of one process; see data_prep.workers."""
    plan = CleaningPlan.model_validate_json(plan_path.read_text(encoding="utf-8"))
    cleaner = _Cleaner(plan)

    def clean(chunk: int) -> JsonObject:
        return cleaner.clean(chunk).model_dump(mode="json")

    return clean


def load_chunk(work_dir: Path, chunk: int) -> CleanedChunk | None:
    """What the chunk gave; None when it is not done."""
    done = read_json(chunk_dir(work_dir, chunk) / DONE_FILE)
    return None if done is None else CleanedChunk.model_validate(done)


class _Cleaner:
    def __init__(self, plan: CleaningPlan) -> None:
        self._plan = plan
        request, policy = plan.request, plan.policy
        self._judge = QualityJudge(policy.quality, request.min_quality_score, request.min_answer_characters)
        self._test_cases = CaseIndex(plan.test_cases)
        self._masker = Masker(policy.masking, bytes.fromhex(plan.pseudonym_key))

    def clean(self, chunk: int) -> CleanedChunk:
        """Clean the chunk and write its files; the same again returns at once."""
        work_dir = Path(self._plan.work_dir)
        present = load_chunk(work_dir, chunk)
        if present is not None:
            return present
        work = _Work()
        rows = read_imported_chunk(Path(self._plan.rows_path), chunk)
        normalised = normalise_rows(rows)
        work.note("normalise", len(rows), changed=sum(a is not b for a, b in zip(rows, normalised, strict=True)))

        qualities = self._judge.judge(normalised)
        flaws = [quality.removal for quality in qualities]
        masked = self._masker.mask_rows([written_texts(row) for row in normalised])
        clean = [
            with_texts(row, one.texts) if any(one.found) else row for row, one in zip(normalised, masked, strict=True)
        ]
        stays = work.remove("quality", clean, range(len(clean)), flaws)
        dropped = [None if one.drop is None else Removal(RemovalReason.PERSONAL_DATA, one.drop.value) for one in masked]
        changed = sum(any(masked[index].found) for index in stays)
        stays = work.remove("mask_personal_data", clean, stays, dropped, changed=changed)
        stays = work.remove("leakage", clean, stays, self._test_cases.check(clean))

        with folder_written_whole(chunk_dir(work_dir, chunk)) as folder:
            kept = [clean[index] for index in stays]
            _write_rows(folder / ROWS_FILE, stays, kept, [qualities[index] for index in stays])
            fingerprint_rows(kept, self._plan.policy.duplicates).save(folder / FINGERPRINTS_FILE)
            items = [item for index in stays for item in _masked_items(normalised[index], masked[index])]
            _write_lines(folder / MASKED_FILE, items)
            _write_lines(
                folder / KEPT_FILE,
                [
                    {"row": clean[index].row_id, "kind": datum.kind.value}
                    for index in stays
                    for datum in masked[index].kept
                ],
            )
            _write_lines(folder / REMOVED_FILE, work.removed_lines)
            record = CleanedChunk(
                rows=len(kept),
                steps=work.steps,
                removed=_count(str(line["reason"]) for line in work.removed_lines),
                masked=_count(str(item["kind"]) for item in items),
                quality_before=histogram(numpy.array([quality.score for quality in qualities]), 0, 1),
            )
            write_json_atomically(folder / DONE_FILE, record.model_dump(mode="json"))
        return record


class _Work:
    """What was taken out so far."""

    def __init__(self) -> None:
        self.steps: list[StepRecord] = []
        self.removed_lines: list[JsonObject] = []

    def note(self, name: str, rows: int, changed: int) -> None:
        self.steps.append(step(name, rows, changed=changed))

    def remove(
        self,
        name: str,
        rows: Sequence[Row],
        present: Sequence[int],
        verdicts: Sequence[Removal | None],
        changed: int = 0,
    ) -> list[int]:
        """The indexes that stay."""
        reasons, stays = [], []
        for index in present:
            verdict = verdicts[index]
            if verdict is None:
                stays.append(index)
                continue
            reasons.append(verdict.reason)
            self.removed_lines.append({"number": index, **removed_line(rows[index], verdict)})
        self.steps.append(step(name, len(present), reasons, changed))
        return stays


def removed_line(row: Row, verdict: Removal) -> JsonObject:
    """A line of removed.jsonl. The row must be masked."""
    question = row.question
    if len(question) > QUESTION_CHARACTERS:
        question = question[:QUESTION_CHARACTERS] + "…"
    return {
        "row": row.row_id,
        "key": row.key,
        "reason": verdict.reason.value,
        "detail": verdict.detail,
        "question": question,
    }


def _masked_items(row: Row, masked: MaskedTexts) -> list[JsonObject]:
    if not any(masked.found):
        return []
    places = [place for place, _ in texts_of(row)]
    return [
        {"row": row.row_id, "kind": datum.kind.value, "where": place}
        for place, found in zip(places, masked.found, strict=True)
        for datum in found
    ]


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


_sorted_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


def _write_rows(path: Path, numbers: Sequence[int], rows: Sequence[Row], qualities: Sequence[RowQuality]) -> None:
    columns = {
        "number": numbers,
        "messages": [messages_as_json(row.messages) for row in rows],
        "metadata": [_sorted_json(row.metadata) for row in rows],
        "category": [row.category for row in rows],
        "source": [row.source for row in rows],
        "row": [row.row_id for row in rows],
        "key": [row.key for row in rows],
        "question_key": [question_key(row.question) for row in rows],
        "quality_score": [quality.score for quality in qualities],
        "toxicity": [quality.toxicity for quality in qualities],
        "parts": [_sorted_json(quality.parts) for quality in qualities],
        "question_characters": [len(row.question) for row in rows],
        "answer_characters": [len(row.answer) for row in rows],
        "turns": [len(row.messages) for row in rows],
    }
    with create_stored(path) as stream:
        pyarrow.parquet.write_table(pyarrow.Table.from_pydict(columns, schema=CHUNK_SCHEMA), stream, compression="zstd")


def _write_lines(path: Path, lines: Sequence[JsonObject]) -> None:
    with create_stored_text(path) as stream:
        for line in lines:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")


class CleanedRows(StoredRows):
    """The rows of all chunks by their number in source order."""

    def __init__(self, work_dir: Path, counts: Sequence[int]) -> None:
        super().__init__([chunk_dir(work_dir, chunk) / ROWS_FILE for chunk in range(len(counts))], counts)

    def folder(self, chunk: int) -> Path:
        """The chunk's files."""
        return self.files[chunk].parent

    def fingerprints(self) -> list[Fingerprints]:
        """Those of each chunk, mapped from their files."""
        return [Fingerprints.load(path.with_name(FINGERPRINTS_FILE)) for path in self.files]


def chunk_rows(table: pyarrow.Table) -> list[Row]:
    """The rows of a chunk's table."""
    return [
        Row(value["row"], messages_from_json(value["messages"]), json.loads(value["metadata"]), value["key"])
        for value in table.select(["row", "messages", "metadata", "key"]).to_pylist()
    ]
