"""A dataset version's training rows against the cases of a suite."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from contracts.contamination import CaseOverlap, ContaminationReport, ContaminationSettings, SoughtCase
from contracts.datasets import DatasetVersion
from contracts.enums import OverlapKind, Split
from data_prep.contamination.overlaps import CaseIndex, Overlap
from data_prep.rows import OnProgress, Row
from data_prep.versions.reading import read_version_rows

TRAINED_SPLITS = (Split.TRAIN, Split.VALIDATION)
"""Validation rows choose the checkpoint: the model has seen them too."""
ROWS_AT_A_TIME = 4_000
MAX_OVERLAPS_A_CASE = 20
MAX_OVERLAPS = 2_000
MAX_TEXT_CHARACTERS = 300


def check_version_contamination(
    version: DatasetVersion,
    cases: Sequence[SoughtCase],
    *,
    suite_name: str,
    suite_sha256: str,
    settings: ContaminationSettings,
    on_progress: OnProgress | None = None,
) -> ContaminationReport:
    """Every case that a training or validation row holds; the report's id is 0 until it is stored."""
    started = time.monotonic()
    folder = Path(version.file_path)
    index = CaseIndex(cases, settings)
    cases_of: dict[str, list[int]] = {}
    for number, case in enumerate(cases):
        if case.source_document:
            cases_of.setdefault(_document(case.source_document), []).append(number)
    total = version.train_samples + version.val_samples
    plainest: dict[int, OverlapKind] = {}
    listed: Counter[int] = Counter()
    overlaps: list[CaseOverlap] = []
    same_document: set[int] = set()
    rows_read = found = 0
    kinds = list(OverlapKind)
    for split, rows in _batches(folder):
        held = index.find(rows)
        for number, row in enumerate(rows):
            for place in cases_of.get(_document(row.source), ()) if row.source else ():
                same_document.add(place)
                if settings.documents_held_out:
                    held.append(Overlap(place, number, OverlapKind.DOCUMENT, 1.0, row.question))
        found += len(held)
        for one in held:
            if one.case not in plainest or kinds.index(one.kind) < kinds.index(plainest[one.case]):
                plainest[one.case] = one.kind
            listed[one.case] += 1
            if listed[one.case] <= MAX_OVERLAPS_A_CASE:
                overlaps.append(_case_overlap(one, cases[one.case], rows[one.row], split))
        rows_read += len(rows)
        if on_progress is not None:
            on_progress("looking for test cases in training rows", rows_read, max(total, rows_read))
    overlaps.sort(key=lambda overlap: (kinds.index(overlap.kind), -overlap.similarity, overlap.case_id))
    return ContaminationReport(
        report_id=0,
        dataset_id=version.dataset_id,
        dataset_title=f"{version.name} {version.version}",
        suite_name=suite_name,
        suite_sha256=suite_sha256,
        settings=settings,
        cases=len(cases),
        rows=rows_read,
        contaminated_cases=[cases[number].id for number in sorted(plainest)],
        by_kind=dict(Counter(plainest.values())),
        overlaps=overlaps[:MAX_OVERLAPS],
        overlaps_found=found,
        same_document_cases=[cases[number].id for number in sorted(same_document)],
        seconds=time.monotonic() - started,
    )


def _case_overlap(overlap: Overlap, case: SoughtCase, row: Row, split: Split) -> CaseOverlap:
    return CaseOverlap(
        case_id=case.id,
        question=case.question,
        kind=overlap.kind,
        similarity=overlap.similarity,
        row_id=row.row_id,
        split=split,
        row_text=overlap.text[:MAX_TEXT_CHARACTERS],
        source_document=row.source,
    )


def _batches(folder: Path) -> Iterator[tuple[Split, list[Row]]]:
    for split in TRAINED_SPLITS:
        rows = (version_row.row for version_row in read_version_rows(folder, split))
        while batch := list(islice(rows, ROWS_AT_A_TIME)):
            yield split, batch


def _document(name: str) -> str:
    """Documents are the same by their file's name: suites and rows name folders differently."""
    return PurePosixPath(name.replace("\\", "/")).name.casefold()
