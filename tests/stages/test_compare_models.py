"""Only what was measured under the same conditions is compared; what was not says which condition differs."""

import pytest
from statsmodels.stats.contingency_tables import mcnemar

from contracts.errors import InvalidRequestError
from contracts.model_comparison import ModelPair, SuiteComparison
from stages.compare_models import compare_models
from tests.evaluation.builders import report, suite
from tests.stages.lineage_story import add_dataset, add_job, add_result, add_version, conditions


@pytest.fixture
def versions(services) -> tuple[int, int]:
    """Two versions of one name, by jobs that differ in their rank."""
    dataset = add_dataset(services, "a", ["tolls.jsonl"], [])
    jobs = [add_job(services, dataset, f"job-{rank}", lora_rank=rank, epochs=3) for rank in (8, 16)]
    first, second = (add_version(services, job, content) for job, content in zip(jobs, "cd", strict=True))
    return first, second


def pair(services, **options) -> ModelPair:
    (found,) = compare_models(["assistant@1", "assistant@2"], services, **options).pairs
    return found


def only_suite(found: ModelPair) -> SuiteComparison:
    (only,) = found.suites
    return only


def test_cases_won_and_lost_are_told_with_both_answers_and_the_exact_test(services, versions):
    add_result(services, versions[0], {0, 1, 2, 3, 4, 5})
    add_result(services, versions[1], {3, 4, 5, 6, 7, 8, 9})
    compared = only_suite(pair(services))
    assert compared.is_comparable
    counts = compared.counts
    assert counts is not None
    assert (counts.both_right, counts.won, counts.lost, counts.both_wrong, counts.cases) == (3, 4, 3, 0, 10)
    assert counts.mcnemar_p == pytest.approx(mcnemar([[3, 3], [4, 0]], exact=True).pvalue)
    assert [case.case_id for case in compared.won] == ["case-006", "case-007", "case-008", "case-009"]
    assert (compared.lost[0].reference_answer, compared.lost[0].other_answer) == ("5년", "모릅니다")
    (score,) = compared.scores
    assert (score.reference.value, score.other.value) == (0.6, 0.7)
    assert score.other.interval is not None


def test_an_answer_in_other_words_is_counted_and_the_list_is_cut(services, versions):
    add_result(services, versions[0], {0, 1, 2})
    add_result(services, versions[1], {0, 1, 2, 3, 4}, answer="다섯 해")
    compared = only_suite(pair(services, shown=1))
    assert compared.counts is not None
    assert (compared.counts.reworded, compared.counts.won) == (3, 2)
    assert len(compared.won) == 1


def test_results_under_other_conditions_are_not_compared_and_the_condition_is_named(services, versions):
    add_result(services, versions[0], {0, 1})
    add_result(services, versions[1], {0, 1, 2}, under=conditions(engine="embedded 1"))
    compared = only_suite(pair(services))
    assert not compared.is_comparable
    assert compared.scores == []
    assert compared.counts is None
    (condition,) = compared.differing
    assert (condition.name, condition.reference, condition.other) == ("engine", "vllm 0.11.2", "embedded 1")


def test_an_older_result_under_the_same_conditions_is_compared_where_there_is_one(services, versions):
    add_result(services, versions[0], {0, 1})
    add_result(services, versions[1], {0, 1, 2})
    add_result(services, versions[1], {0}, under=conditions(engine="embedded 1"))
    compared = only_suite(pair(services))
    assert compared.is_comparable
    assert compared.scores[0].other.value == 0.3


def test_suites_of_one_side_alone_are_named(services, versions):
    add_result(services, versions[0], {0}, under=conditions("road-rules"))
    add_result(services, versions[1], {0}, under=conditions("safety-rules"))
    found = pair(services)
    assert (found.suites, found.only_reference, found.only_other) == ([], ["road-rules"], ["safety-rules"])


def test_configuration_and_data_are_compared(services, versions):
    found = pair(services)
    assert [(value.name, value.reference, value.other) for value in found.configuration] == [
        ("hyperparameters.lora_rank", 8, 16)
    ]
    assert found.dataset is not None
    assert (found.dataset.is_same, found.dataset.reference) == (True, "regulations v1.0")


def test_data_whose_folder_is_gone_says_so(services, versions):
    dataset = add_dataset(services, "b", ["safety.jsonl"], [])
    add_version(services, add_job(services, dataset, "job-3"), "e")
    (found,) = compare_models(["assistant@1", "assistant@3"], services).pairs
    assert found.dataset is not None
    assert (found.dataset.is_same, found.dataset.added) == (False, None)
    assert "is gone" in found.dataset.why_not


def test_evaluations_of_jobs_are_compared_where_their_suites_are_the_same_file(services, versions):
    for model_id, tuned in zip(versions, (150, 170), strict=True):
        with services.unit_of_work() as uow:
            job_id = uow.models.get(model_id).finetuning_job_id
            extra = suite("unseen", 50, 1, tuned // 5).model_copy(update={"sha256": f"{tuned:064d}"})
            example = report(tuned=tuned, extras=[extra]).model_copy(update={"job_id": job_id})
            from tests.evaluation.builders import results

            uow.evaluations.add(example, content_key=f"evaluate-{tuned}", cases=results(200, 20, tuned))
    main, other_file = pair(services).suites
    assert (main.source, main.suite, main.is_comparable) == ("evaluation", "regulations", True)
    assert main.counts is not None
    assert (main.counts.won, main.counts.lost, main.counts.both_right) == (20, 0, 150)
    assert [value.name for value in other_file.differing] == ["suite_sha256"]


def test_more_than_two_are_compared_with_the_first(services, versions):
    add_version(services, 1, "e", name="other")
    comparison = compare_models(["assistant@2", "assistant@1", "other"], services)
    assert [(found.reference, found.other) for found in comparison.pairs] == [
        ("assistant@2", "assistant@1"),
        ("assistant@2", "other@1"),
    ]
    assert [listing.version.model_name for listing in comparison.models] == ["assistant", "assistant", "other"]


@pytest.mark.parametrize("given", [["assistant@1"], ["assistant@1", "assistant@1"], []])
def test_a_comparison_needs_two_different_versions(services, versions, given):
    with pytest.raises(InvalidRequestError, match="two or more"):
        compare_models(given, services)
