"""A fine-tuning job that a person is about to start: what they have chosen so far."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import uuid4

from contracts.enums import Method, Priority
from contracts.job_requests import FinetuneJobRequest
from contracts.jobs import DEFAULT_PROJECT
from contracts.training import NAME_PATTERN, Hyperparameters
from dashboard.formats import small

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.recipe import Recipe

ADAPTER_NUMBERS = ("lora_rank", "lora_alpha")
NUMBERS = (
    *ADAPTER_NUMBERS,
    "learning_rate",
    "num_epochs",
    "batch_size",
    "gradient_accumulation_steps",
    "warmup_steps",
    "max_seq_length",
)
LARGEST_SEED = 2**31 - 1


class WizardStep(StrEnum):
    """The steps of the wizard, in order."""

    DATASET = "dataset"
    BASE_MODEL = "base_model"
    METHOD = "method"
    SETTINGS = "settings"
    REVIEW = "review"


STEPS = tuple(WizardStep)


@dataclass
class JobDraft:
    """What has been chosen; kept by the session on the server, so that steps back, redraws and reloads lose nothing."""

    origin: tuple[str, str] = ("", "")
    """The dataset and the job to clone that the address named when it was begun."""
    step: WizardStep = WizardStep.DATASET
    dataset_id: int | None = None
    base_model: str | None = None
    method: Method = Method.LORA
    recipe: str | None = None
    """None until the method's step proposes one."""
    numbers: dict[str, int | float | str] = field(default_factory=dict)
    """By field, where they were given; otherwise the recipe's count."""
    cards: int = 1
    job_name: str = ""
    """Empty: one is proposed."""
    priority: Priority = Priority.NORMAL
    project: str = DEFAULT_PROJECT
    seed: int = 0
    key: str = field(default_factory=lambda: uuid4().hex)
    """Under which it is started once, however often the button is pressed."""
    cloned_from: str = ""
    """The job's name."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Numbers of the cloned job that its recipe has otherwise and that no setting of the wizard can carry."""

    def take(self, recipe: str) -> None:
        """Train by this recipe; numbers that were given for another are not right for it."""
        if recipe != self.recipe:
            self.recipe, self.numbers = recipe, {}

    def number(self, name: str, recipe: Recipe) -> int | float | str:
        """The number as it stands in its field."""
        found: int | float = getattr(recipe, name)
        return self.numbers.get(name, small(found) if name == "learning_rate" else found)

    def fields(self) -> tuple[str, ...]:
        """The numbers that the method has."""
        return NUMBERS if self.method is not Method.FULL else NUMBERS[len(ADAPTER_NUMBERS) :]

    def problems(self) -> set[str]:
        """Fields that do not hold what they must."""
        wrong = set()
        if not re.fullmatch(NAME_PATTERN, self.job_name):
            wrong.add("job_name")
        if "learning_rate" in self.numbers and learning_rate(self.numbers["learning_rate"]) is None:
            wrong.add("learning_rate")
        return wrong

    def changed(self, recipe: Recipe) -> dict[str, int | float]:
        """The numbers that are not the recipe's."""
        found: dict[str, int | float] = {}
        for name in self.fields():
            given = self.numbers.get(name)
            value = learning_rate(given) if name == "learning_rate" and given is not None else given
            if isinstance(value, int | float) and value != getattr(recipe, name):
                found[name] = value
        return found

    def request(self, recipe: Recipe, cards: list[int]) -> FinetuneJobRequest:
        """The job to ask for. Wants a dataset, a base model and no problems."""
        assert self.dataset_id is not None and self.base_model is not None, "the steps before are done"
        return FinetuneJobRequest(
            job_name=self.job_name,
            base_model=self.base_model,
            dataset_id=self.dataset_id,
            method=self.method,
            hyperparameters=Hyperparameters.model_validate(self.changed(recipe)),
            gpu_ids=",".join(str(card) for card in cards[: self.cards]),
            recipe=self.recipe,
            seed=self.seed,
            project=self.project,
            priority=self.priority,
        )

    def propose(self, changes: Mapping[str, str]) -> None:
        """Take over what would fit, as far as it has a field here."""
        for name, proposed in changes.items():
            if name == "num_gpus":
                self.cards = int(proposed)
            elif name in NUMBERS:
                self.numbers[name] = int(proposed)


def learning_rate(given: float | str) -> float | None:
    """The rate that somebody wrote, between 0 and 1; None for anything else."""
    try:
        rate = float(given)
    except ValueError:
        return None
    return rate if 0 < rate <= 1 else None


def proposed_name(*words: str) -> str:
    """A job's name made of words: `regulations-lora`."""
    name = re.sub(r"[^a-zA-Z0-9._-]+", "-", "-".join(words)).strip("-._")
    return name[:100] or "job"
