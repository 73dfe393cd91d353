"""The search space: which numbers of a recipe a sweep may try, and the recipe of one trial."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from contracts.enums import Method, Pruner, SweepMetric
from contracts.errors import InvalidRequestError
from training.recipe import LORA_ONLY, Recipe

if TYPE_CHECKING:
    from contracts.record import JsonObject
    from contracts.sweeps import SearchRange, SweepRequest

FIXED = ("description", "method", "objective", "num_gpus", "logging_steps", "eval_steps", "save_steps")
"""Not a matter of training better: a sweep sets the steps itself, and another method or objective is another sweep."""


def searchable() -> list[str]:
    """The numbers of a recipe that a sweep may try."""
    return sorted(name for name in Recipe.model_fields if name not in FIXED)


def is_whole(name: str) -> bool:
    """The recipe takes whole numbers only here."""
    annotation = Recipe.model_fields[name].annotation
    kinds = set(get_args(annotation)) - {type(None)} or {annotation}
    return kinds == {int}


def check_space(request: SweepRequest, recipe: Recipe) -> None:
    """Every number of the space is one that the recipe knows, and every value one that it takes.

    Raises InvalidRequestError at the first that is not.
    """
    allowed = searchable()
    for name, values in request.search_space.items():
        if name not in allowed:
            nearest = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
            raise InvalidRequestError(
                "The search space names something that cannot be searched",
                value=name,
                allowed=", ".join(allowed),
                next_step=f"did you mean {nearest[0]}?" if nearest else "choose one of these",
            )
        if name in LORA_ONLY and request.method is Method.FULL:
            raise InvalidRequestError(
                "Full fine-tuning has no adapter",
                value=f"search_space.{name}",
                next_step=f"take {name} out of the search space, or choose the method lora",
            )
        for value in _extremes(name, values):
            with_values(recipe, {name: value})


def _extremes(name: str, values: SearchRange) -> list[Any]:
    if values.choices is not None:
        return list(values.choices)
    assert values.low is not None and values.high is not None, "SearchRange refuses anything else"
    kinds = (get_args(Recipe.model_fields[name].annotation), Recipe.model_fields[name].annotation)
    if is_whole(name):
        for bound in (values.low, values.high):
            if bound != int(bound):
                raise InvalidRequestError(
                    f"{name} takes whole numbers",
                    value=f"search_space.{name}: {values.low:g} to {values.high:g}",
                    next_step="give a whole low and high",
                )
        return [int(values.low), int(values.high)]
    if kinds[1] is not float and float not in kinds[0]:
        raise InvalidRequestError(
            f"{name} has no range: its values are words",
            value=f"search_space.{name}: {values.low:g} to {values.high:g}",
            next_step=f"give choices, for example {_words(name)}",
        )
    return [values.low, values.high]


def _words(name: str) -> str:
    annotation = Recipe.model_fields[name].annotation
    words = [word for part in (annotation, *get_args(annotation)) for word in get_args(part) if isinstance(word, str)]
    return str(sorted(set(words))) if words else "[true, false]"


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with these numbers in it. Raises InvalidRequestError where it does not take one."""
    try:
        return Recipe.model_validate({**recipe.model_dump(), **values})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidRequestError(
            f"The recipe does not take a value of the search space: {str(first['msg']).removeprefix('Value error, ')}",
            value=f"{place} = {first['input']}" if place else ", ".join(f"{key} = {v}" for key, v in values.items()),
            next_step="correct the search space",
        ) from None


def trial_recipe(request: SweepRequest, recipe: Recipe, values: JsonObject, rows: int) -> Recipe:
    """What one trial trains with: its numbers, and as many evaluations as the sweep asks for, a checkpoint at each.

    `rows` are the training rows: an estimate of the steps is enough, the last evaluation is at the end anyhow.
    """
    chosen = with_values(recipe, values)
    per_step = chosen.batch_size * chosen.gradient_accumulation_steps
    steps = math.ceil(chosen.num_epochs * max(1, math.ceil(rows / per_step)))
    every = max(1, math.ceil(steps / request.evaluations_per_trial))
    return with_values(chosen, {"eval_steps": every, "save_steps": every, "logging_steps": min(10, every)})


def check_sweep(request: SweepRequest, recipe: Recipe, rows: int, validation_rows: int) -> None:
    """What of a sweep can be known to be wrong before a trial is begun. Raises InvalidRequestError."""
    check_space(request, recipe)
    if SweepMetric.EVAL_LOSS in request.objectives and validation_rows == 0:
        raise InvalidRequestError(
            "The dataset version has no validation rows, so no trial has a validation loss",
            value="objective eval_loss",
            allowed="objectives without eval_loss",
            next_step="prepare the dataset with val_ratio above 0, or choose train_loss",
        )
    if request.pruner is Pruner.NONE:
        return
    shortest = _steps_of_shortest(request, recipe, rows)
    if shortest < 2:
        raise InvalidRequestError(
            "The shortest trial has one step only: it cannot be pruned",
            value=f"{rows} rows, batch_size and num_epochs of the search space",
            next_step="set pruner to none, or choose smaller batches or more epochs",
        )


def _steps_of_shortest(request: SweepRequest, recipe: Recipe, rows: int) -> int:
    def bound(name: str, largest: bool) -> float:
        values = request.search_space.get(name)
        if values is None:
            return float(getattr(recipe, name))
        extremes = [float(value) for value in _extremes(name, values)]
        return max(extremes) if largest else min(extremes)

    per_step = bound("batch_size", True) * bound("gradient_accumulation_steps", True)
    return math.ceil(bound("num_epochs", False) * max(1, math.ceil(rows / per_step)))
