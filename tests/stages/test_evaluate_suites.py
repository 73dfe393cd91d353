"""Stage evaluate_suites: what is asked, what is kept, what is never asked twice."""

import os
import signal
import subprocess
import sys
import time

import pytest

from contracts.enums import EvaluatedKind
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from contracts.evaluation import TestCase
from contracts.suites import EvaluateSuitesRequest, SuitesReport
from stages import evaluate_suites as stage
from stages.services import Services
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from storage.journal import journal_entries
from tests.conftest import REPOSITORY_ROOT
from tests.evaluation.chat_endpoint import MODEL, chat_endpoint
from tests.stages.finished_job import write_suite

CASES = [
    {
        "id": f"c-{number}",
        "question": f"{number}번 서식의 보존 기간은 얼마인가요?",
        "accepted_answers": ["5년"],
        "category": "보존" if number % 2 else "요금",
        "source_document": f"d-{number // 4}",
    }
    for number in range(40)
]


def _even_right(question: str) -> str:
    return "5년입니다." if int(question.partition("번")[0]) % 2 == 0 else "모릅니다."


def _do(request: EvaluateSuitesRequest, services: Services) -> SuitesReport:
    """The stage without a process of its own."""
    key = stage.create_job(request, services).job_key
    folder = JobFolder(services.settings.jobs_dir / key)
    if not folder.result.exists():
        write_json_atomically(folder.result, stage.work(request, folder, services).model_dump(mode="json"))
    return stage.collect(key, services)


def _request(address: str, suite: str, **more: object) -> EvaluateSuitesRequest:
    return EvaluateSuitesRequest.model_validate({"model": address, "suites": [suite], **more})


def test_an_endpoint_is_asked_scored_and_stored_with_every_case(services):
    suite = write_suite(services, "retention", CASES)
    with chat_endpoint(_even_right) as endpoint:
        report = _do(_request(endpoint.address, suite), services)
        assert len(endpoint.questions) == 44
    (result,) = report.results
    assert (result.model.kind, result.n) == (EvaluatedKind.ENDPOINT, 40)
    assert (result.primary.name, result.primary.value) == ("accuracy", 0.5)
    assert result.primary.interval is not None and result.primary.interval.method == "wilson"
    assert {name: score.value for name, score in result.by_category.items()} == {"보존": 0.0, "요금": 1.0}
    assert (result.unstable_answers, result.repeated_answers) == (0, 4)
    assert result.conditions.engine == "imitation 1.0"
    assert [score.name for score in result.scores[1:]] == ["latency_ms_p50", "latency_ms_p90", "latency_ms_p99"]
    with services.unit_of_work() as uow:
        assert uow.suite_results.get(result.result_id) == result
        cases = list(uow.suite_results.cases(result.result_id))
    assert len(cases) == 40
    assert {case.answer for case in cases if case.correct} == {"5년입니다."}
    assert all(case.latency_ms is not None and case.answer_tokens == len(case.answer) for case in cases)


def test_the_same_model_under_the_same_conditions_is_not_asked_again_unless_told_so(services):
    suite = write_suite(services, "retention", CASES)
    with chat_endpoint(_even_right) as endpoint:
        first = _do(_request(endpoint.address, suite), services)
        asked = len(endpoint.questions)
        again = _do(_request(endpoint.address, suite), services)
        assert len(endpoint.questions) == asked
        assert (again.results, again.reused, again.seconds) == (first.results, ["retention"], 0.0)
        anew = _do(_request(endpoint.address, suite, again=True), services)
        assert len(endpoint.questions) == 2 * asked
        assert anew.results[0].result_id != first.results[0].result_id
        other = _do(_request(endpoint.address, suite, max_answer_tokens=64), services)
    assert other.results[0].conditions.comparison_key != first.results[0].conditions.comparison_key


def test_a_changed_case_is_another_suite(services):
    suite = write_suite(services, "retention", CASES)
    with chat_endpoint(_even_right) as endpoint:
        first = _do(_request(endpoint.address, suite), services)
        write_suite(services, "retention", [{**CASES[0], "accepted_answers": ["6년"]}, *CASES[1:]])
        changed = _do(_request(endpoint.address, suite), services)
    assert changed.results[0].primary.value == 0.475
    assert changed.results[0].conditions.comparison_key != first.results[0].conditions.comparison_key


def test_a_note_to_people_makes_no_other_suite(services):
    suite = write_suite(services, "retention", CASES[:4])
    with chat_endpoint(_even_right) as endpoint:
        _do(_request(endpoint.address, suite), services)
        write_suite(services, "retention", [{**CASES[0], "note": "확인함"}, *CASES[1:4]])
        assert _do(_request(endpoint.address, suite), services).reused == ["retention"]


def test_a_slice_says_what_it_left_out(services):
    suite = write_suite(services, "retention", CASES)
    with chat_endpoint(_even_right) as endpoint:
        (result,) = _do(_request(endpoint.address, suite, max_cases=10), services).results
    assert (result.n, result.excluded) == (10, {"beyond_max_cases": 30})


def test_an_answer_that_changes_when_asked_again_is_reported(services):
    suite = write_suite(services, "retention", CASES[:10])
    seen: set[str] = set()

    def fickle(question: str) -> str:
        if question in seen:
            return "6년입니다."
        seen.add(question)
        return "5년입니다."

    with chat_endpoint(fickle) as endpoint:
        (result,) = _do(_request(endpoint.address, suite), services).results
    assert (result.unstable_answers, result.repeated_answers) == (1, 1)


def test_speed_is_measured_on_request(services):
    suite = write_suite(services, "retention", CASES[:4])
    with chat_endpoint(_even_right, pause_seconds=0.01) as endpoint:
        _do(_request(endpoint.address, suite), services)
        (result,) = _do(_request(endpoint.address, suite, speed=True), services).results
    scores = {score.name: score for score in result.scores}
    assert scores["first_token_ms_p50"].value >= 10
    assert 0 < scores["tokens_per_second_single"].value < scores["tokens_per_second_8"].value


def test_a_managed_suite_is_asked_by_its_name(services):
    cases = [TestCase.model_validate(case) for case in CASES[:8]]
    with services.unit_of_work() as uow:
        version = uow.suites.add("retention", cases, actor="kim")
        uow.suites.lock(version.suite_id, actor="kim")
    with chat_endpoint(_even_right) as endpoint:
        (result,) = _do(_request(endpoint.address, "retention@1"), services).results
        again = _do(_request(endpoint.address, "retention"), services)
    assert (result.conditions.suite_name, result.conditions.suite_version) == ("retention", 1)
    assert again.reused == ["retention"]


def test_what_is_wrong_with_a_request_is_said_before_anything_is_asked(services, tmp_path):
    suite = write_suite(services, "retention", CASES)
    with chat_endpoint(_even_right) as endpoint:
        with pytest.raises(InvalidRequestError, match="serves no model of this name") as caught:
            stage.create_job(_request(f"{endpoint.url}#other", suite), services)
        assert caught.value.allowed == MODEL
        with pytest.raises(InvalidRequestError, match="named twice"):
            stage.create_job(
                EvaluateSuitesRequest(model=endpoint.address, suites=[suite, suite]),
                services,
            )
        with pytest.raises(InvalidRequestError, match="more GPUs"):
            stage.create_job(_request(endpoint.address, suite, num_gpus=8), services)
        assert endpoint.questions == []
    with pytest.raises(InvalidRequestError, match="address and the served model's name"):
        stage.create_job(_request("http://127.0.0.1:1/v1", suite), services)
    with pytest.raises(NotFoundError, match="no such fine-tuning job"):
        stage.create_job(_request("job:4711", suite), services)
    for folder, told in ((services.settings.models_dir / "base", "no model in the folder"), (tmp_path, "outside the")):
        folder.mkdir(parents=True, exist_ok=True)
        with pytest.raises(InvalidRequestError, match=told):
            stage.create_job(_request(str(folder), suite), services)


def test_an_evaluation_is_done_by_one_process_at_a_time(services):
    suite = write_suite(services, "retention", CASES)
    with chat_endpoint(_even_right) as endpoint:
        request = _request(endpoint.address, suite)
        folder = JobFolder(services.settings.jobs_dir / stage.create_job(request, services).job_key)
        with stage._journal(folder), pytest.raises(ConflictError, match="Another process"):
            stage.work(request, folder, services)


@pytest.mark.slow
def test_a_killed_evaluation_asks_no_answered_case_again(services):
    suite = write_suite(services, "retention", CASES)
    with chat_endpoint(_even_right, pause_seconds=0.25) as endpoint:
        request = _request(endpoint.address, suite)
        submission = stage.create_job(request, services)
        folder = JobFolder(services.settings.jobs_dir / submission.job_key)
        folder.attempt(1).root.mkdir(parents=True)
        write_json_atomically(folder.submission, submission.model_dump(mode="json"))
        command = [sys.executable, "-m", "stages.work", str(folder.root), "1"]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)}
        first = subprocess.Popen(command, env=environment, cwd=REPOSITORY_ROOT)
        deadline = time.monotonic() + 120
        while len(endpoint.questions) < 20 and time.monotonic() < deadline:
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
        first.wait()
        asked_before = len(endpoint.questions)
        answered = list(journal_entries(folder.root / "answers.jsonl"))
        assert 0 < len(answered) < 44
        assert not folder.result.exists()
        subprocess.run(command, env=environment, cwd=REPOSITORY_ROOT, check=True, timeout=120)
        assert len(endpoint.questions) - asked_before == 44 - len(answered)
        (result,) = stage.collect(submission.job_key, services).results
    assert (result.n, result.primary.value) == (40, 0.5)


def test_a_judge_scores_what_a_rubric_scores_and_is_part_of_the_conditions(services):
    graded = [
        {
            "id": f"r-{n}",
            "question": f"{n}번 절차를 설명해 주십시오.",
            "scorer": "rubric",
            "options": {"rubric": "정확성"},
        }
        for n in range(4)
    ]
    suite = write_suite(services, "graded", [{**CASES[0]}, *graded])
    with (
        chat_endpoint(lambda _question: "5년입니다.") as endpoint,
        chat_endpoint(lambda _question: '{"reason": "정확합니다.", "score": 5}') as judge,
    ):
        without = _do(_request(endpoint.address, suite), services).results[0]
        judged = _do(_request(endpoint.address, suite, judge_url=judge.url, judge_model=MODEL), services).results[0]
        assert len(judge.questions) == 4
    assert (without.n, without.excluded) == (1, {"no_judge": 4})
    assert (judged.n, judged.excluded, judged.primary.value) == (5, {}, 1.0)
    assert judged.conditions.comparison_key != without.conditions.comparison_key
    with services.unit_of_work() as uow:
        remarks = {case.case_id: case.remark for case in uow.suite_results.cases(judged.result_id)}
    assert remarks["r-0"] == "정확합니다."
