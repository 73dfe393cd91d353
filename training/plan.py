"""A fine-tuning run with every name resolved: what the job's process needs, without a database."""

from pydantic import Field

from contracts.record import Record
from training.recipe import Recipe


class FollowedRun(Record):
    """A run that another trainer does (Axolotl, LLaMA-Factory, transformers' Trainer), and that the job follows."""

    output: str
    """The folder in which the other trainer leaves checkpoints, state and, at its end, weights."""
    log: str | None = None
    """Its output as a text file, for its losses between checkpoints; LLaMA-Factory writes them to the folder itself."""
    command: list[str] = []
    """What the job is to start; empty where somebody else has started it."""


class TrainingPlan(Record):
    """Written to plan.json before the job is handed over; never changed afterwards."""

    job_id: int
    job_name: str
    dataset_id: int
    dataset_path: str
    """Folder with train.parquet and validation.parquet."""
    base_model: str
    base_model_path: str
    teacher_path: str | None = None
    """With the objective distill: folder of the model that is learnt from; None otherwise."""
    recipe_name: str
    recipe: Recipe
    """With the request's numbers in it."""
    num_gpus: int = Field(ge=1)
    """On each host."""
    num_nodes: int = Field(default=1, ge=1)
    seed: int = Field(ge=0)
    keep_checkpoints: int = Field(ge=1)
    """The newest ones."""
    keep_best_checkpoints: int = Field(default=1, ge=1)
    """Those with the lowest validation loss, kept beside them."""
    seals_checkpoints: bool = True
    """Where the installation encrypts, checkpoints are encrypted with the dataset's key."""
    cache_dir: str | None = None
    """Where tokenised rows and digests of base models are kept for other runs; None keeps none."""
    watermark: str | None = None
    """What the key of the output's mark is derived for; None leaves it unmarked."""
    followed: FollowedRun | None = None
    """None: the job trains by itself."""
    tags: dict[str, str] = {}
    """What the tracked run is found by: dataset version and hash, code revision, recipe, base model, job."""
