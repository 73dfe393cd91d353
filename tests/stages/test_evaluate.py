"""Stage evaluate: early refusals, and the whole way over a real model server, PostgreSQL and MLflow."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from contracts.enums import EvaluatedKind, Method, ServerBackend
from contracts.errors import (
    ConflictError,
    InvalidDataError,
    InvalidRequestError,
    NotFoundError,
    TunewayError,
    UnavailableError,
)
from contracts.evaluation import EvaluateRequest, EvaluationReport
from contracts.suites import EvaluateSuitesRequest
from contracts.training import JobProgress
from evaluation.answer_scoring import contains_answer
from settings import load_settings
from stages import evaluate as stage
from stages import evaluate_suites
from stages.services import Services, open_services
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from storage.stored_files import read_stored_text
from tests.data_prep.generation.endpoint import endpoint
from tests.evaluation.judging.endpoint_judges import score_by_length
from tests.ports import free_port
from tests.security.model_folders import plain_folder
from tests.stages.finished_job import finished_job, write_split, write_suite

QUESTIONS = [f"{number}번 서식의 보존 기간은 얼마인가요?" for number in range(30)]
ANSWER_TOKENS = 6


def _case(number: int, accepted: str, category: str = "tolls") -> dict[str, Any]:
    return {
        "id": f"c-{number}",
        "question": QUESTIONS[number],
        "accepted_answers": [accepted],
        "category": category,
    }


def _folders(tmp_path: Path) -> dict[str, Any]:
    for name in ("base", "adapter"):
        plain_folder(tmp_path / name)
    return {"base_model": tmp_path / "base", "output": tmp_path / "adapter"}


def test_the_same_request_is_the_same_job_and_other_weights_another(services, tmp_path):
    job = finished_job(services, **_folders(tmp_path))
    suite = write_suite(services, "suite", [_case(0, "5년")])
    request = EvaluateRequest(job_id=job.job_id, test_suite=suite)
    first, again = stage.create_job(request, services), stage.create_job(request, services)
    assert first == again
    assert first.job_key.startswith(f"evaluate-{job.job_id}-")
    write_suite(services, "suite", [_case(0, "6년")])
    assert stage.create_job(request, services).job_key != first.job_key
    assert stage.create_job(request.model_copy(update={"max_cases": 1}), services).job_key != first.job_key


def test_a_job_that_is_not_completed_is_refused(services, tmp_path):
    job = finished_job(services, **_folders(tmp_path), complete=False)
    with pytest.raises(ConflictError, match="cannot be evaluated"):
        stage.create_job(EvaluateRequest(job_id=job.job_id), services)


def test_a_job_that_does_not_exist_is_refused(services):
    with pytest.raises(NotFoundError, match="no such fine-tuning job"):
        stage.create_job(EvaluateRequest(job_id=4711), services)


def test_a_job_whose_output_is_gone_is_refused(services, tmp_path):
    folders = _folders(tmp_path)
    job = finished_job(services, **folders)
    shutil.rmtree(folders["output"])
    with pytest.raises(NotFoundError, match="output folder"):
        stage.create_job(EvaluateRequest(job_id=job.job_id), services)


def test_a_suite_outside_the_allowed_folders_is_refused(services, tmp_path):
    job = finished_job(services, **_folders(tmp_path))
    secret = tmp_path / "elsewhere.jsonl"
    secret.write_text(json.dumps(_case(0, "5년")))
    with pytest.raises(InvalidRequestError, match="outside the folders"):
        stage.create_job(EvaluateRequest(job_id=job.job_id, test_suite=str(secret)), services)


def test_a_broken_extra_suite_is_refused_with_its_line(services, tmp_path):
    job = finished_job(services, **_folders(tmp_path))
    broken = write_suite(services, "broken", [_case(0, "5년"), {"id": "c-1"}])
    with pytest.raises(InvalidDataError, match=r"Line 2 of the test case file broken\.jsonl"):
        stage.create_job(EvaluateRequest(job_id=job.job_id, extra_suites=[broken]), services)


def test_a_missing_suite_names_its_neighbour(services, tmp_path):
    job = finished_job(services, **_folders(tmp_path))
    suite = write_suite(services, "regulations-test", [_case(0, "5년")])
    wrong = suite.replace("regulations-test", "regulation-test")
    with pytest.raises(InvalidRequestError, match=r"did you mean regulations-test\.jsonl"):
        stage.create_job(EvaluateRequest(job_id=job.job_id, test_suite=wrong), services)


def test_two_suites_of_one_name_are_refused(services, tmp_path):
    job = finished_job(services, **_folders(tmp_path))
    suite = write_suite(services, "suite", [_case(0, "5년")])
    with pytest.raises(InvalidRequestError, match="same name"):
        stage.create_job(EvaluateRequest(job_id=job.job_id, test_suite=suite, extra_suites=[suite]), services)


def test_more_gpus_than_there_are_are_refused(services, tmp_path):
    job = finished_job(services, **_folders(tmp_path))
    with pytest.raises(InvalidRequestError, match="more GPUs than there are"):
        stage.create_job(EvaluateRequest(job_id=job.job_id, num_gpus=8), services)


def test_a_job_that_was_never_started_cannot_be_collected(services):
    with pytest.raises(NotFoundError, match="no such job"):
        stage.collect("evaluate-1-abc", services)


@pytest.fixture
def real_services(services, mlflow_server, monkeypatch):
    """Services with a real MLflow and the embedded model server; no runner."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", mlflow_server.url)
    monkeypatch.setenv("TUNEWAY_MODEL_SERVER_BACKEND", "embedded")
    monkeypatch.setenv("TUNEWAY_RUNNER_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return open_services(load_settings())


def _work(request: EvaluateRequest, services: Services, folder: Path) -> EvaluationReport:
    """The job's work in a folder of its own."""
    planned = JobFolder(services.settings.jobs_dir / stage.create_job(request, services).job_key)
    folder.mkdir()
    shutil.copy(planned.plan, JobFolder(folder).plan)
    return stage.work(request, JobFolder(folder), services)


def _where_they_differ(base_answers: list[str], tuned_answers: list[str]) -> list[int]:
    """Eight questions on which neither model says what the other says, and two more."""
    differing = [
        number
        for number, (base, tuned) in enumerate(zip(base_answers, tuned_answers, strict=True))
        if not contains_answer(base, tuned) and not contains_answer(tuned, base)
    ][:8]
    assert len(differing) == 8
    return [*differing, *(number for number in range(len(QUESTIONS)) if number not in differing)][:10]


@pytest.mark.slow
def test_base_and_tuned_model_are_asked_judged_and_recorded(real_services, tiny_model, tiny_adapter):
    from registry.client import open_client
    from tests.tiny_model import greedy_answers

    base_answers = greedy_answers(tiny_model, QUESTIONS, ANSWER_TOKENS)
    with warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5.23 for a name that the latter deprecated
        warnings.simplefilter("ignore", FutureWarning)
        tuned_answers = greedy_answers(tiny_model, QUESTIONS, ANSWER_TOKENS, tiny_adapter)
    asked = _where_they_differ(base_answers, tuned_answers)
    # six cases that only the tuned model has right, two that only the base has, two that neither has
    accepted = [
        *(tuned_answers[number] for number in asked[:6]),
        *(base_answers[number] for number in asked[6:8]),
        *("정답 없음", "정답 없음"),
    ]
    cases = [
        _case(number, answer, "tolls" if place < 5 else "service")
        for place, (number, answer) in enumerate(zip(asked, accepted, strict=True))
    ]
    suite = write_suite(real_services, "regulations", cases)
    known = write_suite(real_services, "known", [_case(number, base_answers[number]) for number in range(6)])
    job = finished_job(real_services, base_model=tiny_model, output=tiny_adapter)
    request = EvaluateRequest(
        job_id=job.job_id, test_suite=suite, extra_suites=[known], max_answer_tokens=ANSWER_TOKENS
    )

    report = stage.evaluate(request, real_services)

    assert report.backend is ServerBackend.EMBEDDED
    assert report.served_model_name == f"regulations-1-{job.report.weights_sha256[:8]}"
    assert (report.main.base.correct, report.main.tuned.correct, report.main.tuned.n) == (2, 6, 10)
    assert (report.main.won, report.main.lost) == (6, 2)
    assert report.main.tuned.by_category == {"service": 0.2, "tolls": 1.0}
    assert (report.extras[0].name, report.extras[0].base.accuracy) == ("known", 1.0)
    assert (report.unstable_answers, report.repeated_answers) == (0, 4)

    key = stage.create_job(request, real_services).job_key
    folder = JobFolder(real_services.settings.jobs_dir / key)
    lines = [json.loads(line) for line in read_stored_text(folder.output / "answers.jsonl").splitlines()]
    assert [line["tuned_answer"] for line in lines[:10]] == [tuned_answers[number] for number in asked]
    assert (folder.output / "comparison.png").read_bytes().startswith(b"\x89PNG")
    progress = JobProgress.model_validate(read_json(folder.progress))
    assert (progress.stage, progress.step, progress.total_steps) == ("saving", 36, 36)

    with real_services.unit_of_work() as uow:
        assert uow.evaluations.get(report.evaluation_id) == report
        assert [case.base_answer for case in uow.evaluations.cases(report.evaluation_id)] == [
            base_answers[number] for number in asked
        ]
        run_id = uow.jobs.get(job.job_id).mlflow_run_id
    assert run_id is not None
    client = open_client(real_services.settings.resolved_mlflow_tracking_url)
    metrics = client.get_run(run_id).data.metrics
    assert (metrics["accuracy_base"], metrics["accuracy_tuned"]) == (0.2, 0.6)
    assert metrics["accuracy_tuned_lower"] == report.main.tuned.interval.lower
    assert metrics["accuracy_base.known"] == 1.0
    artifacts = {Path(artifact.path).name for artifact in client.list_artifacts(run_id, f"evaluation/{key}")}
    assert artifacts == {"comparison.png"}

    assert stage.evaluate(request, real_services) == report


@pytest.mark.slow
def test_a_model_that_no_server_can_load_is_the_jobs_own_error(real_services, tmp_path):
    folders = _folders(tmp_path)
    (folders["output"] / "adapter_config.json").write_text('{"r": 8}')
    job = finished_job(real_services, **folders, job_name="broken-1")
    with pytest.raises(TunewayError) as caught:
        stage.evaluate(EvaluateRequest(job_id=job.job_id), real_services)
    assert caught.value.code != "internal"
    with real_services.unit_of_work() as uow:
        assert uow.evaluations.latest_for_job(job.job_id) is None
        assert uow.leases.all() == []


@pytest.mark.slow
@pytest.mark.deep
def test_vllm_gives_the_same_report_as_the_embedded_server(
    real_services, tiny_model, tiny_adapter, tmp_path, monkeypatch
):
    if not real_services.settings.vllm_python.is_file():
        pytest.skip("needs vLLM's environment: make setup")
    job = finished_job(real_services, base_model=tiny_model, output=tiny_adapter, job_name="vllm-1")
    suite = write_suite(real_services, "suite", [_case(number, "통행료") for number in range(30)])
    request = EvaluateRequest(job_id=job.job_id, test_suite=suite, max_answer_tokens=ANSWER_TOKENS)
    embedded = _work(request, real_services, tmp_path / "embedded")
    monkeypatch.setenv("TUNEWAY_MODEL_SERVER_BACKEND", "vllm")
    served = _work(request, open_services(load_settings()), tmp_path / "vllm")
    assert served.backend is ServerBackend.VLLM
    assert served.served_model_name == embedded.served_model_name
    answers = [
        stage.read_answers(tmp_path / name / "output" / "answers.jsonl", "suite") for name in ("embedded", "vllm")
    ]
    assert answers[0] == answers[1]


@pytest.mark.slow
def test_a_full_fine_tune_is_served_in_place_of_its_base(real_services, tiny_model, tmp_path):
    from tests.tiny_model import greedy_answers, make_tiny_model

    tuned_model = make_tiny_model(tmp_path / "tuned", seed=5)
    tuned_answers = greedy_answers(tuned_model, QUESTIONS, ANSWER_TOKENS)
    talks = list(zip(QUESTIONS, tuned_answers, strict=True))
    job = finished_job(
        real_services,
        base_model=tiny_model,
        output=tuned_model,
        method=Method.FULL,
        job_name="full-1",
        test_talks=talks,
    )
    request = EvaluateRequest(job_id=job.job_id, max_answer_tokens=ANSWER_TOKENS)
    report = _work(request, real_services, tmp_path / "job")
    assert (report.main.tuned.accuracy, report.main.base.accuracy) == (1.0, 0.0)
    assert report.main.name == "regulations v1.0 test"


@pytest.mark.slow
def test_the_work_itself_needs_no_database(real_services, tiny_model, tiny_adapter, monkeypatch):
    job = finished_job(real_services, base_model=tiny_model, output=tiny_adapter, job_name="alone-1")
    request = EvaluateRequest(job_id=job.job_id, max_answer_tokens=ANSWER_TOKENS)
    folder = JobFolder(real_services.settings.jobs_dir / stage.create_job(request, real_services).job_key)
    monkeypatch.setenv("TUNEWAY_DATABASE_URL", f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none")
    assert stage.work(request, folder, open_services(load_settings())).main.tuned.n == 1


@pytest.mark.slow
def test_base_and_tuned_are_results_of_their_own_also_while_mlflow_is_away(
    services, tiny_model, tiny_adapter, monkeypatch
):
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("TUNEWAY_MODEL_SERVER_BACKEND", "embedded")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    alone = open_services(load_settings())
    job = finished_job(alone, base_model=tiny_model, output=tiny_adapter, job_name="results-1")
    cases = [_case(number, "5년", "tolls") for number in range(4)]
    suite = write_suite(alone, "retention", cases)
    request = EvaluateRequest(job_id=job.job_id, test_suite=suite, max_answer_tokens=ANSWER_TOKENS)
    submission = stage.create_job(request, alone)
    folder = JobFolder(alone.settings.jobs_dir / submission.job_key)
    resolved = EvaluateRequest.model_validate(submission.request)
    report = stage.work(resolved, folder, alone)
    write_json_atomically(folder.result, report.model_dump(mode="json"))
    with pytest.raises(UnavailableError):
        stage.collect(submission.job_key, alone)
    assert (report.main.name, report.main.tuned.n) == ("retention", 4)
    with alone.unit_of_work() as uow:
        tuned, base = uow.suite_results.newest(suite_name="retention")
        answers = [case.answer for case in uow.suite_results.cases(tuned.result_id)]
    assert (base.model.kind, tuned.model.kind) == (EvaluatedKind.FOLDER, EvaluatedKind.JOB)
    assert base.conditions.comparison_key == tuned.conditions.comparison_key
    assert (tuned.model.job_id, tuned.n) == (job.job_id, 4)
    assert tuned.conditions.engine.startswith("embedded ")
    assert tuned.primary.value == report.main.tuned.accuracy
    assert answers == [case.tuned_answer for case in stage.read_answers(folder.output / "answers.jsonl", "retention")]
    # `tuneway evaluate job:1` means the same model
    again = EvaluateSuitesRequest(model=f"job:{job.job_id}", suites=[suite])
    assert evaluate_suites.preview(again, alone).subject.model.content_hash == tuned.model.content_hash


def test_a_suite_that_changed_after_the_request_is_refused(services, tmp_path):
    job = finished_job(services, **_folders(tmp_path))
    suite = write_suite(services, "suite", [_case(0, "5년")])
    request = EvaluateRequest(job_id=job.job_id, test_suite=suite)
    folder = JobFolder(services.settings.jobs_dir / stage.create_job(request, services).job_key)
    write_suite(services, "suite", [_case(0, "6년")])
    with pytest.raises(ConflictError, match="changed after the evaluation was requested"):
        stage.work(request, folder, services)


@pytest.mark.slow
def test_a_judge_scores_what_a_rubric_asks_and_without_one_it_is_excluded(
    real_services, tiny_model, tiny_adapter, tmp_path
):
    cases = [
        _case(0, "정답 없음"),
        {"id": "r", "question": QUESTIONS[1], "scorer": "rubric", "options": {"rubric": "짧은가"}, "pass_score": 0.25},
    ]
    job = finished_job(real_services, base_model=tiny_model, output=tiny_adapter)
    request = EvaluateRequest(
        job_id=job.job_id, test_suite=write_suite(real_services, "mixed", cases), max_answer_tokens=ANSWER_TOKENS
    )
    without = _work(request, real_services, tmp_path / "without")
    with endpoint(score_by_length) as judge:
        judged = _work(
            request.model_copy(update={"judge_url": judge.url, "judge_model": "judge-32b"}),
            real_services,
            tmp_path / "judged",
        )
        assert len(judge.bodies) == 2
    assert (without.main.tuned.n, without.main.excluded, without.judged_cases) == (1, {"no_judge": 1}, 0)
    assert (judged.main.tuned.n, judged.judged_cases) == (2, 1)
    assert judged.judge is not None
    assert judged.judge.startswith("judge:judge-32b:")


@pytest.mark.slow
def test_the_system_turn_of_the_training_data_is_sent(real_services, tiny_model, tiny_adapter, tmp_path):
    job = finished_job(real_services, base_model=tiny_model, output=tiny_adapter, job_name="system-1")
    request = EvaluateRequest(job_id=job.job_id, max_answer_tokens=ANSWER_TOKENS)
    without = _work(request, real_services, tmp_path / "without")
    train = real_services.settings.datasets_dir / "versions" / "system-1" / "train.parquet"
    write_split(train, [("질문", "답")], system_prompt="규정 안내 담당자입니다. 규정에 있는 대로만 짧게 답합니다.")
    _work(request, real_services, tmp_path / "with")
    kept = [
        stage.read_answers(tmp_path / folder / "output" / "answers.jsonl", without.main.name)[0].base_answer
        for folder in ("without", "with")
    ]
    assert kept[0] != kept[1]


@pytest.mark.slow
def test_an_evaluation_outlives_an_outage_of_mlflow(real_services, mlflow_server, tmp_path):
    from tests.evaluation.builders import report as example

    job = finished_job(real_services, **_folders(tmp_path), job_name="outage-1")
    folder = JobFolder(real_services.settings.jobs_dir / "evaluate-outage")
    report = example().model_copy(update={"job_id": job.job_id, "evaluation_id": 0})
    folder.output.mkdir(parents=True)
    (folder.output / "answers.jsonl").write_text("")
    (folder.output / "comparison.png").write_bytes(b"")
    write_json_atomically(folder.result, report.model_dump(mode="json"))
    mlflow_server.kill()
    try:
        with pytest.raises(UnavailableError, match="MLflow does not answer") as caught:
            stage.collect("evaluate-outage", real_services)
    finally:
        mlflow_server.start()
    assert caught.value.retryable
    with real_services.unit_of_work() as uow:
        stored = uow.evaluations.latest_for_job(job.job_id)
    assert stored is not None
    assert stage.collect("evaluate-outage", real_services) == stored
