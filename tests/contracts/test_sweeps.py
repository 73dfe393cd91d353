"""What a sweep may be asked."""

import pytest
from pydantic import ValidationError

from contracts.sweeps import SearchRange, SweepRequest


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "give low and high, or choices"),
        ({"low": 1}, "give low and high, or choices"),
        ({"low": 2, "high": 2}, "the range is empty"),
        ({"low": 3, "high": 2}, "the range is empty"),
        ({"low": 0, "high": 2, "log": True}, "above 0"),
        ({"low": 1, "high": 2, "choices": [1]}, "either choices"),
        ({"choices": []}, "at least 1"),
        ({"choices": [1, 1]}, "twice"),
    ],
)
def test_a_range_that_says_nothing_or_two_things_is_refused(values, words):
    with pytest.raises(ValidationError, match=words):
        SearchRange.model_validate(values)


def test_choices_keep_their_kinds():
    kept = SearchRange.model_validate_json('{"choices": [1, 1.5, "cosine", true]}').choices
    assert kept is not None
    assert [type(value) for value in kept] == [int, float, str, bool]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objectives": ["eval_loss", "duration_seconds"]}, "several objectives"),
        ({"objectives": ["duration_seconds"]}, "at a trial's end only"),
        ({"objectives": ["eval_loss", "eval_loss"], "pruner": "none"}, "twice"),
        ({"evaluations_per_trial": 1}, "evaluated once"),
        ({"search_space": {}}, "at least 1"),
    ],
)
def test_a_sweep_that_contradicts_itself_is_refused(changes, words):
    space = {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}}
    with pytest.raises(ValidationError, match=words):
        SweepRequest.model_validate({"dataset_id": 1, "search_space": space, **changes})


def test_several_objectives_go_without_a_pruner():
    request = SweepRequest.model_validate(
        {
            "dataset_id": 1,
            "search_space": {"lora_rank": {"choices": [4, 8]}},
            "objectives": ["eval_loss", "duration_seconds"],
            "pruner": "none",
        }
    )
    assert len(request.objectives) == 2
