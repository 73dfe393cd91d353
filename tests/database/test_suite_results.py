"""Results of suites: stored once, found by what makes them comparable, with every answer."""

import pytest

from contracts.errors import NotFoundError
from database.repositories import suite_results
from database.unit_of_work import unit_of_work
from tests.evaluation.suite_results import case_scores, suite_result


@pytest.fixture
def uow(database_url):
    with unit_of_work(database_url) as opened:
        yield opened


def test_a_result_comes_back_with_its_cases(uow):
    cases = case_scores([True, False, True])
    stored = uow.suite_results.add(suite_result(cases), cases)
    assert stored.result_id > 0
    assert uow.suite_results.get(stored.result_id) == stored
    assert list(uow.suite_results.cases(stored.result_id)) == cases
    assert uow.suite_results.outcomes(stored.result_id) == {"c-0000": True, "c-0001": False, "c-0002": True}
    assert uow.suite_results.cases_named(stored.result_id, ["c-0001"]) == [cases[1]]


def test_the_same_model_under_the_same_conditions_is_stored_once(uow):
    cases = case_scores([True, False])
    first = uow.suite_results.add(suite_result(cases), cases)
    again = uow.suite_results.add(suite_result(cases), cases)
    assert again == first
    assert len(list(uow.suite_results.cases(first.result_id))) == 2


def test_a_repetition_on_purpose_is_a_result_of_its_own_and_the_newest_is_found(uow):
    cases = case_scores([True, False])
    result = suite_result(cases)
    first = uow.suite_results.add(result, cases)
    second = uow.suite_results.add(result, cases, repetition=1)
    key = result.conditions.comparison_key
    assert second.result_id != first.result_id
    assert uow.suite_results.find(result.model.content_hash, key) == second
    assert uow.suite_results.repetitions(result.model.content_hash, key) == 2


def test_results_of_other_models_under_the_same_conditions_are_comparable(uow):
    cases = case_scores([True])
    ours = uow.suite_results.add(suite_result(cases, "a" * 64), cases)
    theirs = uow.suite_results.add(suite_result(cases, "b" * 64), cases)
    uow.suite_results.add(suite_result(cases, "b" * 64, suite="other"), cases)
    found = uow.suite_results.comparable(ours.conditions.comparison_key)
    assert [result.result_id for result in found] == [theirs.result_id, ours.result_id]
    assert [result.result_id for result in uow.suite_results.newest(model_content_hash="a" * 64)] == [ours.result_id]


def test_an_answer_that_postgresql_cannot_hold_is_stored_without_what_it_cannot(uow):
    broken = [case_scores([True])[0].model_copy(update={"answer": "5\0년 \ud83d 입니다", "findings": {"a": ["\0"]}})]
    stored = uow.suite_results.add(suite_result(broken), broken)
    (case,) = uow.suite_results.cases(stored.result_id)
    assert case.answer == "5\ufffd년 ? 입니다"
    assert case.findings == {"a": ["\ufffd"]}


def test_a_result_that_does_not_exist_is_not_found(uow):
    with pytest.raises(NotFoundError, match="no such suite result"):
        uow.suite_results.get(4711)


def test_cases_are_read_in_pages(uow, monkeypatch):
    monkeypatch.setattr(suite_results, "READ_AT_A_TIME", 100)
    cases = case_scores([number % 3 == 0 for number in range(450)])
    stored = uow.suite_results.add(suite_result(cases), cases)
    assert list(uow.suite_results.cases(stored.result_id)) == cases
