"""Stage check_quality: what it finds in a version's files, and that it records it."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from contracts.datasets import DatasetVersion, ImportRequest, PrepareRequest, QualityReport, QualityRequest
from contracts.enums import QualityCheckType
from contracts.errors import NotFoundError
from stages.check_quality import check_quality
from stages.import_dataset import import_dataset
from stages.prepare import prepare
from storage.stored_files import open_stored


@pytest.fixture
def version(services) -> DatasetVersion:
    inbox = services.settings.data_dir / "inbox"
    inbox.mkdir(parents=True)
    rows = [
        {
            "question": f"{subject} 담당 부서를 알려 주세요.",
            "answer": f"{subject} 업무는 {department}에서 담당합니다.",
            "category": "가" if number % 2 else "나",
            "metadata": {"quality_score": 0.95},
        }
        for number, (subject, department) in enumerate(
            zip(
                (
                    "가로등",
                    "나들목",
                    "다리",
                    "라디오",
                    "마을길",
                    "바닥",
                    "사면",
                    "아스팔트",
                    "자갈",
                    "차선",
                    "카메라",
                    "타이어",
                ),
                (
                    "시설처",
                    "영업처",
                    "구조처",
                    "방송처",
                    "지역처",
                    "포장처",
                    "사면처",
                    "포장처",
                    "자재처",
                    "도로처",
                    "정보처",
                    "정비처",
                ),
                strict=True,
            )
        )
    ]
    (inbox / "rows.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    imported = import_dataset(ImportRequest(dataset_name="demo", input_files=[str(inbox / "rows.json")]), services)
    return prepare(
        PrepareRequest(
            import_id=imported.import_id, dataset_name="demo", train_ratio=0.8, val_ratio=0.1, test_ratio=0.1
        ),
        services,
    )


def outcome(report: QualityReport) -> dict[QualityCheckType, bool]:
    return {check.check_type: check.passed for check in report.checks}


def failed(report: QualityReport) -> set[QualityCheckType]:
    return {check.check_type for check in report.checks if not check.passed}


def table_of(path: Path) -> pyarrow.Table:
    with open_stored(path) as stream:
        return pyarrow.parquet.read_table(stream)


def add_to_train(version: DatasetVersion, question: str, answer: str, category: str = "가") -> None:
    path = Path(version.file_path) / "train.parquet"
    table = table_of(path)
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    row = {
        "messages": json.dumps(messages, ensure_ascii=False),
        "category": category,
        "source": "",
        "quality_score": 0.9,
        "key": "added:1",
    }
    added = pyarrow.Table.from_pylist([row], schema=table.schema)
    pyarrow.parquet.write_table(pyarrow.concat_tables([table, added]), path)


def test_a_good_version_passes_every_check_and_each_is_recorded(services, version):
    from sqlalchemy import text

    report = check_quality(QualityRequest(dataset_id=version.dataset_id, min_samples=5), services)

    assert report.passed, report
    assert set(outcome(report)) == set(QualityCheckType)
    assert report.quality_score == version.quality_score
    with services.unit_of_work() as uow:
        stored = uow.session.execute(text("SELECT check_type, passed FROM dataset_quality_logs")).all()
    assert {name for name, _ in stored} == {check_type.value for check_type in QualityCheckType}
    assert all(passed for _, passed in stored)


def test_too_few_rows_fail_without_an_error(services, version):
    report = check_quality(QualityRequest(dataset_id=version.dataset_id, min_samples=1000), services)

    assert not report.passed
    assert failed(report) == {QualityCheckType.SIZE}


def test_a_mean_below_the_bar_fails(services, version):
    report = check_quality(
        QualityRequest(dataset_id=version.dataset_id, min_samples=5, min_quality_score=1.0), services
    )

    assert QualityCheckType.QUALITY_SCORE in failed(report)


def test_personal_data_that_came_into_the_files_is_found_and_not_repeated(services, version):
    add_to_train(version, "연락처를 남깁니다.", "010-1234-5678로 전화드리겠습니다.")

    report = check_quality(QualityRequest(dataset_id=version.dataset_id, min_samples=5), services)

    # the file is also no longer the one that was written
    assert failed(report) == {QualityCheckType.PII_DETECTION, QualityCheckType.SIZE}
    (check,) = [check for check in report.checks if check.check_type is QualityCheckType.PII_DETECTION]
    assert check.issues[0]["row"] == "added:1"
    assert check.issues[0]["kind"] == "전화번호"
    assert "1234" not in json.dumps(check.issues)


def test_a_duplicate_across_sides_is_found(services, version):
    other = table_of(Path(version.file_path) / "test.parquet").to_pylist()[0]
    question, answer = (turn["content"] for turn in json.loads(other["messages"]))
    add_to_train(version, question, answer)

    report = check_quality(QualityRequest(dataset_id=version.dataset_id, min_samples=5), services)

    assert QualityCheckType.DUPLICATE_CHECK in failed(report)


def test_a_test_question_in_the_training_data_is_found(services, version):
    add_to_train(version, "새로 넣은 문항은 무엇인가요?", "평가에 쓰는 문항입니다.")
    suite = services.settings.data_dir / "inbox" / "suite.json"
    suite.write_text(json.dumps([{"id": "t1", "question": "새로 넣은 문항은 무엇인가요"}], ensure_ascii=False))

    report = check_quality(
        QualityRequest(dataset_id=version.dataset_id, min_samples=5, test_suites=[str(suite)]), services
    )

    (check,) = [check for check in report.checks if check.check_type is QualityCheckType.TEST_LEAKAGE]
    assert not check.passed
    assert check.issues[0]["detail"] == "asks the question of test case t1"


def test_a_category_without_training_rows_is_found(services, version):
    path = Path(version.file_path) / "test.parquet"
    table = table_of(path)
    changed = table.set_column(1, "category", pyarrow.array(["외톨이"] * table.num_rows))
    pyarrow.parquet.write_table(changed, path)

    report = check_quality(QualityRequest(dataset_id=version.dataset_id, min_samples=5), services)

    assert QualityCheckType.SPLIT_BALANCE in failed(report)


def test_a_version_whose_folder_is_gone_says_how_to_make_it_again(services, version):
    import shutil

    shutil.rmtree(version.file_path)

    with pytest.raises(NotFoundError, match="prepare the dataset again"):
        check_quality(QualityRequest(dataset_id=version.dataset_id), services)


def test_an_unknown_version_is_named(services):
    with pytest.raises(NotFoundError):
        check_quality(QualityRequest(dataset_id=12345), services)
