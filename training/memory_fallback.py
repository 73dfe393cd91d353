"""When memory runs out: once, half the micro-batch and twice the accumulation, so that each step sees the same samples.

adjustments.json in the job folder holds what was changed, for every later start of the job; plan.json never changes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from contracts.errors import CapacityError, RestartNeededError
from contracts.record import Record
from storage.files import read_json, write_json_atomically

if TYPE_CHECKING:
    from storage.job_folder import JobFolder
    from training.plan import TrainingPlan
    from training.recipe import Recipe

log = logging.getLogger("training")


class Adjustment(Record):
    """What differs from the plan, and why."""

    batch_size: int
    gradient_accumulation_steps: int
    why: str


def read_adjustment(folder: JobFolder) -> Adjustment | None:
    """What an earlier start of the job has changed."""
    found = read_json(folder.adjustments)
    return None if found is None else Adjustment.model_validate(found)


def adjusted(plan: TrainingPlan, adjustment: Adjustment | None) -> TrainingPlan:
    """The plan with the adjustment in it."""
    if adjustment is None:
        return plan
    numbers = adjustment.model_dump(include={"batch_size", "gradient_accumulation_steps"})
    return plan.model_copy(update={"recipe": plan.recipe.model_copy(update=numbers)})


def is_memory_shortage(error: BaseException) -> bool:
    """The error says that a card's memory, or the machine's, did not suffice."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("CUDA out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    )


def shortage_error(plan: TrainingPlan, folder: JobFolder, error: BaseException) -> CapacityError | RestartNeededError:
    """What to raise: RestartNeededError once, with the smaller micro-batch written down; then CapacityError."""
    recipe = plan.recipe
    smaller = smaller_batch(recipe)
    present = read_adjustment(folder)
    already = present is not None and present.batch_size == recipe.batch_size
    first_line = (str(error) or type(error).__name__).splitlines()[0]
    if smaller is None or already:
        return CapacityError(
            "Memory does not suffice for this job, also with a smaller micro-batch"
            if already
            else "Memory does not suffice for this job",
            value=f"batch_size {recipe.batch_size} of {recipe.max_seq_length} tokens: {first_line}",
            next_step="see what fits with `tuneway train plan`: a shorter max_seq_length, gradient_checkpointing, qlora",
        )
    batch_size, accumulation = smaller
    why = (
        f"memory ran out with batch_size {recipe.batch_size}: going on with {batch_size} and "
        f"{accumulation} accumulated, the same {batch_size * accumulation} samples a step and process"
    )
    adjustment = Adjustment(batch_size=batch_size, gradient_accumulation_steps=accumulation, why=why)
    write_json_atomically(folder.adjustments, adjustment.model_dump(mode="json"))
    log.warning("%s (%s)", why, first_line)
    return RestartNeededError("Memory ran out", value=first_line, next_step=why)


def smaller_batch(recipe: Recipe) -> tuple[int, int] | None:
    """The largest micro-batch of at most half that divides the present one, and the accumulation; None below two."""
    present = recipe.batch_size
    for smaller in range(present // 2, 0, -1):
        if present % smaller == 0:
            return smaller, recipe.gradient_accumulation_steps * (present // smaller)
    return None
