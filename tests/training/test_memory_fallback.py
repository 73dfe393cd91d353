"""Half the micro-batch, twice the accumulation, once."""

import pytest

from contracts.errors import CapacityError, RestartNeededError
from training.longest_batch import row_lengths
from training.memory_fallback import adjusted, is_memory_shortage, read_adjustment, shortage_error, smaller_batch
from training.plan import TrainingPlan
from training.recipe import load_recipe


@pytest.mark.parametrize(("present", "smaller"), [(16, (8, 4)), (6, (3, 4)), (9, (3, 6)), (7, (1, 14)), (1, None)])
def test_each_step_sees_as_many_samples_as_before(present, smaller):
    recipe = load_recipe("demo-lora").model_copy(update={"batch_size": present, "gradient_accumulation_steps": 2})
    assert smaller_batch(recipe) == smaller
    if smaller is not None:
        assert smaller[0] * smaller[1] == present * 2


def test_memory_that_runs_out_is_told_from_other_errors():
    import torch

    assert is_memory_shortage(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_memory_shortage(MemoryError())
    assert not is_memory_shortage(RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_memory_shortage(caught.value)


def test_the_first_shortage_asks_for_a_restart_and_the_second_is_final(planned, tmp_path):
    folder = planned("short", base=tmp_path)
    plan = TrainingPlan.model_validate_json(folder.plan.read_text())
    first = shortage_error(plan, folder, MemoryError())
    assert isinstance(first, RestartNeededError)
    smaller = adjusted(plan, read_adjustment(folder))
    assert (smaller.recipe.batch_size, smaller.recipe.gradient_accumulation_steps) == (8, 2)
    assert isinstance(shortage_error(plan, folder, MemoryError()), RestartNeededError)  # another process of the start
    assert isinstance(shortage_error(smaller, folder, MemoryError()), CapacityError)
    assert plan.recipe.batch_size == 16


def test_the_length_of_a_row_counts_all_its_lists():
    from datasets import Dataset

    rows = Dataset.from_dict({"input_ids": [[1], [1, 2, 3]], "labels": [[1, 1], [1]], "name": ["a", "b"]})
    assert list(row_lengths(rows)) == [3, 4]
    assert list(row_lengths(rows.select([1, 0]))) == [4, 3]
