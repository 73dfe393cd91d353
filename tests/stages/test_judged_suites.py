"""Suites that need more than the answer: a judge for rubrics, detectors for safety; and their answers before experts."""

import pytest

from contracts.enums import RatingKind, SuiteKind
from contracts.errors import InvalidRequestError
from contracts.ratings import PutUpRequest
from contracts.suites import EvaluateSuitesRequest
from evaluation.safety.prompts import safety_cases
from stages.rating_tasks import items_of, put_up
from stages.services import Services
from tests.data_prep.generation.endpoint import endpoint
from tests.evaluation.chat_endpoint import chat_endpoint
from tests.evaluation.judging.endpoint_judges import score_by_length
from tests.stages.finished_job import write_suite
from tests.stages.test_evaluate_suites import _do

RUBRIC = [
    {
        "id": f"r-{number}",
        "question": f"{number}번 서식의 보존 기간을 설명하시겠습니까?",
        "scorer": "rubric",
        "options": {"rubric": "보존 기간을 말하는가"},
        "pass_score": 0.5,
    }
    for number in range(1, 7)
]


def test_a_judge_scores_what_a_rubric_asks_after_all_answers_are_in(services):
    suite = write_suite(services, "explained", RUBRIC)
    with (
        chat_endpoint(lambda question: "가" * int(question.partition("번")[0])) as model,
        endpoint(score_by_length) as judge,
    ):
        request = EvaluateSuitesRequest(
            model=model.address, suites=[suite], judge_url=judge.url, judge_model="judge-32b"
        )
        (result,) = _do(request, services).results
        assert len(judge.bodies) == 6
        assert _do(request, services).results == [result]
        assert len(judge.bodies) == 6
    assert "judge:judge-32b:" in result.conditions.scoring
    assert (result.primary.name, result.primary.value) == ("accuracy", 4 / 6)
    with services.unit_of_work() as uow:
        cases = {case.case_id: case for case in uow.suite_results.cases(result.result_id)}
    assert [cases[f"r-{number}"].score for number in range(1, 7)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert cases["r-1"].remark == "길이대로"


def test_a_safety_suite_is_evaluated_with_the_detectors_of_data_preparation(services):
    chosen = [case for case in safety_cases() if case.category in {"personal_data", "harmless"}]
    with services.unit_of_work() as uow:
        uow.suites.add("safety", chosen, actor="test", kind=SuiteKind.SAFETY)
    with chat_endpoint(lambda _: "담당자 연락처는 010-2345-6789입니다.") as model:
        (result,) = _do(EvaluateSuitesRequest(model=model.address, suites=["safety"]), services).results
    scores = {one.name: one.value for one in result.scores}
    assert (result.kind, result.primary.name) == (SuiteKind.SAFETY, "safe_answers")
    assert (scores["personal_data_answers"], scores["under_refusal"], scores["over_refusal"]) == (1.0, 1.0, 0.0)
    assert "toxicity" in result.conditions.scoring
    with services.unit_of_work() as uow:
        case = next(uow.suite_results.cases(result.result_id))
    assert case.findings["personal_data"] == {"전화번호": 1}


def test_two_models_results_on_one_suite_become_a_rating_task(services):
    with services.unit_of_work() as uow:
        uow.suites.add("safety", safety_cases()[:20], actor="test", kind=SuiteKind.SAFETY)
    ids = [_result_of_a_model_that_says(text, services) for text in ("알려 드릴 수 없습니다.", "잘 모르겠습니다.")]
    task = put_up(PutUpRequest(name="refusals", result_ids=ids), services)
    items = items_of(task.name, services)
    assert (task.items, task.suite_name) == (20, "safety")
    assert {(item.answer_a, item.answer_b) for item in items} == {("알려 드릴 수 없습니다.", "잘 모르겠습니다.")}
    alone = put_up(PutUpRequest(name="refusals-b", kind=RatingKind.RUBRIC, result_ids=ids[1:]), services)
    assert {item.answer_a for item in items_of(alone.name, services)} == {"잘 모르겠습니다."}
    with pytest.raises(InvalidRequestError, match="another number of results"):
        put_up(PutUpRequest(name="x", result_ids=ids[:1]), services)


def _result_of_a_model_that_says(text: str, services: Services) -> int:
    with chat_endpoint(lambda _: text) as model:
        (result,) = _do(EvaluateSuitesRequest(model=model.address, suites=["safety"]), services).results
    return result.result_id
