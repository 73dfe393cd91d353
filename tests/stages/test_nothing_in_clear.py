"""Canaries are planted, the pipeline runs, and every file that it wrote is searched."""

import json
from pathlib import Path

import pytest

from contracts.datasets import ImportRequest, PrepareRequest, QualityRequest
from contracts.enums import Split
from contracts.errors import KeyUnavailableError
from contracts.evaluation import TestCase
from contracts.generation import CurateRequest, GenerateRequest
from contracts.ratings import PutUpRequest
from contracts.suites import EvaluateSuitesRequest
from data_prep.versions.reading import read_split_batches
from settings.encryption import dataset_scope, use_encryption
from stages import evaluate_suites
from stages.check_quality import check_quality
from stages.curate import curate
from stages.generate_qa import generate_qa
from stages.import_dataset import import_dataset
from stages.prepare import prepare
from stages.rating_tasks import put_up
from storage.encryption.container import is_encrypted
from storage.job_folder import JobFolder
from storage.stored_files import read_stored_text
from tests.data_prep.generation.endpoint import endpoint, faithful
from tests.evaluation.chat_endpoint import chat_endpoint
from tests.stages.test_prepare import rows

CANARY = "카나리아노란새"


def leaks(folder: Path) -> list[str]:
    """Files below the folder that hold the canary."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if CANARY.encode() in content or json.dumps(CANARY)[1:-1].encode() in content:
            found.append(str(path.relative_to(folder)))
    return found


def test_what_was_planted_is_in_no_file_that_the_platform_wrote(services):
    settings = services.settings
    planted = [{**row, "question": f"{row['question']} {CANARY}"} for row in rows()]
    source = settings.data_dir / "inbox" / "canary.jsonl"
    source.parent.mkdir(parents=True, exist_ok=True)
    broken = json.dumps({"question": CANARY}, ensure_ascii=False)
    lines = [json.dumps(row, ensure_ascii=False) for row in planted]
    source.write_text("\n".join([*lines, broken]) + "\n", encoding="utf-8")
    imported = import_dataset(ImportRequest(dataset_name="canary", input_files=[str(source)]), services)
    version = prepare(PrepareRequest(import_id=imported.import_id, dataset_name="canary"), services)
    check_quality(QualityRequest(dataset_id=version.dataset_id, min_samples=1), services)

    assert imported.broken_rows == 1
    folder = Path(version.file_path)
    # the file that was put there; what is shown in a browser holds no text of rows
    assert leaks(settings.data_dir) == ["inbox/canary.jsonl"]
    assert is_encrypted(folder / "statistics.json")
    assert "<html" in (folder / "report.html").read_text("utf-8")
    assert is_encrypted(Path(imported.rows_path))
    assert is_encrypted(Path(imported.quarantine_path))
    (batch,) = read_split_batches(folder, Split.TRAIN, ["messages"])
    assert CANARY in batch["messages"].to_pylist()[0]

    use_encryption(settings).keyring.erase(dataset_scope("canary"))
    with pytest.raises(KeyUnavailableError, match="erased"):
        next(read_split_batches(folder, Split.TRAIN))


def test_what_was_planted_in_samples_suites_and_answers_is_in_no_file_that_the_platform_wrote(services):
    settings = services.settings
    inbox = settings.data_dir / "inbox"
    inbox.mkdir(parents=True)
    text = f"{CANARY} 통행료는 800원이며 영업소에서 냅니다. {CANARY} 심야 할인은 지난 6개월의 운행에 한하여 인정합니다. 신청서는 지사에 냅니다."
    (inbox / "manual.md").write_text(f"# 안내\n\n{text}\n", encoding="utf-8")
    items = {"case_id": "a", "question": CANARY, "answer_a": f"{CANARY} 하나", "answer_b": "둘", "category": "c"}
    (inbox / "answers.jsonl").write_text(json.dumps(items, ensure_ascii=False) + "\n", encoding="utf-8")
    with endpoint(faithful) as generator:
        made = GenerateRequest(
            dataset_name="docs", documents=[str(inbox / "manual.md")], model="m", endpoint_url=generator.url
        )
        report = generate_qa(made, services)
    curated = curate(CurateRequest(generation_id=report.generation_id, include_waiting=True), services)
    cases = [TestCase(id=str(number), question=f"{CANARY} {number}?", accepted_answers=[CANARY]) for number in range(3)]
    with services.unit_of_work() as uow:
        uow.suites.lock(uow.suites.add("rules", cases, actor="kim").suite_id, actor="kim")
    with chat_endpoint(lambda question: f"{question} {CANARY}") as model:
        asked = EvaluateSuitesRequest(model=model.address, suites=["rules"])
        submission = evaluate_suites.create_job(asked, services)
        folder = JobFolder(settings.jobs_dir / submission.job_key)
        evaluate_suites.work(EvaluateSuitesRequest.model_validate(submission.request), folder, services)
    put_up(PutUpRequest(name="may", answers_file=str(inbox / "answers.jsonl")), services)

    assert leaks(settings.data_dir) == ["inbox/answers.jsonl", "inbox/manual.md"]
    kept = {
        "samples": Path(report.samples_path),
        "generator's journal": settings.generations_dir / "docs" / "answers.jsonl",
        "curated": Path(curated.path),
        "suite": next(settings.suites_dir.rglob("rules@1.jsonl")),
        "journal": folder.root / evaluate_suites.JOURNAL_FILE,
        "cases": next(folder.output.rglob("cases.jsonl")),
        "items": settings.ratings_dir / "may" / "items.jsonl",
    }
    assert [name for name, path in kept.items() if not is_encrypted(path)] == []
    assert CANARY in read_stored_text(kept["cases"])
    assert report.accepted
