"""A dataset version from an import: chunks cleaned by several processes, then decided and written in source order."""

import fcntl
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy
import pyarrow
from numpy.typing import NDArray
from pydantic import JsonValue

from contracts.contamination import SoughtCase
from contracts.data_policy import DataPolicy
from contracts.datasets import ImportedDataset, PrepareRequest
from contracts.enums import RemovalReason, Split
from contracts.errors import InvalidDataError
from contracts.record import JsonObject
from data_prep.duplicates.finding import Duplicates, find_against, find_duplicates
from data_prep.imports.importing import imported_chunks
from data_prep.masking.report import MaskingExamples, MaskingReport
from data_prep.preparation.cleaning import (
    KEPT_FILE as CHUNK_KEPT_FILE,
)
from data_prep.preparation.cleaning import (
    MASKED_FILE as CHUNK_MASKED_FILE,
)
from data_prep.preparation.cleaning import (
    REMOVED_FILE as CHUNK_REMOVED_FILE,
)
from data_prep.preparation.cleaning import (
    CleanedChunk,
    CleanedRows,
    CleaningPlan,
    chunk_rows,
    load_chunk,
    removed_line,
)
from data_prep.preparation.comparing import fingerprints_of, version_rows
from data_prep.preparation.deciding import Identities, identify
from data_prep.preparation.steps import StepRecord, step, sum_steps
from data_prep.removal import Removal
from data_prep.rows import OnProgress, Row
from data_prep.statistics.clusters import (
    LISTED_CLUSTERS,
    TOLD_CHARACTERS,
    TOLD_ROWS,
    ClusterRow,
    DuplicateClusters,
    ListedCluster,
    sizes_of,
)
from data_prep.statistics.measuring import MEASURED_COLUMNS, Tokenizer, describe, evenly_spaced
from data_prep.statistics.report import REPORT_FILE, write_report
from data_prep.versions.manifest import MAIN, SHORT, Recipe, VersionManifest, code_revision, read_manifest
from data_prep.versions.names import MASKED_FILE, REMOVED_FILE, STATISTICS_FILE
from data_prep.versions.reading import read_sides
from data_prep.versions.references import head
from data_prep.versions.writing import VersionWriter, find_version
from data_prep.workers import default_workers, run_pieces
from storage.files import write_json_atomically
from storage.stored_files import create_stored_text, open_stored_text, write_stored_json

REMOVED_EXAMPLES = 3
"""Of each reason of removal."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a version is prepared from, checked and resolved."""

    imported: ImportedDataset
    request: PrepareRequest
    policy: DataPolicy
    request_key: str
    test_cases: Sequence[SoughtCase] = ()
    test_suites: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by name."""
    other_versions: Sequence[tuple[str, Path]] = ()
    """Name and folder of the versions that the policy names."""
    pseudonym_key: bytes = b""
    tokenizer: Tokenizer | None = None
    workers: int = field(default_factory=default_workers)


def prepare_version(
    preparation: Preparation, name_dir: Path, on_progress: OnProgress | None = None
) -> tuple[Path, VersionManifest]:
    """The version of this request: the one that is there, or a new one.

    Killed and started again, it goes on with the chunks that are missing. Raises InvalidDataError when no row is left;
    then no version is made.
    """
    tell = on_progress or _silent
    work_dir = name_dir / f".{preparation.request_key[:16]}.work"
    with _alone(work_dir):
        present = find_version(name_dir, preparation.request_key)
        if present is None:
            try:
                present = _prepare(preparation, name_dir, work_dir, tell)
            except InvalidDataError:  # the same again would end the same
                shutil.rmtree(work_dir, ignore_errors=True)
                raise
        shutil.rmtree(work_dir, ignore_errors=True)
        folder, _ = present
        if not (folder / REPORT_FILE).exists():
            write_report(folder)
    return present


def _silent(what: str, done: int, total: int) -> None:
    pass


@contextmanager
def _alone(work_dir: Path) -> Iterator[None]:
    """Hold the work folder's lock: a second task with the same request waits, and finds the version."""
    work_dir.parent.mkdir(parents=True, exist_ok=True)
    path = work_dir.with_suffix(".lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _prepare(
    preparation: Preparation, name_dir: Path, work_dir: Path, tell: OnProgress
) -> tuple[Path, VersionManifest]:
    request, imported = preparation.request, preparation.imported
    chunks = _clean(preparation, work_dir, tell)
    rows = CleanedRows(work_dir, [chunk.rows for chunk in chunks])
    duplicates = _find_duplicates(preparation, rows, tell)
    steps = [*sum_steps(chunk.steps for chunk in chunks), *duplicates.steps]
    removed = Counter[str]()
    for chunk in chunks:
        removed.update(chunk.removed)
    removed.update(duplicates.counts())
    if imported.broken_rows:
        removed[RemovalReason.BROKEN_ROW.value] += imported.broken_rows
    kept = duplicates.reasons == 0
    if not kept.any():
        raise InvalidDataError(
            "No row is left after the preparation",
            value=", ".join(f"{reason} {count}" for reason, count in sorted(removed.items())),
            allowed="at least one row",
            next_step="look at the removed rows' reasons; lower min_quality_score or min_answer_characters if they fit",
        )
    identities = identify(rows, kept, request, _previous_sides(name_dir, request))
    with VersionWriter(name_dir, request.branch) as writer:
        written = _write_rows(writer, rows, duplicates, identities, tell)
        told = describe(written.columns, identities.sides, written.sample, preparation.tokenizer)
        told |= {
            "quality_before": _sum_histograms([chunk.quality_before for chunk in chunks]),
            "duplicates": duplicates.describe(rows),
            "masking": written.masking(removed[RemovalReason.PERSONAL_DATA.value]).model_dump(mode="json"),
            "examples": {"removed": {**written.removed_examples}},
        }
        write_stored_json(writer.path(STATISTICS_FILE), told)
        folder, manifest = writer.commit(
            recipe=Recipe(
                operation="prepare",
                request=request.model_dump(mode="json"),
                policy=preparation.policy.model_dump(mode="json"),
                code_revision=code_revision(),
            ),
            request=request,
            request_key=preparation.request_key,
            sources=imported.files,
            test_suites=preparation.test_suites,
            removed=dict(sorted(removed.items())),
            masked=dict(sorted(written.masked.items())),
            steps=steps,
        )
    return folder, manifest


def _previous_sides(name_dir: Path, request: PrepareRequest) -> dict[str, Split] | None:
    """The sides in the version before, where it was cut by the same rule."""
    end = head(name_dir, request.branch) or head(name_dir, MAIN)
    manifest = None if end is None else read_manifest(name_dir / end[:SHORT])
    if manifest is None:
        return None
    rule = {"train_ratio", "val_ratio", "test_ratio", "seed", "split_unit"}
    same = manifest.request.model_dump(include=rule) == request.model_dump(include=rule)
    return read_sides(name_dir / manifest.short) if same else None


@dataclass(slots=True)
class _Written:
    """What was seen while the rows were written."""

    columns: pyarrow.Table
    sample: list[Row]
    masked: Counter[str]
    """Replacements by kind."""
    masked_rows: int
    kept_personal_data: Counter[str]
    masked_examples: MaskingExamples
    removed_examples: dict[str, list[JsonValue]]

    def masking(self, dropped_rows: int) -> MaskingReport:
        """What masking did to the version's rows."""
        return MaskingReport(
            rows=self.columns.num_rows,
            masked_rows=self.masked_rows,
            dropped_rows=dropped_rows,
            replaced=dict(sorted(self.masked.items())),
            kept=dict(sorted(self.kept_personal_data.items())),
            examples=self.masked_examples.by_kind(),
        )


def _write_rows(
    writer: VersionWriter, rows: CleanedRows, found: "_Found", identities: Identities, tell: OnProgress
) -> _Written:
    """The rows that stay, in source order, and beside them what was removed and masked."""
    kept = found.reasons == 0
    chosen = numpy.flatnonzero(kept)[evenly_spaced(int(kept.sum()))]
    columns, sample = [], []
    masked, kept_personal_data, masked_rows = Counter[str](), Counter[str](), 0
    removed_examples: dict[str, list[JsonValue]] = {}
    masked_examples = MaskingExamples()
    done = 0
    with (
        create_stored_text(writer.path(REMOVED_FILE)) as removed_file,
        create_stored_text(writer.path(MASKED_FILE)) as masked_file,
    ):
        for chunk in range(len(rows.files)):
            start, stop = rows.start(chunk), rows.start(chunk + 1)
            whole = rows.table(chunk)
            for line in _removed_lines(rows, chunk, whole, found):
                removed_file.write(json.dumps(line, ensure_ascii=False) + "\n")
                listed = removed_examples.setdefault(str(line["reason"]), [])
                if len(listed) < REMOVED_EXAMPLES and line not in listed:
                    listed.append(line)
            table = whole.filter(pyarrow.array(kept[start:stop]))
            place_of = {name: place for place, name in enumerate(table["row"].to_pylist())}
            kept_items = [json.loads(text) for text in _lines(rows.folder(chunk) / CHUNK_KEPT_FILE)]
            kept_personal_data.update(item["kind"] for item in kept_items if item["row"] in place_of)
            shows_data = {item["row"] for item in kept_items}
            masked_here = set()
            for text in _lines(rows.folder(chunk) / CHUNK_MASKED_FILE):
                item = json.loads(text)
                if item["row"] in place_of:
                    masked[item["kind"]] += 1
                    masked_here.add(item["row"])
                    masked_file.write(text)
                    if masked_examples.wants(item["kind"]) and item["row"] not in shows_data:
                        (row,) = chunk_rows(table.slice(place_of[item["row"]], 1))
                        for message in row.messages:
                            masked_examples.add(item["kind"], message.content)
            masked_rows += len(masked_here)
            here = slice(done, done + table.num_rows)
            writer.add_table(table, identities.sides[here], identities.keys[here])
            done += table.num_rows
            sample += chunk_rows(whole.take(pyarrow.array(chosen[(chosen >= start) & (chosen < stop)] - start)))
            columns.append(table.select(MEASURED_COLUMNS))
            tell("writing the version", stop, len(rows))
    return _Written(
        columns=pyarrow.concat_tables(columns),
        sample=sample,
        masked=masked,
        masked_rows=masked_rows,
        kept_personal_data=kept_personal_data,
        masked_examples=masked_examples,
        removed_examples=removed_examples,
    )


def _clean(preparation: Preparation, work_dir: Path, tell: OnProgress) -> list[CleanedChunk]:
    """Clean every chunk that is not yet."""
    work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan = CleaningPlan(
        work_dir=str(work_dir),
        rows_path=preparation.imported.rows_path,
        request=preparation.request,
        policy=preparation.policy,
        pseudonym_key=preparation.pseudonym_key.hex(),
        test_cases=list(preparation.test_cases),
    )
    plan_path = work_dir / "plan.json"
    write_json_atomically(plan_path, plan.model_dump(mode="json"))
    plan_path.chmod(0o600)
    total = imported_chunks(Path(preparation.imported.rows_path))
    missing = [chunk for chunk in range(total) if load_chunk(work_dir, chunk) is None]
    rows, done = preparation.imported.total_rows, total - len(missing)
    tell("cleaning and masking", rows * done // max(total, 1), rows)
    for _ in run_pieces("data_prep.preparation.cleaning", "open_cleaning", plan_path, missing, preparation.workers):
        done += 1
        tell("cleaning and masking", rows * done // total, rows)
    found = [load_chunk(work_dir, chunk) for chunk in range(total)]
    return [chunk for chunk in found if chunk is not None]


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found among all rows, by their numbers."""

    reasons: NDArray[numpy.uint8]
    """0: stays; else one more than the index in _REASONS."""
    kept_by: NDArray[numpy.int64]
    similarity: NDArray[numpy.float32]
    scores: NDArray[numpy.float32]
    row_ids: pyarrow.ChunkedArray
    other_versions: Sequence[str]
    other: NDArray[numpy.int64]
    """Index in other_versions."""
    steps: list[StepRecord]

    def counts(self) -> dict[str, int]:
        """Rows by RemovalReason."""
        numbers = numpy.bincount(self.reasons, minlength=len(_REASONS) + 1)
        return {reason.value: int(numbers[index]) for index, reason in enumerate(_REASONS, 1) if numbers[index]}

    def removal(self, number: int) -> Removal | None:
        """Why a row does not stay."""
        code = int(self.reasons[number])
        if code == 0:
            return None
        reason = _REASONS[code - 1]
        if reason is RemovalReason.OTHER_VERSION:
            return Removal(reason, f"in {self.other_versions[int(self.other[number])]}")
        kept = self.row_ids[int(self.kept_by[number])].as_py()
        if reason is RemovalReason.EXACT_DUPLICATE:
            return Removal(reason, f"same as {kept}")
        return Removal(reason, f"nearly the same as {kept} ({float(self.similarity[number]):.2f})")

    def describe(self, rows: CleanedRows) -> JsonObject:
        """The clusters, for the statistics."""
        copies = numpy.flatnonzero((self.reasons == 1) | (self.reasons == 2))
        kept, members = numpy.unique(self.kept_by[copies], return_counts=True)
        order = numpy.lexsort((kept, -members))[:LISTED_CLUSTERS]
        told = DuplicateClusters(
            clusters=len(kept),
            rows_removed=len(copies),
            rows_compared=len(rows),
            sizes=sizes_of(members + 1),
            largest=[
                self._listed(kept_row, copies[self.kept_by[copies] == kept_row], rows)
                for kept_row in kept[order].tolist()
            ],
        )
        return told.model_dump(mode="json")

    def _listed(self, kept: int, copies: NDArray[numpy.int64], rows: CleanedRows) -> ListedCluster:
        told = [kept, *copies[: TOLD_ROWS - 1].tolist()]
        return ListedCluster(
            kept=self.row_ids[kept].as_py(),
            rows=len(copies) + 1,
            kept_for="quality_best" if self.scores[kept] > self.scores[copies].max() else "source_order",
            similarity=round(float(self.similarity[copies].min()), 4),
            removed=[self.row_ids[number].as_py() for number in copies[:LISTED_CLUSTERS].tolist()],
            texts=[
                ClusterRow(
                    row=self.row_ids[number].as_py(),
                    question=_beginning(row.question),
                    answer=_beginning(row.answer),
                    similarity=1.0 if number == kept else round(float(self.similarity[number]), 4),
                )
                for number, row in zip(told, rows.rows_at(told), strict=True)
            ],
        )


def _beginning(text: str) -> str:
    return text if len(text) <= TOLD_CHARACTERS else text[:TOLD_CHARACTERS] + "…"


_REASONS = (RemovalReason.EXACT_DUPLICATE, RemovalReason.NEAR_DUPLICATE, RemovalReason.OTHER_VERSION)


def _find_duplicates(preparation: Preparation, rows: CleanedRows, tell: OnProgress) -> _Found:
    policy, threshold = preparation.policy.duplicates, preparation.request.near_duplicate_threshold
    fingerprints = rows.fingerprints()
    table = rows.columns(["row", "quality_score"])
    scores = table["quality_score"].to_numpy().astype(numpy.float32)
    found: Duplicates = find_duplicates(
        fingerprints, scores, rows.rows_at, policy, threshold=threshold, on_progress=tell
    )
    reasons = numpy.asarray(found.reason, dtype=numpy.uint8).copy()
    other = numpy.full(len(rows), -1, dtype=numpy.int64)
    for index, (_, folder) in enumerate(preparation.other_versions):
        theirs = version_rows(folder)
        matches = find_against(
            fingerprints,
            fingerprints_of(theirs, policy),
            rows.rows_at,
            theirs.rows_at,
            policy,
            threshold=threshold,
            on_progress=tell,
        )
        fresh = (matches.other >= 0) & (reasons == 0)
        reasons[fresh], other[fresh] = 3, index
    exact, near, elsewhere = (int((reasons == code).sum()) for code in (1, 2, 3))
    steps = [
        step("exact_duplicates", len(rows), [RemovalReason.EXACT_DUPLICATE] * exact),
        step("near_duplicates", len(rows) - exact, [RemovalReason.NEAR_DUPLICATE] * near),
    ]
    if preparation.other_versions:
        steps.append(step("other_versions", len(rows) - exact - near, [RemovalReason.OTHER_VERSION] * elsewhere))
    return _Found(
        reasons,
        numpy.asarray(found.kept_by),
        numpy.asarray(found.similarity),
        scores,
        table["row"],
        [name for name, _ in preparation.other_versions],
        other,
        steps,
    )


def _removed_lines(rows: CleanedRows, chunk: int, table: pyarrow.Table, found: _Found) -> list[JsonObject]:
    """Everything of the chunk that was taken out, in source order: so it is the same however the rows were cut."""
    lines: list[JsonObject] = [json.loads(text) for text in _lines(rows.folder(chunk) / CHUNK_REMOVED_FILE)]
    start = rows.start(chunk)
    places = numpy.flatnonzero(found.reasons[start : start + table.num_rows])
    taken = table.take(pyarrow.array(places))
    for place, number, row in zip(places.tolist(), taken["number"].to_pylist(), chunk_rows(taken), strict=True):
        verdict = found.removal(start + place)
        assert verdict is not None
        lines.append({"number": number, **removed_line(row, verdict)})
    lines.sort(key=lambda line: int(str(line["number"])))
    for line in lines:
        del line["number"]
    return lines


def _lines(path: Path) -> Iterator[str]:
    with open_stored_text(path) as stream:
        yield from stream


def _sum_histograms(histograms: Sequence[JsonObject]) -> JsonObject:
    present = [one for one in histograms if one["counts"]]
    if not present:
        return {"edges": [], "counts": []}
    counts = numpy.sum(numpy.array([one["counts"] for one in present], dtype=numpy.int64), axis=0)
    return {"edges": present[0]["edges"], "counts": [int(count) for count in counts]}
