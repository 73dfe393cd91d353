"""A version's files against a suite: documents, limits of what is listed, both sides that a model has seen."""

from pathlib import Path

from contracts.contamination import ContaminationReport, ContaminationSettings, SoughtCase
from contracts.datasets import DatasetVersion
from contracts.enums import OverlapKind, Split
from data_prep.contamination.checking import MAX_OVERLAPS_A_CASE, check_version_contamination
from tests.stages.finished_job import write_split

QUESTION, ANSWER = "미납 통행료 분할 납부는 어느 부서가 맡나요?", "영업관리처"


def check(
    folder: Path, rows: dict[Split, list[tuple[str, str]]], case: SoughtCase, source: str = "", **settings
) -> ContaminationReport:
    for split in Split:
        talks = rows.get(split, [("휴무일은 언제인가요?", "일요일입니다.")])
        write_split(folder / f"{split.value}.parquet", talks, source=source)
    version = DatasetVersion(
        dataset_id=1,
        name="regulations",
        version="v1.0",
        file_path=str(folder),
        content_hash="0" * 64,
        total_samples=10,
        train_samples=8,
        val_samples=1,
        test_samples=1,
        removed={},
        masked={},
        quality_score=0.9,
        categories={},
    )
    return check_version_contamination(
        version, [case], suite_name="exam", suite_sha256="1" * 64, settings=ContaminationSettings(**settings)
    )


def test_validation_rows_count_and_test_rows_do_not(tmp_path):
    case = SoughtCase(id="a", question=QUESTION, accepted_answers=[ANSWER])

    seen = check(tmp_path / "a", {Split.VALIDATION: [(QUESTION, "네")]}, case)
    unseen = check(tmp_path / "b", {Split.TEST: [(QUESTION, "네")]}, case)

    assert [overlap.split for overlap in seen.overlaps] == [Split.VALIDATION]
    assert not unseen.is_contaminated


def test_every_overlap_is_counted_and_the_first_ones_are_listed(tmp_path):
    case = SoughtCase(id="a", question=QUESTION, accepted_answers=[ANSWER])

    report = check(tmp_path, {Split.TRAIN: [(QUESTION, ANSWER)] * 50}, case)

    assert (report.overlaps_found, len(report.overlaps)) == (50, MAX_OVERLAPS_A_CASE)


def test_a_row_from_the_cases_document_counts_only_where_documents_are_held_out(tmp_path):
    case = SoughtCase(
        id="a",
        question="제설 자재는 누가 구매합니까?",
        accepted_answers=["도로관리처"],
        source_document="규정/제설.TXT",
    )
    rows = {Split.TRAIN: [("염화칼슘은 어디에 둡니까?", "자재 창고입니다.")]}

    told = check(tmp_path / "a", rows, case, source="2026/제설.txt")
    held = check(tmp_path / "b", rows, case, source="2026/제설.txt", documents_held_out=True)

    assert (told.same_document_cases, told.is_contaminated) == (["a"], False)
    assert held.by_kind == {OverlapKind.DOCUMENT: 1}
