"""A person's rows are found wherever they are, deleted everywhere, and the certificate says so."""

import json
import re
from pathlib import Path

import pytest

import data_prep.subjects.erasing
import stages.privacy
import stages.subject_places
from cli.secret_files import ensure_secrets
from contracts.audit import AuditFilter
from contracts.contamination import CaseOverlap, ContaminationReport, ContaminationSettings
from contracts.datasets import ImportRequest, PrepareRequest
from contracts.enums import OverlapKind, QuestionTemplate, Split
from contracts.errors import ConflictError, InvalidRequestError
from contracts.evaluation import CaseResult, TestCase
from contracts.generation import NewReview
from contracts.privacy import StoredKind
from contracts.ratings import PutUpRequest, Rating
from contracts.suites import CaseScore, EvaluateSuitesRequest
from contracts.uploads import UploadRequest
from data_prep.subjects.identifiers import parse_identifiers
from data_prep.versions.reading import read_split_batches
from data_prep.versions.splitting import Ratios
from data_prep.versions.verifying import verify
from evaluation.suites.results import write_result
from settings.encryption import use_encryption
from stages import evaluate_suites
from stages.audit import search_audit
from stages.dataset_versions import open_version, split_again
from stages.import_dataset import import_dataset
from stages.prepare import prepare
from stages.privacy import certificates, erase_subject, find_subject, is_genuine
from stages.rating_tasks import items_of, put_up, task_named
from stages.suites import resolve_suite
from stages.uploads import create_upload, receiving
from storage.journal import KeyedJournal, journal_entries
from tests.database.test_repositories import add_job
from tests.evaluation.builders import report as evaluation_report
from tests.evaluation.chat_endpoint import chat_endpoint
from tests.evaluation.suite_results import suite_result
from tests.stages.test_prepare import put, rows

PHONE, NAME = "010-9876-5432", "남궁민수"
REASON = "요청 2026-17"


@pytest.fixture(autouse=True)
def signing_key(services):
    ensure_secrets(services.settings)


def content():
    certain = {
        "question": f"{NAME} 고객님({PHONE})의 환불은 어디서 하나요?",
        "answer": "영업소에서 합니다.",
        "category": "환불",
    }
    spaced = {
        "question": "연락처를 바꾸려면?",
        "answer": "+82 10 9876 5432로 등록된 번호를 바꿉니다.",
        "category": "환불",
    }
    perhaps = {"question": f"{NAME} 과장님 자리는 몇 층인가요?", "answer": "오 층입니다.", "category": "안내"}
    return [*rows(), certain, spaced, perhaps]


def brought_in(services, name="demo"):
    """An import with three rows about the person, one of which is broken, and the version made of it."""
    broken = json.dumps({"question": PHONE}) + "\n"
    file = put(services, "rows.jsonl", content(), broken)
    imported = import_dataset(ImportRequest(dataset_name=name, input_files=[file]), services)
    return imported, prepare(PrepareRequest(import_id=imported.import_id, dataset_name=name), services)


def places(report):
    return {(place.kind, place.name): (place.certain, place.shared) for place in report.places}


def erase(services, *given, **how):
    return erase_subject(parse_identifiers(given or (PHONE, NAME)), services, actor="kim", reason=REASON, **how)


def find(services, *given):
    return find_subject(parse_identifiers(given or (PHONE, NAME)), services, actor="kim", reason=REASON)


def questions(folder):
    return [
        json.loads(text)[0]["content"]
        for split in Split
        for batch in read_split_batches(folder, split, ["messages"])
        for text in batch["messages"].to_pylist()
    ]


def test_rows_are_found_in_the_import_and_through_the_masking_in_the_version(services):
    imported, version = brought_in(services)
    report = find(services)
    folder = Path(version.file_path)
    assert places(report) == {
        (StoredKind.IMPORT, imported.import_id): (2, 1),
        (StoredKind.QUARANTINE, imported.import_id): (1, 0),
        (StoredKind.VERSION, f"demo@{folder.name}"): (2, 1),
    }
    assert PHONE not in json.dumps(questions(folder), ensure_ascii=False)
    assert report.source_files == [str(services.settings.data_dir / "inbox" / "rows.jsonl")]


def test_erasing_takes_what_is_certain_everywhere_and_leaves_the_rest_as_it_was(services):
    imported, version = brought_in(services)
    folder = Path(version.file_path)
    before = questions(folder)
    certificate = erase(services)

    assert [(place.kind, place.certain, place.shared) for place in certificate.erased] == [
        (StoredKind.IMPORT, 2, 0),
        (StoredKind.QUARANTINE, 1, 0),
        (StoredKind.VERSION, 2, 0),
    ]
    assert certificate.kept_shared == 2
    left = questions(folder)
    assert len(left) == len(before) - 2
    assert set(left) < set(before)
    report = find(services)
    assert (report.certain, report.shared) == (0, 2)
    assert not verify(folder.parent).damaged
    manifest = open_version("demo", services).manifest
    assert [(done.erasure_id, done.rows) for done in manifest.erasures] == [(certificate.certificate_id, 2)]
    assert manifest.total_samples == sum(manifest.categories.values()) == len(left)
    with services.unit_of_work() as uow:
        assert uow.datasets.get(version.dataset_id).total_samples == len(left)
        assert uow.datasets.get(version.dataset_id).categories == manifest.categories
    again = prepare(PrepareRequest(import_id=imported.import_id, dataset_name="demo"), services)
    assert again.dataset_id == version.dataset_id


def test_a_version_that_was_cut_again_from_another_loses_its_rows_too(services):
    brought_in(services)
    split_again("demo", "main", Ratios(train=0.7, validation=0.15, test=0.15), services)
    certificate = erase(services)
    versions = [place for place in certificate.erased if place.kind is StoredKind.VERSION]
    assert [place.certain for place in versions] == [2, 2]
    assert find(services).certain == 0
    assert not verify(open_version("demo", services).name_dir).damaged


def test_rows_that_show_only_a_name_go_when_that_is_said(services):
    brought_in(services)
    with pytest.raises(InvalidRequestError, match="Other people may have the same"):
        erase(services, NAME)
    erase(services, NAME, with_shared=True)
    assert find(services, NAME).places == []


def test_what_was_asked_in_the_chat_and_what_waits_for_review_is_forgotten(services):
    sealed = services.recorded_text
    with services.unit_of_work() as uow:
        for request_id, question in (("a", f"제 번호는 {PHONE}입니다"), ("b", "통행료가 얼마인가요?")):
            uow.experiments.log_answers(
                [
                    [
                        {
                            "request_id": request_id,
                            "user_key": "u1",
                            "query": sealed.kept("query", request_id, question),
                            "response": sealed.kept("response", request_id, "네."),
                            "response_time_ms": 5,
                        }
                    ]
                ]
            )
        uow.reviews.put_up(
            "demo-000000000000",
            "demo",
            [
                NewReview(
                    sample_id=str(number),
                    position=number,
                    template=QuestionTemplate.QA,
                    document="manual.md",
                    grounding=1.0,
                    quality=1.0,
                    messages=[{"role": "user", "content": text}],
                    metadata={},
                    passage="",
                )
                for number, text in enumerate((f"{PHONE}은 누구 번호입니까?", "서식은 어디 있나요?"))
            ],
        )
    certificate = erase(services, PHONE)
    assert {place.kind: place.certain for place in certificate.erased} == {StoredKind.REVIEW: 1, StoredKind.TRAFFIC: 1}
    assert find(services, PHONE).places == []
    with services.unit_of_work() as uow:
        assert [review.sample_id for review in uow.reviews.everything()] == ["1"]
        (batch,) = uow.recorded_texts.batches()
    assert {row.request_id: bool(row.query) for row in batch} == {"a": False, "b": True}


def test_what_an_unfinished_replay_was_answered_is_forgotten(services):
    path = services.settings.replays_dir / "7-1" / "answers.jsonl"
    with KeyedJournal(path, ConflictError("in use")) as journal:
        journal.add("one", {"text": f"{PHONE}으로 연락하십시오."})
        journal.add("two", {"text": "3일 안에 처리됩니다."})
    certificate = erase(services, PHONE)
    assert [(place.kind, place.name, place.certain) for place in certificate.erased] == [
        (StoredKind.TRAFFIC, "replays/7-1/answers.jsonl", 1)
    ]
    with KeyedJournal(path, ConflictError("in use")) as journal:
        assert list(journal) == ["two"]


@pytest.mark.parametrize("dies_in", ["erase_version_rows", "erase_imported_rows", "_certified"])
def test_an_erasure_that_was_killed_goes_on_and_its_certificate_tells_all_of_it(services, monkeypatch, dies_in):
    brought_in(services)
    real = getattr(stages.privacy, dies_in)

    def dies(*given, **named):
        if dies_in != "_certified":
            real(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stages.privacy, dies_in, dies)
        with pytest.raises(KeyboardInterrupt):
            erase(services)
    assert certificates(services) == []
    certificate = erase(services)
    assert {place.kind: place.certain for place in certificate.erased} == {
        StoredKind.IMPORT: 2,
        StoredKind.QUARANTINE: 1,
        StoredKind.VERSION: 2,
    }
    assert find(services).certain == 0
    assert len(certificates(services)) == 1


def test_a_kill_within_a_version_leaves_nothing_that_the_next_call_does_not_finish(services, monkeypatch):
    _, version = brought_in(services)

    def dies(folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        # parts, index and lists are replaced by then, the manifest is not
        patched.setattr(data_prep.subjects.erasing, "_without_examples", dies)
        with pytest.raises(KeyboardInterrupt):
            erase(services)
    certificate = erase(services)
    folder = Path(version.file_path)
    assert not verify(folder.parent).damaged
    manifest = open_version("demo", services).manifest
    assert [(done.erasure_id, done.rows) for done in manifest.erasures] == [(certificate.certificate_id, 2)]
    assert manifest.total_samples == len(questions(folder))
    (of_version,) = [place for place in certificate.erased if place.kind is StoredKind.VERSION]
    assert (of_version.certain, of_version.training) == (2, 3)


def test_a_certificate_is_genuine_until_somebody_edits_it(services):
    brought_in(services)
    certificate = erase(services)
    assert certificates(services) == [certificate]
    assert is_genuine(certificate, services)
    assert not is_genuine(certificate.model_copy(update={"kept_shared": 0}), services)
    assert not is_genuine(certificate.model_copy(update={"signature": "!"}), services)


def test_no_trace_of_the_values_is_left_by_looking_for_them(services):
    brought_in(services)
    find(services)
    erase(services)
    told = "".join(entry.model_dump_json() for entry in search_audit(AuditFilter(action="privacy.*"), services))
    assert told.count("privacy.") >= 3
    for path in services.settings.privacy_dir.rglob("*.json"):
        told += path.read_text(encoding="utf-8")
    assert told
    assert PHONE not in told
    assert PHONE.replace("-", "") not in told
    assert NAME not in told


def test_a_preparation_that_runs_is_not_worked_against(services):
    import fcntl

    imported, version = brought_in(services)
    work = Path(version.file_path).parent / ".0123456789abcdef.work"
    work.mkdir()
    (work / "plan.json").write_text(json.dumps({"rows_path": imported.rows_path}), encoding="utf-8")
    with work.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="is being prepared"):
            erase(services)
    erase(services)
    assert not work.exists()


def test_what_nobody_can_read_any_more_is_said(services):
    from settings.encryption import dataset_scope

    imported, _ = brought_in(services)
    use_encryption(services.settings).keyring.erase(dataset_scope("demo"))
    report = find(services)
    assert report.places == []
    assert f"imports/{imported.import_id}" in report.unreadable


def case(case_id, question, answer="영업소"):
    return TestCase(id=case_id, question=question, accepted_answers=[answer])


def everywhere(services):
    """One thing about the person, and one that is not, in each place beside the datasets."""
    settings = services.settings
    scores = [
        CaseScore(case_id=name, category="c", answer=answer, score=1, correct=True, remark="맞음")
        for name, answer in (("a", f"{PHONE}입니다"), ("b", "영업소"))
    ]
    with services.unit_of_work() as uow:
        suite = uow.suites.add("refunds", [case("a", f"{PHONE}의 환불은?"), case("b", "환불은?")], actor="kim")
        uow.suites.lock(suite.suite_id, actor="kim")
        job_id = add_job(uow)
        uow.evaluations.add(
            evaluation_report().model_copy(update={"job_id": job_id}),
            content_key="evaluate-1",
            cases=[
                CaseResult(
                    case_id=name, question="환불은?", category="c", accepted_answers=["영업소"], base_answer=answer,
                    tuned_answer="영업소", base_correct=False, tuned_correct=True,
                )
                for name, answer in (("a", f"{PHONE}에 물으세요"), ("b", "모릅니다"))
            ],
        )  # fmt: skip
        uow.suite_results.add(suite_result(scores), scores)
        uow.ratings.rate(
            Rating(
                item_key=name, task="t", suite_name="s", case_id=name, category="c", rater="lee", value="4",
                comment=comment,
            )
            for name, comment in (("a", f"{PHONE}이 보입니다"), ("b", "좋음"))
        )  # fmt: skip
    assert Path(resolve_suite("refunds", services).path).is_file()
    path = settings.jobs_dir / "evaluate-1"
    write_result(path / "output" / "x", suite_result(scores), scores)
    for journal_path in (settings.generations_dir / "docs" / "answers.jsonl", path / "answers-journal.jsonl"):
        with KeyedJournal(journal_path, ConflictError("in use")) as journal:
            journal.add("a", {"text": f"{PHONE}으로"})
            journal.add("b", {"text": "영업소로"})
            journal.add("a", {"text": "고친 답"})
    items = settings.data_dir / "inbox" / "answers.jsonl"
    items.parent.mkdir(parents=True, exist_ok=True)
    given = [
        {"case_id": name, "question": "환불은?", "answer_a": answer, "answer_b": "영업소", "category": "c"}
        for name, answer in (("a", f"{PHONE}에서"), ("b", "지사"))
    ]
    items.write_text("".join(json.dumps(one) + "\n" for one in given))
    put_up(PutUpRequest(name="may", answers_file=str(items)), services)
    with chat_endpoint(str) as model:
        evaluate_suites.create_job(EvaluateSuitesRequest(model=model.address, suites=["refunds"]), services)
    with services.unit_of_work() as uow:
        uow.contamination.add(overlaps(dataset_id=uow.jobs.get(job_id).dataset_id))
    upload = UploadRequest(name="waiting", file_name="rows.jsonl")
    for upload_id, text in (("1" * 32, f"{PHONE}의 환불은?"), ("2" * 32, "환불은?")):
        create_upload(upload, services, user_id=1, username="kim", upload_id=upload_id)
        with receiving(upload_id, services, user_id=1) as writer:
            # the second line has not arrived in whole
            writer.write(json.dumps({"question": text, "answer": "영업소"}).encode() + b'\n{"question": "')


def overlaps(dataset_id):
    return ContaminationReport(
        report_id=0, dataset_id=dataset_id, dataset_title="demo v1.0", suite_name="refunds", suite_sha256="0" * 64,
        settings=ContaminationSettings(), cases=2, rows=9, contaminated_cases=["a", "b"], by_kind={}, overlaps=[
            CaseOverlap(
                case_id=name, question="환불은?", kind=OverlapKind.EXACT, similarity=1, row_id="r",
                split=Split.TRAIN, row_text=text, source_document="",
            )
            for name, text in (("a", f"{PHONE}의 환불은?"), ("b", "환불은?"))
        ], overlaps_found=2, same_document_cases=[], seconds=1,
    )  # fmt: skip


def told_places(places):
    """By kind and name; the folder of the suites' job is named by what it asks."""
    return {
        (place.kind, re.sub("suites-[0-9a-f]+", "suites", place.name)): (place.certain, place.shared)
        for place in places
    }


PLACES_ELSEWHERE = {
    (StoredKind.EVALUATION, "contamination_reports/1"): (1, 0),
    (StoredKind.EVALUATION, "jobs/suites/plan.json"): (1, 0),
    (StoredKind.RATING, "ratings/may/items.jsonl"): (1, 0),
    (StoredKind.TEST_CASE, "refunds@1"): (1, 0),
    (StoredKind.EVALUATION, "model_evaluations/1"): (1, 0),
    (StoredKind.EVALUATION, "suite_results/1"): (1, 0),
    (StoredKind.EVALUATION, "jobs/evaluate-1/answers-journal.jsonl"): (1, 0),
    (StoredKind.EVALUATION, "jobs/evaluate-1/output/x/cases.jsonl"): (1, 0),
    (StoredKind.GENERATION, "datasets/generations/docs/answers.jsonl"): (1, 0),
    (StoredKind.RATING, "expert_ratings"): (1, 0),
    (StoredKind.UPLOAD, "1" * 32): (1, 0),
}


def test_a_person_is_found_and_erased_in_every_place_beside_the_datasets(services):
    everywhere(services)
    assert told_places(find(services, PHONE).places) == PLACES_ELSEWHERE
    certificate = erase(services, PHONE)
    assert told_places(certificate.erased) == PLACES_ELSEWHERE
    assert find(services, PHONE).places == []

    with services.unit_of_work() as uow:
        suite = uow.suites.find("refunds", 1)
        assert (suite.case_count, [left.id for left in uow.suites.cases(suite.suite_id)]) == (1, ["b"])
        assert [(one.base_answer, one.tuned_correct) for one in uow.evaluations.cases(1)] == [
            ("", True),
            ("모릅니다", True),
        ]
        assert [(one.answer, one.remark, one.score) for one in uow.suite_results.cases(1)] == [
            ("", "", 1.0),
            ("영업소", "맞음", 1.0),
        ]
        assert [(one.comment, one.value) for one in uow.ratings.of_items(["a", "b"])] == [("", "4"), ("좋음", "4")]
        report = uow.contamination.get(1)
    assert [bool(one.row_text) for one in report.overlaps] == [False, True]
    assert [item.case_id for item in items_of("may", services)] == ["b"]
    assert task_named("may", services).items == 1
    journal = services.settings.jobs_dir / "evaluate-1" / "answers-journal.jsonl"
    assert [key for key, _ in journal_entries(journal)] == ["b"]
    assert [path.name for path in services.settings.uploads_dir.glob("[!.]*")] == ["2" * 32]


@pytest.mark.parametrize("dies_in", ["_forget", "remove_upload"])
def test_an_erasure_beside_the_datasets_that_was_killed_goes_on(services, monkeypatch, dies_in):
    everywhere(services)
    real = getattr(stages.subject_places, dies_in)

    def dies(*given, **named):
        real(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stages.subject_places, dies_in, dies)
        with pytest.raises(KeyboardInterrupt):
            erase(services, PHONE)
    certificate = erase(services, PHONE)
    assert told_places(certificate.erased) == PLACES_ELSEWHERE
    assert find(services, PHONE).places == []


def test_a_journal_that_is_being_written_is_not_worked_against(services):
    everywhere(services)
    path = services.settings.jobs_dir / "evaluate-1" / "answers-journal.jsonl"
    with KeyedJournal(path, ConflictError("in use")), pytest.raises(ConflictError, match="are being added to"):
        erase(services, PHONE)
    erase(services, PHONE)
    assert find(services, PHONE).places == []
