"""What is asked of a fine-tuning job by other programs, and what they are told of its start."""

from typing import Self

from pydantic import Field, model_validator

from contracts.enums import Method, Priority
from contracts.fitting import FitPlan
from contracts.jobs import DEFAULT_PROJECT, PROJECT_PATTERN, FinetuningJob
from contracts.record import Record
from contracts.training import BASE_MODEL_PATTERN, NAME_PATTERN, Hyperparameters, TrainRequest

GPU_IDS_PATTERN = r"^[0-9]{1,2}(,[0-9]{1,2})?$"
"""One or two: a run of Airflow takes as many slots of the pool, and its tasks are made for these sizes."""


class FinetuneJobRequest(Record):
    """Fine-tune a base model on a dataset version, and start it."""

    job_name: str = Field(pattern=NAME_PATTERN, examples=["toll-rules-7"])
    """Unique; the same name with the same request again is the same job."""
    base_model: str = Field(pattern=BASE_MODEL_PATTERN, examples=["demo-base"])
    """A name below the models folder, or a path in one of the allowed folders."""
    dataset_id: int = Field(ge=1, le=2**31 - 1, examples=[1])
    method: Method = Method.LORA
    hyperparameters: Hyperparameters = Field(default=Hyperparameters(), examples=[{"lora_rank": 8, "num_epochs": 3}])
    """What is not given is the recipe's."""
    gpu_ids: str = Field(default="0", pattern=GPU_IDS_PATTERN, examples=["0,1"])
    """As many cards as are named; which of them is settled when the job's turn comes."""
    recipe: str | None = Field(default=None, pattern=NAME_PATTERN, examples=["demo-lora"])
    """Null: the one for this base model, method and number of cards."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    project: str = Field(default=DEFAULT_PROJECT, pattern=PROJECT_PATTERN)
    """Whose share of the cards it counts against."""
    priority: Priority = Priority.NORMAL

    @model_validator(mode="after")
    def _every_card_once(self) -> Self:
        if len(set(self.cards)) < len(self.cards):
            raise ValueError(f"gpu_ids names a card twice: {self.gpu_ids}; for example 0,1")
        return self

    @property
    def cards(self) -> list[int]:
        """Their numbers."""
        return [int(card) for card in self.gpu_ids.split(",")]


class QueuedTraining(Record):
    """What a row of finetuning_jobs keeps of its request until Airflow hands the job over."""

    training: TrainRequest
    project: str
    priority: Priority


class CreatedJob(Record):
    """A job's row, and whether its run has begun."""

    job: FinetuningJob
    is_started: bool
    """Airflow has taken the run. False: the job is kept, and the same call again starts it."""
    waiting_for: str | None = None
    """What kept it from starting."""


class JobPlan(Record):
    """A job as it would be started, and what it would need."""

    training: TrainRequest
    fit: FitPlan
    card_hours: float | None
    """Cards times the estimated hours; None for a model that cannot be estimated."""
    card_hours_high: float | None
    """At the long end of the estimate."""
