"""Fit a training before it starts: memory, disk, time; and refuse what cannot fit, with the nearest setting that does."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.enums import Method
from contracts.errors import CapacityError, InvalidDataError
from contracts.fitting import FitPlan, FitVerdict, MemoryEstimate, RowLengths
from contracts.training import Hyperparameters
from stages.cards import cards
from stages.model_gate import base_model_folder

if TYPE_CHECKING:
    from contracts.fitting import TimeEstimate
    from contracts.training import TrainRequest
    from settings import Settings
    from stages.services import Services
    from training.fitting.disk import Retention
    from training.recipe import Recipe

BYTES_PER_GB = 1_000_000_000
MEASURED_ROWS = 200
"""Of the dataset version, evenly spaced, whose tokens are counted; the longest ones are counted beside them."""
LONGEST_ROWS = 20
EARLIER_JOBS = 5


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room of one device."""

    on_gpu: bool
    size_bytes: int | None
    source: str
    card: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetTokens:
    """How long a dataset version's training rows are."""

    rows: int
    tokens: int
    longest: int


def plan_request(request: TrainRequest, services: Services) -> FitPlan:
    """`plan_training` for a whole request."""
    return plan_training(
        request.recipe,
        services,
        base_model=request.base_model,
        method=request.method,
        hyperparameters=request.hyperparameters,
        num_gpus=request.num_gpus,
        num_nodes=request.num_nodes,
        dataset_id=request.dataset_id,
    )


def plan_training(
    recipe_name: str,
    services: Services,
    *,
    base_model: str,
    method: Method | None = None,
    hyperparameters: Hyperparameters | None = None,
    num_gpus: int = 1,
    num_nodes: int = 1,
    dataset_id: int | None = None,
    rows: RowLengths | None = None,
) -> FitPlan:
    """What a training would need and what there is. Starts nothing, writes nothing.

    `rows`: those of the dataset version, measured before; with `dataset_id` they are measured, which loads transformers.
    """
    from training.fitting.architecture import read_architecture
    from training.fitting.disk import estimate_disk
    from training.fitting.memory import estimate_memory
    from training.fitting.setup import nearest_setting, setup_of
    from training.recipe import load_recipe, resolve_recipe

    settings = services.settings
    chosen = method or load_recipe(recipe_name, settings.recipes_dir).method
    recipe = resolve_recipe(recipe_name, hyperparameters or Hyperparameters(), chosen, settings.recipes_dir)
    folder = base_model_folder(base_model, settings)
    model = read_architecture(folder)
    capacity = capacity_of(settings, num_gpus)
    if dataset_id is not None:
        rows = row_lengths(dataset_id, folder, recipe.objective, services)
    length = None if rows is None else tokens_in(rows, recipe)
    setup = setup_of(
        recipe,
        num_gpus=num_gpus * num_nodes,
        on_gpu=capacity.on_gpu,
        longest_tokens=None if length is None else length.longest,
    )
    memory = None if model is None else estimate_memory(model, setup)
    verdict = verdict_of(memory, capacity)
    settings.jobs_dir.mkdir(parents=True, exist_ok=True)
    return FitPlan(
        recipe=recipe_name,
        base_model=base_model,
        method=recipe.method,
        device="gpu" if capacity.on_gpu else "cpu",
        num_gpus=num_gpus,
        num_nodes=num_nodes,
        batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        sequence_tokens=setup.sequence_tokens,
        memory=memory,
        capacity_bytes=capacity.size_bytes,
        capacity_source=capacity.source,
        verdict=verdict,
        nearest=nearest_setting(model, setup, capacity.size_bytes, _devices(num_gpus, num_nodes, settings))
        if model is not None and capacity.size_bytes is not None and verdict is FitVerdict.TOO_LARGE
        else None,
        disk=estimate_disk(settings.jobs_dir, folder, recipe, retention(settings)),
        time=None if length is None else _time(recipe, folder, num_gpus, num_nodes, length, services),
    )


def _devices(num_gpus: int, num_nodes: int, settings: Settings) -> int:
    """Over how many a model may be divided: on one host its cards, on several as many as were asked for."""
    return settings.job_slots if num_nodes == 1 else num_gpus * num_nodes


def check_memory(recipe: Recipe, folder: Path, num_gpus: int, settings: Settings, *, num_nodes: int = 1) -> None:
    """Raise CapacityError, naming the nearest setting that fits, where the recipe's longest batch has no room.

    A model that cannot be estimated, or a device that nobody knows, passes: the job itself will tell.
    """
    from training.fitting.architecture import read_architecture
    from training.fitting.memory import estimate_memory
    from training.fitting.setup import nearest_setting, setup_of

    model, capacity = read_architecture(folder), capacity_of(settings, num_gpus)
    if model is None or capacity.size_bytes is None:
        return
    setup = setup_of(recipe, num_gpus=num_gpus * num_nodes, on_gpu=capacity.on_gpu)
    memory = estimate_memory(model, setup)
    if verdict_of(memory, capacity) is not FitVerdict.TOO_LARGE:
        return
    nearest = nearest_setting(model, setup, capacity.size_bytes, _devices(num_gpus, num_nodes, settings))
    parts = ", ".join(f"{part} {_gb(size)}" for part, size in memory.parts.items())
    raise CapacityError(
        "The training does not fit into memory",
        value=f"about {_gb(memory.total_bytes)} on each {'GPU' if capacity.on_gpu else 'process'} ({parts})",
        allowed=f"{_gb(capacity.size_bytes)} ({capacity.source})",
        next_step=f"take {nearest.sentence()}: about {_gb(nearest.total_bytes)}. `tuneway train plan` shows the sum"
        if nearest is not None
        else "no setting of this base model fits: take a smaller one, or a GPU with more memory",
    )


def expected_seconds(
    recipe: Recipe,
    model: Path,
    dataset: Path,
    num_gpus: int,
    tokenizer: Any,
    services: Services,
    *,
    num_nodes: int = 1,
) -> float | None:
    """The long end of a job's estimated duration, for the queue; None for a model that cannot be estimated."""
    rows = tokens_in(measure_rows(dataset, recipe.objective, tokenizer), recipe)
    estimate = _time(recipe, model, num_gpus, num_nodes, rows, services)
    return None if estimate is None else round(estimate.high_seconds, 1)


def verdict_of(memory: MemoryEstimate | None, capacity: Capacity) -> FitVerdict:
    """Whether the estimate, and whether it with its error, has room."""
    if memory is None or capacity.size_bytes is None:
        return FitVerdict.UNKNOWN
    if memory.total_bytes > capacity.size_bytes:
        return FitVerdict.TOO_LARGE
    if memory.total_bytes + memory.error * memory.tensor_bytes > capacity.size_bytes:
        return FitVerdict.TIGHT
    return FitVerdict.FITS


def capacity_of(settings: Settings, num_gpus: int) -> Capacity:
    """Room of one device: the setting, the driver's figure, or this machine's memory shared by the processes."""
    if settings.gpu_memory_gb is not None:
        return Capacity(
            on_gpu=True,
            size_bytes=round(settings.gpu_memory_gb * BYTES_PER_GB),
            source="setting TUNEWAY_GPU_MEMORY_GB",
        )
    present = cards()
    if present:
        smallest, name = min(present)
        return Capacity(on_gpu=True, size_bytes=smallest, source=name, card=name)
    if settings.runner_url is not None:
        return Capacity(on_gpu=True, size_bytes=None, source="another machine's: set TUNEWAY_GPU_MEMORY_GB")
    shared = f" / {num_gpus} processes" if num_gpus > 1 else ""
    return Capacity(on_gpu=False, size_bytes=_memory_bytes() // num_gpus, source=f"this machine's memory{shared}")


def retention(settings: Settings) -> Retention:
    """Checkpoints that stay, and what must remain free."""
    from training.fitting.disk import Retention

    return Retention(settings.checkpoint_keep, settings.checkpoint_keep_best, settings.min_free_disk_gb)


def _memory_bytes() -> int:
    """Memory of the machine, or of the container where that may use less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine


def row_lengths(dataset_id: int, model: Path, objective: str, services: Services) -> RowLengths:
    """`measure_rows` for a dataset version and a base model's folder. Loads transformers."""
    from transformers import AutoTokenizer

    with services.unit_of_work() as uow:
        dataset = uow.datasets.get(dataset_id)
    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    return measure_rows(Path(dataset.file_path), objective, tokenizer)


def measure_rows(folder: Path, objective: str, tokenizer: Any) -> RowLengths:
    """Tokens of some training rows; the longest are looked for among those with the most characters.

    Raises InvalidDataError where there are no rows.
    """
    from training.conversations import tokenize, training_template

    conversations = _conversations(folder, objective)
    if not conversations:
        raise InvalidDataError("The dataset version has no training rows", value=folder)
    template = training_template(tokenizer)

    def count(messages: list[dict[str, str]]) -> int:
        return len(tokenize(tokenizer, template, messages)[0])

    step = max(1, len(conversations) // MEASURED_ROWS)
    by_characters = sorted(conversations, key=lambda messages: -sum(len(turn["content"]) for turn in messages))
    return RowLengths(
        conversations=len(conversations),
        sampled_tokens=[count(messages) for messages in conversations[::step]],
        longest_tokens=[count(messages) for messages in by_characters[:LONGEST_ROWS]],
    )


def tokens_in(rows: RowLengths, recipe: Recipe) -> DatasetTokens:
    """What a recipe reads of the rows. Packed ones are as long as it says, and as many as their samples fill."""
    lengths = [min(recipe.max_seq_length, length) for length in rows.sampled_tokens]
    tokens = round(rows.conversations * sum(lengths) / len(lengths))
    if recipe.packing:
        return DatasetTokens(math.ceil(tokens / recipe.max_seq_length), tokens, recipe.max_seq_length)
    longest = min(recipe.max_seq_length, max([*rows.sampled_tokens, *rows.longest_tokens]))
    pairs = 2 if recipe.objective == "dpo" else 1
    return DatasetTokens(rows.conversations // pairs, tokens, longest)


def _conversations(folder: Path, objective: str) -> list[list[dict[str, str]]]:
    """What a model reads of the training rows: of a pair of answers, both with their question."""
    from training.conversations import read_conversations
    from training.preferences import read_preferences

    path = folder / "train.parquet"
    if objective != "dpo":
        return read_conversations(path)
    return [[*row["prompt"], *row[answer]] for row in read_preferences(path) for answer in ("chosen", "rejected")]


def _time(
    recipe: Recipe, folder: Path, num_gpus: int, num_nodes: int, length: DatasetTokens, services: Services
) -> TimeEstimate | None:
    from training.fitting.architecture import read_architecture
    from training.fitting.duration import estimate_time
    from training.fitting.setup import setup_of

    model, capacity = read_architecture(folder), capacity_of(services.settings, num_gpus)
    if model is None:
        return None
    with services.unit_of_work() as uow:
        speeds = uow.jobs.measured_speeds(str(folder), recipe.method, num_gpus, EARLIER_JOBS, num_nodes=num_nodes)
    return estimate_time(
        model,
        setup_of(recipe, num_gpus=num_gpus * num_nodes, on_gpu=capacity.on_gpu, longest_tokens=length.longest),
        rows=length.rows,
        tokens=length.tokens,
        epochs=recipe.num_epochs,
        earlier_speeds=speeds,
        card=capacity.card,
    )


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / BYTES_PER_GB:.1f} GB"
