"""Records refuse what they do not know."""

import pytest
from pydantic import ValidationError

from contracts.datasets import PrepareRequest
from contracts.errors import InvalidRequestError, TunewayError, UnavailableError
from contracts.experiments import TrafficSplit
from contracts.pipeline import FinetuneRequest
from contracts.training import Hyperparameters


def test_an_unknown_field_is_refused():
    with pytest.raises(ValidationError, match="lora_rnak"):
        Hyperparameters.model_validate({"lora_rnak": 8})


def test_rank_zero_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Hyperparameters(lora_rank=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TrafficSplit(a=0.5, b=0.6),
        lambda: PrepareRequest(import_id="x", dataset_name="x", train_ratio=0.8, val_ratio=0.1, test_ratio=0.2),
        lambda: FinetuneRequest(input_files=["a"], train_ratio=0.8, val_ratio=0.1, test_ratio=0.2),
    ],
)
def test_shares_that_do_not_sum_to_one_are_refused_with_their_sum(make):
    with pytest.raises(ValidationError, match=r"is 1\.1, must be 1"):
        make()


def test_a_pipeline_without_data_is_refused():
    with pytest.raises(ValidationError, match="input_files"):
        FinetuneRequest()


@pytest.mark.parametrize("path", ["a;rm -rf /", "{{ var.value.x }}", "$(id)", "a\nb", "`id`"])
def test_a_path_that_a_shell_or_a_template_would_read_is_refused(path):
    with pytest.raises(ValidationError):
        FinetuneRequest(input_files=["a"], test_suite=path)


def test_every_field_of_the_request_has_a_korean_title_and_description():
    for name, field in FinetuneRequest.model_fields.items():
        for text in (field.title, field.description):
            assert text, name
            assert any("가" <= letter <= "힣" for letter in text), name


def test_an_error_reads_as_one_sentence_with_its_four_parts():
    error = InvalidRequestError("The rank is not valid", value=0, allowed="1 to 1024", next_step="choose 8")
    assert str(error) == "The rank is not valid. Got: 0. Allowed: 1 to 1024. Next: choose 8."
    assert error.as_record()["value"] == "0"
    assert not error.retryable
    assert UnavailableError("x").retryable


def test_error_codes_are_distinct():
    def family(cls: type[TunewayError]) -> list[type[TunewayError]]:
        return [cls, *(below for child in cls.__subclasses__() for below in family(child))]

    codes = [cls.code for cls in family(TunewayError)]
    assert len(codes) == len(set(codes))
