"""The nearest setting that fits: the least harm first, and the same global batch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.enums import Method
from tests.training.fitting.test_memory import GB, model, setup
from training.fitting.memory import estimate_memory
from training.fitting.setup import nearest_setting, setup_of
from training.recipe import load_recipe, recipe_names


def changes(size, wanted, capacity_gb, devices=1):
    found = nearest_setting(model(size), wanted, round(capacity_gb * GB), devices)
    return None if found is None else {change.field: change.proposed for change in found.changes}


def test_a_smaller_micro_batch_keeps_the_global_batch_and_comes_first():
    found = changes("8B", setup(batch_size=16, accumulation=2, masked=True), 40)
    assert found is not None
    assert set(found) == {"batch_size", "gradient_accumulation_steps"}
    assert int(found["batch_size"]) * int(found["gradient_accumulation_steps"]) == 32


def test_recomputed_activations_come_before_anything_that_changes_the_result():
    assert changes("8B", setup(checkpointing=False), 40) == {"gradient_checkpointing": "true"}


def test_a_method_that_trains_less_comes_before_shorter_samples():
    found = changes("32B", setup(), 40)
    assert found is not None
    assert found["method"] == "qlora"
    assert "max_seq_length" not in found


def test_a_model_too_large_for_one_card_is_divided_where_there_are_more():
    wanted = setup("full", weight_bytes=4, accumulation=16)
    found = changes("8B", wanted, 85, devices=8)
    assert found == {"sharding": "fsdp2", "num_gpus": "2", "gradient_accumulation_steps": "8"}
    alone = changes("8B", wanted, 85)
    assert alone is not None
    assert "num_gpus" not in alone


def test_nothing_is_proposed_where_nothing_fits():
    assert changes("32B", setup(), 10) is None


@given(
    st.sampled_from(["0.6B", "8B", "32B"]),
    st.sampled_from(Method),
    st.integers(1, 64),
    st.integers(5, 200),
    st.booleans(),
)
def test_what_is_proposed_fits_and_keeps_the_global_batch(size, method, batch, capacity_gb, checkpointing):
    wanted = setup(method=method, batch_size=batch, accumulation=3, checkpointing=checkpointing, masked=batch > 1)
    found = nearest_setting(model(size), wanted, capacity_gb * GB)
    if found is None:
        return
    assert found.total_bytes <= capacity_gb * GB
    proposed = {change.field: change.proposed for change in found.changes}
    kept = int(proposed.get("batch_size", batch)) * int(proposed.get("gradient_accumulation_steps", 3))
    assert kept == batch * 3


def test_a_recipe_becomes_a_setup():
    recipe = load_recipe("qwen3-8b-lora")
    found = setup_of(recipe, num_gpus=2, on_gpu=True, longest_tokens=900)
    assert (found.weight_bytes, found.autocast, found.sequence_tokens, found.devices) == (2, True, 900, 2)
    assert setup_of(load_recipe("demo-lora"), num_gpus=1, on_gpu=False).weight_bytes == 4


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("qwen3")])
def test_every_recipe_for_80_gb_cards_fits_them(name):
    recipe = load_recipe(name)
    wanted = setup_of(recipe, num_gpus=recipe.num_gpus, on_gpu=True)
    size = name.split("-")[1].upper()
    assert estimate_memory(model(size), wanted).total_bytes < 85 * GB  # the driver says 85.5e9 of an H100
