"""Stage prepare: from imported rows to a registered dataset version."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest

from contracts.datasets import DatasetVersion, ImportRequest, PrepareRequest
from contracts.errors import CapacityError, InvalidDataError, InvalidRequestError, NotFoundError
from data_prep.abandoned import remove_abandoned_folders
from data_prep.versions.manifest import load_manifest
from stages.import_dataset import import_dataset
from stages.prepare import prepare
from stages.services import Services
from storage.stored_files import open_stored, read_stored

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]

SUBJECTS = ("미납 통행료 분할 납부", "휴게소 유실물 인계", "포트홀 긴급 복구", "하도급 승인 심사", "교량 신축이음 보수")
DEPARTMENTS = ("영업관리처", "휴게시설처", "도로상황센터", "계약심사실", "구조물안전실")
FORMS = ("{} 업무는 어느 부서가 담당하나요?", "{} 담당 부서를 알려 주세요.", "{} 건으로 어디에 문의하면 됩니까?")


def rows() -> list[dict[str, object]]:
    return [
        {"question": form.format(subject), "answer": f"{department}에서 담당합니다.", "category": subject[:2]}
        for subject, department in zip(SUBJECTS, DEPARTMENTS, strict=True)
        for form in FORMS
    ]


def put(services: Services, name: str, content: list[dict[str, object]], extra: str = "") -> str:
    inbox = services.settings.data_dir / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in content]
    (inbox / name).write_text("\n".join(lines) + "\n" + extra, encoding="utf-8")
    return str(inbox / name)


def imported(services: Services, content: list[dict[str, object]], extra: str = "") -> str:
    file = put(services, "rows.jsonl", content, extra)
    return import_dataset(ImportRequest(dataset_name="demo", input_files=[file]), services).import_id


def request(import_id: str, **changes) -> PrepareRequest:
    return PrepareRequest(import_id=import_id, dataset_name="demo", **changes)


def table_of(path: Path) -> pyarrow.Table:
    with open_stored(path) as stream:
        return pyarrow.parquet.read_table(stream)


def texts_of(version: DatasetVersion) -> str:
    return "\n".join(
        read_stored(path).decode("utf-8", "replace") for path in Path(version.file_path).glob("*.json*")
    ) + "\n".join(str(table_of(path).to_pylist()) for path in Path(version.file_path).glob("*.parquet"))


def test_clean_rows_become_version_one_with_three_sides(services):
    version = prepare(request(imported(services, rows()), train_ratio=0.8, val_ratio=0.1, test_ratio=0.1), services)

    assert (version.name, version.version) == ("demo", "v1.0")
    assert version.total_samples == 15 == version.train_samples + version.val_samples + version.test_samples
    assert min(version.train_samples, version.val_samples, version.test_samples) >= 1
    assert version.removed == {}
    assert sum(version.categories.values()) == 15
    train = table_of(Path(version.file_path) / "train.parquet").to_pylist()
    assert len(train) == version.train_samples
    assert [turn["role"] for turn in json.loads(train[0]["messages"])] == ["user", "assistant"]


def test_every_reason_is_counted_and_told_row_by_row(services):
    good = rows()
    suite = put(
        services,
        "suite.jsonl",
        [{"id": "t1", "question": "포트홀 긴급 복구 담당 부서를 알려 주세요", "accepted_answers": ["x"]}],
    )
    long_answer = "신청서와 신분증을 가까운 영업소에 내시면 접수한 날부터 결과를 알려 드리며 승인된 뒤에는 매월 말일까지 나누어 내시면 됩니다."
    flawed: list[dict[str, object]] = [
        {"question": "한 마디 답인가요?", "answer": "네."},
        {"question": "되풀이되는 답인가요?", "answer": "확인 중입니다. " * 9},
        {"question": "지랄 말고 알려 주세요.", "answer": "확인하고 안내해 드리겠습니다."},
        {"question": "점수가 낮은 답인가요?", "answer": "그때그때 다릅니다.", "metadata": {"quality_score": 0.2}},
        dict(good[0]),
        {"question": "분할 납부는 어떻게 신청하나요?", "answer": long_answer},
        {"question": "분할 납부는 어떻게 신청하나요?", "answer": long_answer + " 끝"},
    ]

    version = prepare(request(imported(services, good + flawed, extra="{broken\n"), test_suites=[suite]), services)

    assert version.removed == {
        "broken_row": 1,
        "exact_duplicate": 1,
        "foul_language": 1,
        "leaks_test_case": 1,
        "low_quality": 1,
        "near_duplicate": 1,
        "repetition": 1,
        "too_short": 1,
    }
    assert version.total_samples == 15 + 1 - 1
    lines = [json.loads(line) for line in read_stored(Path(version.file_path) / "removed.jsonl").splitlines()]
    assert len(lines) == 7
    by_reason = {line["reason"]: line for line in lines}
    assert by_reason["exact_duplicate"]["detail"] == "same as rows.jsonl:1"
    assert by_reason["leaks_test_case"]["detail"] == "asks the question of test case t1"


def test_no_file_of_a_version_holds_personal_data(services):
    person: dict[str, object] = {
        "question": "저는 홍길동입니다. 900101-1234567, 010-1234-5678",
        "answer": "홍길동 고객님, hong@example.kr로 보내 드립니다.",
    }
    removed: dict[str, object] = {"question": "담당자 김민수 010-9999-8888", "answer": "네."}
    sourced: dict[str, object] = {
        "question": "기록은 어디에 있나요?",
        "answer": "기록관에 있습니다.",
        "metadata": {"source": "홍길동 고객님 상담"},
    }

    version = prepare(request(imported(services, [*rows(), person, removed, sourced])), services)

    written = texts_of(version)
    for secret in ("홍길동", "900101", "1234567", "1234-5678", "hong@", "김민수", "9999"):
        assert secret not in written
    assert version.masked == {"이름": 3, "이메일": 1, "전화번호": 1, "주민등록번호": 1}
    assert "[이름] 고객님, [이메일]로" in written


def test_the_same_request_again_is_the_same_row_and_folder(services):
    import_id = imported(services, rows())
    first = prepare(request(import_id), services)
    manifest = (Path(first.file_path) / "manifest.json").stat().st_mtime_ns

    again = prepare(request(import_id), services)

    assert again == first
    assert (Path(again.file_path) / "manifest.json").stat().st_mtime_ns == manifest


def test_another_request_makes_the_next_version(services):
    import_id = imported(services, rows())

    versions = [prepare(request(import_id, seed=seed), services).version for seed in (0, 1, 0)]

    assert versions == ["v1.0", "v1.1", "v1.0"]


def test_a_version_whose_row_was_lost_is_registered_without_being_made_again(services):
    """The process was killed after the folder was written and before the row was."""
    from sqlalchemy import text

    import_id = imported(services, rows())
    first = prepare(request(import_id), services)
    manifest = (Path(first.file_path) / "manifest.json").stat().st_mtime_ns
    with services.unit_of_work() as uow:
        uow.session.execute(text("TRUNCATE training_datasets CASCADE"))

    again = prepare(request(import_id), services)

    assert again.content_hash == first.content_hash
    assert (Path(again.file_path) / "manifest.json").stat().st_mtime_ns == manifest


def test_a_dataset_of_nothing_but_flaws_is_refused_with_the_reasons(services):
    import_id = imported(services, [{"question": "짧은가요?", "answer": "네."}])

    with pytest.raises(InvalidDataError, match="too_short 1"):
        prepare(request(import_id), services)

    assert not list((services.settings.datasets_dir / "versions" / "demo").glob("*"))


def test_an_unknown_import_is_named(services):
    with pytest.raises(NotFoundError, match="tuneway dataset import"):
        prepare(request("nothing-here"), services)


def test_a_test_suite_outside_the_allowed_folders_is_refused(services):
    with pytest.raises(InvalidRequestError, match="outside"):
        prepare(request(imported(services, rows()), test_suites=["/etc/passwd"]), services)


def test_a_test_case_without_a_question_stops_the_preparation(services):
    suite = put(services, "suite.jsonl", [{"id": "t1", "frage": "?"}])

    with pytest.raises(InvalidDataError, match="no question"):
        prepare(request(imported(services, rows()), test_suites=[suite]), services)


def test_too_little_disk_is_said_before_the_work(services, monkeypatch):
    import_id = imported(services, rows())
    full = Services(services.settings.model_copy(update={"min_free_disk_gb": 1e9}))

    with pytest.raises(CapacityError, match="free"):
        prepare(request(import_id), full)


@pytest.mark.slow
def test_the_real_chatbot_table_becomes_a_version(services, shared_data):
    found = import_dataset(
        ImportRequest(
            dataset_name="chatbot", input_files=[str(shared_data / "chatbot" / "ChatbotData.csv")], max_rows=2000
        ),
        services,
    )

    version = prepare(PrepareRequest(import_id=found.import_id, dataset_name="chatbot"), services)

    assert 1800 < version.total_samples < 2000
    assert version.quality_score > 0.9
    manifest = load_manifest(Path(version.file_path))
    assert [step.step for step in manifest.steps] == [
        "normalise",
        "quality",
        "mask_personal_data",
        "leakage",
        "exact_duplicates",
        "near_duplicates",
    ]
    assert manifest.steps[-1].rows_out == version.total_samples


KILLED = """
import os, signal, sys
from contracts.datasets import ImportRequest, PrepareRequest
from stages.services import open_services
from stages.import_dataset import import_dataset
from stages.prepare import prepare
services = open_services()
file, moment = sys.argv[1], sys.argv[2]

def die(what, done, total):
    if moment in what:
        os.kill(os.getpid(), signal.SIGKILL)

imported = import_dataset(ImportRequest(dataset_name="demo", input_files=[file]), services, on_progress=die)
if moment == "writing":
    import data_prep.preparation.preparing
    data_prep.preparation.preparing.describe = lambda *rows: os.kill(os.getpid(), signal.SIGKILL)
prepare(PrepareRequest(import_id=imported.import_id, dataset_name="demo"), services, on_progress=die)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["importing", "masking", "near duplicates", "writing"])
def test_a_kill_at_any_moment_leaves_nothing_that_blocks_the_next_run(services, moment):
    many: list[dict[str, object]] = [
        {
            "question": f"{subject}의 {number}번째 절차를 알려 주세요.",
            "answer": f"{department}에 {number}호 서식을 내십시오.",
        }
        for subject, department in zip(SUBJECTS, DEPARTMENTS, strict=True)
        for number in range(300)
    ]
    file = put(services, "rows.jsonl", many)

    killed = subprocess.run(
        [sys.executable, "-c", KILLED, file, moment], cwd=REPOSITORY_ROOT, capture_output=True, text=True, timeout=120
    )

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    whole = [path for path in services.settings.datasets_dir.rglob("*") if path.is_dir() and len(path.name) == 12]
    assert whole == [], "no version has its name before it is whole"
    import_id = import_dataset(ImportRequest(dataset_name="demo", input_files=[file]), services).import_id
    version = prepare(request(import_id), services)
    assert version.version == "v1.0"
    assert version.total_samples == 1500


def test_folders_of_killed_attempts_are_removed_once_they_are_old(services):
    name_dir = services.settings.datasets_dir / "versions" / "demo"
    old, young = name_dir / ".a.1.tmp", name_dir / ".a.2.tmp"
    for folder in (old, young):
        folder.mkdir(parents=True)
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))

    assert remove_abandoned_folders(name_dir) == 1
    assert [path.name for path in name_dir.iterdir()] == [".a.2.tmp"]
