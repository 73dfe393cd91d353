"""The first task: everything that can be known to be wrong is said here."""

import pytest
from airflow.sdk.exceptions import AirflowFailException

from contracts.pipeline import EvaluateModelRequest, FinetuneRequest
from operators import preflight
from operators.validate_request import ValidateRequestOperator


@pytest.fixture
def inbox(services):
    folder = services.settings.data_dir / "inbox"
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text("{}\n", encoding="utf-8")
    (folder / "empty.jsonl").touch()
    return folder


def validate(context, params, *checks, request=FinetuneRequest):
    context["params"] = params
    return ValidateRequestOperator(task_id="validate_request", request=request, checks=checks).execute(context)


def test_a_good_request_opens_the_runs_row(context, services, inbox):
    params = {"input_files": [str(inbox / "rows.jsonl")], "lora_rank": 8}
    request = validate(context, params, preflight.inputs_exist)
    with services.unit_of_work() as uow:
        run = uow.pipeline_runs.get("run-1")
    assert run.request == request
    assert run.request["lora_rank"] == 8
    assert run.finished_at is None


def test_a_refused_request_leaves_no_row(context, services):
    with pytest.raises(AirflowFailException):
        validate(context, {"input_files": ["a"], "lora_rank": 0})
    with services.unit_of_work() as uow:
        assert uow.pipeline_runs.latest() is None


@pytest.mark.parametrize("name", ["missing.jsonl", "empty.jsonl"])
def test_a_file_that_cannot_be_used_is_named(context, inbox, name):
    with pytest.raises(AirflowFailException, match=name):
        validate(context, {"input_files": [str(inbox / name)]}, preflight.inputs_exist)


def test_input_files_do_not_matter_where_a_dataset_version_is_given(context, services):
    params = {"input_files": ["missing.jsonl"], "dataset_id": 12}
    assert validate(context, params, preflight.inputs_exist)["dataset_id"] == 12


def test_a_dataset_version_that_is_not_there_is_found_at_once(context, services):
    with pytest.raises(AirflowFailException, match="12"):
        validate(context, {"dataset_id": 12}, preflight.dataset_exists)


@pytest.mark.parametrize("field", ["test_suite", "extra_suites"])
def test_a_file_of_test_cases_that_is_not_there_is_found_at_once(context, services, inbox, field):
    missing = str(inbox / "cases.jsonl")
    params = {"dataset_id": 1, field: missing if field == "test_suite" else [missing]}
    with pytest.raises(AirflowFailException, match=r"cases\.jsonl"):
        validate(context, params, preflight.suites_exist)


@pytest.mark.parametrize(("field", "value"), [("base_model", "nowhere"), ("recipe", "demo-lorra")])
def test_an_unknown_model_or_recipe_is_found_before_any_data_is_touched(context, services, field, value):
    with pytest.raises(AirflowFailException, match=value):
        validate(context, {"dataset_id": 1, field: value}, preflight.training_is_known)


def test_a_job_that_does_not_exist_cannot_be_judged(context, services):
    with pytest.raises(AirflowFailException, match="77"):
        validate(context, {"job_id": 77}, preflight.job_is_complete, request=EvaluateModelRequest)
