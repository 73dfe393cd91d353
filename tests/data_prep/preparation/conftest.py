"""An import of many small chunks, and what prepares it."""

import json

import pytest

import data_prep.imports.importing as importing
from contracts.data_policy import DataPolicy
from contracts.datasets import ImportRequest, PrepareRequest
from data_prep.preparation.preparing import Preparation, prepare_version
from data_prep.versions.manifest import request_key

SUBJECTS = (
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
)
OFFICES = ("시설처", "영업처", "구조처", "방송처", "지역처", "포장처")


def line(question: str, answer: str, **metadata) -> dict[str, object]:
    return {"question": question, "answer": answer, "metadata": metadata}


def many_lines() -> list[dict[str, object]]:
    """72 different rows, with copies and flaws among them."""
    lines = [
        line(
            f"{subject} 점검은 {office}에서 언제 하나요?",
            f"{office}에서 {subject} 상태를 살펴보고 {number}일 안에 알려 드립니다.",
            category=office,
            source=f"{subject}.md",
        )
        for number, (subject, office) in enumerate((subject, office) for subject in SUBJECTS for office in OFFICES)
    ]
    lines.insert(20, dict(lines[3]))
    lines.insert(41, dict(lines[60]))
    lines.append(line("짧은 답인가요?", "네."))
    lines.append(line("담당자가 누구인가요?", "담당자 홍길동에게 010-1234-5678로 연락하십시오.", category="안내"))
    return lines


@pytest.fixture
def import_lines(tmp_path, monkeypatch):
    """Import rows in chunks of `chunk_rows`."""

    def do(lines, chunk_rows: int, name: str = "rows"):
        monkeypatch.setattr(importing, "CHUNK_ROWS", chunk_rows)
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines), encoding="utf-8")
        return importing.import_files(
            ImportRequest(dataset_name="demo", input_files=[str(path)]),
            imports_dir=tmp_path / f"imports-{chunk_rows}",
            relative_to=tmp_path,
            allowed_roots=[tmp_path],
            min_free_disk_gb=0,
        )

    return do


@pytest.fixture
def prepare(tmp_path):
    """Prepare a version in a folder of its own."""

    def do(
        imported, folder: str = "versions", *, workers: int = 1, policy: DataPolicy | None = None, key=b"", **changes
    ):
        house = policy or DataPolicy()
        request = PrepareRequest(
            import_id=imported.import_id,
            dataset_name="demo",
            **{"train_ratio": 0.8, "val_ratio": 0.1, "test_ratio": 0.1, **changes},
        )
        preparation = Preparation(
            imported=imported,
            request=request,
            policy=house,
            request_key=request_key(request, imported, {}, house),
            pseudonym_key=key,
            workers=workers,
        )
        return prepare_version(preparation, tmp_path / folder / "demo")

    return do
