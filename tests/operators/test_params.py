"""The trigger form and the check of what comes back."""

import pytest
from pydantic import Field

from contracts.enums import Method
from contracts.errors import InvalidRequestError
from contracts.pipeline import DeployModelRequest, EvaluateModelRequest, FinetuneRequest
from contracts.record import Record
from operators.params import form_params, parse_request


def schema_of(name, request=FinetuneRequest):
    return form_params(request)[name].schema


def test_title_and_description_come_from_the_record():
    schema = schema_of("lora_rank")
    assert schema["title"] == "LoRA 랭크"
    assert schema["description_md"].startswith("어댑터 행렬의 차수입니다.")
    assert schema["section"] == "학습"


def test_a_field_that_may_be_empty_keeps_its_bounds():
    schema = schema_of("lora_rank")
    assert (schema["type"], schema["minimum"], schema["maximum"]) == (["null", "integer"], 1, 1024)


def test_a_closed_set_is_a_list_to_choose_from():
    assert schema_of("method")["enum"] == ["lora", "qlora", "full"]
    assert form_params(FinetuneRequest)["method"].value == "lora"


def test_bounds_that_are_not_allowed_themselves_are_kept():
    schema = schema_of("accuracy_bar")
    assert (schema["exclusiveMinimum"], schema["exclusiveMaximum"]) == (0, 1)


def test_a_pattern_reaches_the_form():
    assert schema_of("dataset_name")["pattern"].startswith("^")


def test_a_form_can_take_some_of_the_fields():
    assert set(form_params(FinetuneRequest, ["seed", "dataset_name"])) == {"seed", "dataset_name"}


def test_fields_stand_in_the_order_of_their_sections():
    sections = [param.schema["section"] for param in form_params(FinetuneRequest).values()]
    assert list(dict.fromkeys(sections)) == ["데이터", "모델", "학습", "평가", "배포"]
    assert sections == sorted(sections, key=["데이터", "모델", "학습", "평가", "배포"].index)


def test_a_field_without_a_section_is_found_when_the_dag_is_read():
    class Forgotten(Record):
        surprise: int = Field(default=1, title="놀람")
        """설명"""

    with pytest.raises(AssertionError, match="surprise"):
        form_params(Forgotten)


@pytest.mark.parametrize("request_type", [FinetuneRequest, EvaluateModelRequest, DeployModelRequest])
def test_every_default_passes_the_check_of_its_own_form(request_type):
    params = form_params(request_type, demo=["job_id", "model_id"] if request_type is not FinetuneRequest else [])
    for name, param in params.items():
        assert param.resolve() == param.value, name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_ratio", 0),
        ("train_ratio", "0.9"),
        ("lora_rank", 0),
        ("num_gpus", 3),
        ("method", "LoRA"),
        ("dataset_name", "../secret"),
        ("base_model", "a; rm -rf /"),
        ("model_name", "{{ var.value.x }}"),
        ("test_suite", "cases.jsonl; reboot"),
        ("test_suite", "{{ conn.x }}"),
        ("columns", {"answers": "x"}),
    ],
)
def test_a_value_that_the_record_refuses_is_refused_by_the_form_already(name, value):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        form_params(FinetuneRequest)[name].resolve(value)


def test_what_the_form_sends_becomes_the_record():
    params = {name: param.value for name, param in form_params(FinetuneRequest, demo=["input_files"]).items()}
    request = parse_request(FinetuneRequest, {**params, "method": "full", "lora_rank": 8})
    assert (request.method, request.lora_rank) == (Method.FULL, 8)


def test_a_misspelt_field_is_refused_with_the_right_spelling():
    with pytest.raises(InvalidRequestError) as raised:
        parse_request(FinetuneRequest, {"input_files": ["a.csv"], "lora_rnak": 8})
    assert raised.value.next_step == "write lora_rank instead of lora_rnak"


def test_a_field_that_this_dag_leaves_out_is_refused_and_not_renamed():
    with pytest.raises(InvalidRequestError) as raised:
        parse_request(FinetuneRequest, {"dataset_id": 1}, ["dataset_name", "input_files"])
    assert raised.value.next_step == "remove dataset_id"


def test_ratios_that_do_not_sum_to_one_are_told_in_one_sentence():
    with pytest.raises(InvalidRequestError, match=r"train_ratio \+ val_ratio \+ test_ratio is 0.6, must be 1"):
        parse_request(FinetuneRequest, {"input_files": ["a.csv"], "train_ratio": 0.5})


def test_the_wrong_field_and_its_value_are_named():
    with pytest.raises(InvalidRequestError) as raised:
        parse_request(FinetuneRequest, {"input_files": ["a.csv"], "columns": {"answer": "{"}})
    assert "columns.answer" in raised.value.what
    assert raised.value.value == "{"
