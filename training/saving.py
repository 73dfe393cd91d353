"""Checkpoints of a run as its trainer writes them: whole or absent, and sealed where the installation encrypts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.private_folders import make_private_folder, remove_private_folders
from training.checkpoints import (
    PREFIX,
    STAGING,
    CheckpointManifest,
    commit_checkpoint,
    remove_old_checkpoints,
    seal_staged,
)
from training.fitting.disk import checkpoint_bytes
from training.opened_checkpoints import SAVED, by_first_of_each_host, host_rank, is_first_of_host, sealing_scope

if TYPE_CHECKING:
    from storage.job_folder import JobFolder
    from training.metrics import MetricsFile
    from training.plan import TrainingPlan
    from training.run_state import RunState


class WholeCheckpoints:
    """Stands before one of TRL's trainers among a class's bases; `save_to` says where before training begins."""

    args: Any
    state: Any
    accelerator: Any

    def save_to(self, plan: TrainingPlan, folder: JobFolder, run: RunState, metrics: MetricsFile | None) -> None:
        """Checkpoints go to the job folder, with what the run carries; the trainer's own output is the staging."""
        self._plan, self._folder, self._run_state, self._metrics_file = plan, folder, run, metrics
        self._staging = folder.checkpoints / STAGING
        self._scope = sealing_scope(plan, folder)

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        from transformers import Trainer

        if self._scope is not None:
            # the trainer writes where nothing is on a disk in clear, and it is sealed from there
            self._staging = by_first_of_each_host(self._private_staging)
        # Past TRL's own method: it would write a model card for the hub beside each checkpoint.
        Trainer._save_checkpoint(self, model, trial)
        self.accelerator.wait_for_everyone()
        sealed = self._sealed_elsewhere(f"{PREFIX}{self.state.global_step}")
        if self.args.process_index == 0:
            step, run, checkpoints = self.state.global_step, self._run_state, self._folder.checkpoints
            if self._metrics_file is not None:
                self._metrics_file.flush_to_disk()
            commit_checkpoint(
                self._staging / f"{PREFIX}{step}",
                checkpoints / f"{PREFIX}{step}",
                CheckpointManifest(
                    step=step,
                    epoch=float(self.state.epoch or 0.0),
                    metrics=run.metrics,
                    train_seconds=run.train_seconds,
                    best_eval_loss=run.best_eval_loss,
                    best_step=run.best_step,
                    evaluations_without_gain=run.evaluations_without_gain,
                    ended=run.ended,
                    recent_losses=run.history.losses,
                    spikes=run.history.spikes,
                    files=sealed,
                ),
                self._scope,
            )
            remove_private_folders(self._folder.root, SAVED)
            remove_old_checkpoints(
                checkpoints, self._plan.keep_checkpoints, self._plan.keep_best_checkpoints, run.best_step
            )
        self.accelerator.wait_for_everyone()

    def _sealed_elsewhere(self, name: str) -> dict[str, str]:
        """What processes of other hosts have written of the checkpoint, sealed by each host; digests by file."""
        import torch.distributed as distributed

        if self._scope is None or not distributed.is_available() or not distributed.is_initialized():
            return {}
        sealed: dict[str, str] = {}
        if host_rank() > 0 and is_first_of_host():
            sealed = seal_staged(self._staging / name, self._folder.checkpoints / name, self._scope)
            remove_private_folders(self._folder.root, SAVED)
        parts: list[dict[str, str]] = [{} for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(parts, sealed)
        return {name: digest for part in parts for name, digest in part.items()}

    def _private_staging(self) -> Path:
        needed = checkpoint_bytes(Path(self._plan.base_model_path), self._plan.recipe)
        return make_private_folder(self._folder.root, SAVED, needed)
