"""Checkpoints as a trainer writes and reads them: in clear, in a private folder, for as long as it needs them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from storage.encryption.container import is_encrypted
from storage.private_folders import make_private_folder, remove_private_folders
from storage.stored_files import copy_in_clear, scope_of_stored
from training.checkpoints import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.job_folder import JobFolder
    from training.plan import TrainingPlan

Made = TypeVar("Made")
SAVED, RESUMED, BEST = "saved", "resumed", "best"
"""What a private folder of a job is for: the checkpoint being written, the one gone on from, the final weights."""
WEIGHTS = ("adapter_", "model", "config", "generation_config")
"""How the names of a checkpoint's files begin that make its adapter or model."""


def sealing_scope(plan: TrainingPlan, folder: JobFolder) -> str | None:
    """Whose key encrypts the job's checkpoints: the dataset's, with which they are erased. None: they stay in clear."""
    scope = scope_of_stored(folder.checkpoints)
    if scope is None or not plan.seals_checkpoints:
        return None
    # a dataset that lies elsewhere has no key here
    return scope_of_stored(Path(plan.dataset_path)) or scope


def open_checkpoint(checkpoint: Path, folder: JobFolder, purpose: str, begins: tuple[str, ...] = ("",)) -> Path:
    """A folder with the checkpoint's files in clear, those whose names begin so: its own where they are not sealed.

    Raises DamagedFileError or KeyUnavailableError.
    """
    files = [path for path in checkpoint.rglob("*") if path.is_file() and path.name != MANIFEST]
    if not any(is_encrypted(path) for path in files):
        return checkpoint
    wanted = [path for path in files if path.relative_to(checkpoint).parts[0].startswith(begins)]
    clear = make_private_folder(folder.root, purpose, sum(path.stat().st_size for path in wanted))
    for path in wanted:
        copy_in_clear(path, clear / path.relative_to(checkpoint))
    return clear


def opened(checkpoint: Path, folder: JobFolder, purpose: str, begins: tuple[str, ...] = ("",)) -> Path:
    """`open_checkpoint` for all processes of a run; on several hosts each has its own copy in clear."""
    return by_first_of_each_host(lambda: open_checkpoint(checkpoint, folder, purpose, begins))


def by_first_process(make: Callable[[], Made]) -> Made:
    """What the run's process of rank 0 has made, in all its processes."""
    import torch.distributed as distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return make()
    made = [make() if int(os.environ["RANK"]) == 0 else None]
    distributed.broadcast_object_list(made, src=0)
    return made[0]  # type: ignore[return-value]


def by_first_of_each_host(make: Callable[[], Made]) -> Made:
    """What the first process of each host has made, in all processes of that host."""
    import torch.distributed as distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return make()
    made: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(made, (host_rank(), make()) if is_first_of_host() else None)
    return next(one[1] for one in made if one is not None and one[0] == host_rank())  # type: ignore[no-any-return]


def host_rank() -> int:
    """Which of the run's hosts this one is; 0 is the one of rank 0."""
    return int(os.environ.get("GROUP_RANK", "0"))


def is_first_of_host() -> bool:
    """What is to be done once on each host is done by this process."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def closing_callback(folder: JobFolder) -> Any:
    """Removes the opened checkpoint after the first step: every process has read it then."""
    from transformers import TrainerCallback

    class ClosingCallback(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self._is_open = True

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if self._is_open:
                self._is_open = False
                remove_private_folders(folder.root, RESUMED)

    return ClosingCallback()
