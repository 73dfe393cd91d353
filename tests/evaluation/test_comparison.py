"""From answers to a suite's report."""

import pytest

from contracts.evaluation import TestCase
from contracts.suites import CaseScore
from evaluation.asking import Answer
from evaluation.comparison import accuracy_of, compare_suite, pair_scores
from evaluation.suites.cases import score_answers
from evaluation.suites.kind import RunOptions
from tests.evaluation.builders import results

CASES = [
    TestCase(id="1", question="보존 기간은?", accepted_answers=["5년"], category="tolls"),
    TestCase(id="2", question="담당 부서는?", accepted_answers=["영업처"], category="service"),
]


def _scored(*answers: str, cases: list[TestCase] = CASES) -> list[CaseScore]:
    said = [Answer(case.id, text, "stop", 1.0) for case, text in zip(cases, answers, strict=True)]
    return score_answers(cases, said, RunOptions()).cases


def test_each_model_is_scored_on_each_case():
    scored = pair_scores(CASES, _scored("15년", "영업처입니다"), _scored("5년입니다", "영업처장"))
    assert [(case.base_correct, case.tuned_correct) for case in scored] == [(False, True), (True, False)]
    assert scored[0].tuned_answer == "5년입니다"


def test_each_case_is_scored_by_its_own_scorer():
    cases = [TestCase(id="1", question="요금은?", accepted_answers=["15000"], scorer="number", options={"unit": "원"})]

    [scored] = pair_scores(cases, _scored("1만 4천원", cases=cases), _scored("1만 5천원입니다", cases=cases))

    assert (scored.base_correct, scored.tuned_correct) == (False, True)


def test_a_case_without_a_score_of_both_is_not_compared():
    assert [case.case_id for case in pair_scores(CASES, _scored("5년", "영업처"), _scored("5년", "영업처")[:1])] == [
        "1"
    ]


def test_won_and_lost_cases_are_counted_on_pairs():
    report = compare_suite("s", "/s.jsonl", "0" * 64, results(10, base=4, tuned=8), {"beyond_max_cases": 3})
    assert (report.won, report.lost) == (6, 2)  # base: 0-3, tuned: 2-9
    assert report.mcnemar_p == pytest.approx(0.28906, abs=5e-6)
    assert report.excluded == {"beyond_max_cases": 3}


def test_accuracy_is_told_by_category():
    accuracy = accuracy_of([("tolls", True), ("tolls", False), ("service", True)])
    assert (accuracy.n, accuracy.correct) == (3, 2)
    assert accuracy.by_category == {"service": 1.0, "tolls": 0.5}
