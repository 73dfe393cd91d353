"""Bytes that a training writes and keeps."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import CapacityError
from contracts.fitting import DiskEstimate
from training.methods import training_method
from training.recipe import Recipe
from training.safetensors_files import tensors_of

BYTES_PER_GB = 1_000_000_000
FLOAT32 = 4
BEING_WRITTEN = 1


@dataclass(frozen=True, slots=True)
class Retention:
    """Checkpoints that stay on the disk, and what must remain free."""

    newest: int
    best: int
    min_free_gb: float


def estimate_disk(jobs_dir: Path, model: Path, recipe: Recipe, retention: Retention) -> DiskEstimate:
    """What the recipe writes for this model, and what there is."""
    weights = list(model.glob("*.safetensors"))
    beside = sum(path.stat().st_size for path in model.iterdir() if path.is_file() and path not in weights)
    return DiskEstimate(
        checkpoint_bytes=checkpoint_bytes(model, recipe),
        checkpoints=retention.newest + retention.best + BEING_WRITTEN,
        output_bytes=trainable_parameters(model, recipe) * FLOAT32 + beside,
        merged_bytes=0
        if not training_method(recipe.method).has_adapter
        else sum(path.stat().st_size for path in weights) + beside,
        free_bytes=shutil.disk_usage(jobs_dir).free,
        reserve_bytes=round(retention.min_free_gb * BYTES_PER_GB),
    )


def check_disk(jobs_dir: Path, model: Path, recipe: Recipe, retention: Retention) -> None:
    """The kept checkpoints, one being written and the output fit. Raises CapacityError."""
    disk = estimate_disk(jobs_dir, model, recipe, retention)
    if disk.fits:
        return
    needed_gb = disk.needed_bytes / BYTES_PER_GB
    raise CapacityError(
        "The disk is too small for this training",
        value=f"{disk.free_bytes / BYTES_PER_GB:.1f} GB free in {jobs_dir}",
        allowed=f"at least {needed_gb + retention.min_free_gb:.1f} GB: {needed_gb:.1f} GB for {disk.checkpoints} "
        f"checkpoints and the result, {retention.min_free_gb:g} GB to remain (setting TUNEWAY_MIN_FREE_DISK_GB)",
        next_step="free some space, or lower TUNEWAY_CHECKPOINT_KEEP",
    )


def checkpoint_bytes(folder: Path, recipe: Recipe) -> int:
    """Size of one checkpoint: the trained weights and Adam's two moments of each, 4 bytes a number."""
    return trainable_parameters(folder, recipe) * 3 * FLOAT32


def trainable_parameters(folder: Path, recipe: Recipe) -> int:
    """Numbers that training moves, from the shapes in the model's files."""
    count = 0
    for tensor in tensors_of(folder):
        if not training_method(recipe.method).has_adapter:
            size = 1
            for length in tensor.shape:
                size *= length
            count += size
        elif len(tensor.shape) == 2 and not tensor.name.startswith(("lm_head", "model.embed_tokens")):
            count += recipe.lora_rank * sum(tensor.shape)
    return count
