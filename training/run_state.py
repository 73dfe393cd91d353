"""What a run carries from checkpoint to checkpoint beside the trainer's own state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from training.guard import LossHistory

if TYPE_CHECKING:
    from training.checkpoints import CheckpointManifest


@dataclass
class RunState:
    """Kept in a checkpoint's manifest, save the request to stop."""

    train_seconds: float = 0.0
    best_eval_loss: float | None = None
    best_step: int | None = None
    evaluations_without_gain: int = 0
    ended: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    history: LossHistory = field(default_factory=LossHistory)
    stop_requested: bool = False

    @classmethod
    def of(cls, manifest: CheckpointManifest | None) -> RunState:
        """As the checkpoint left it."""
        if manifest is None:
            return cls()
        return cls(
            manifest.train_seconds,
            manifest.best_eval_loss,
            manifest.best_step,
            manifest.evaluations_without_gain,
            manifest.ended,
            dict(manifest.metrics),
            LossHistory(list(manifest.recent_losses), manifest.spikes),
        )
