"""What happens beside the steps: metrics, progress, early stopping, and the end on request."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from contracts.record import utc_now
from training.checkpoints import finite
from training.metrics import BYTES_PER_MB, perplexity, resident_mb

if TYPE_CHECKING:
    from training.metrics import MetricsFile, ProgressWriter
    from training.plan import TrainingPlan
    from training.run_state import RunState

PROGRESS_METRICS = ("loss", "eval_loss", "learning_rate", "grad_norm", "tokens_per_second")

log = logging.getLogger("training")


def run_callback(
    plan: TrainingPlan,
    state: RunState,
    progress: ProgressWriter | None,
    metrics: MetricsFile | None,
    *,
    validates: bool,
) -> Any:
    """Metrics, progress, early stopping, and the end on request."""
    import torch
    from transformers import TrainerCallback

    recipe = plan.recipe

    class RunCallback(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self._step_began = 0.0
            self._logged_seconds = state.train_seconds
            self._logged_tokens = 0

        def on_train_begin(self, _args: Any, trainer_state: Any, _control: Any, **_: Any) -> None:
            self._logged_tokens = trainer_state.num_input_tokens_seen
            if progress is not None:
                progress.begin_steps(trainer_state.global_step, trainer_state.max_steps)

        def on_step_begin(self, _args: Any, _trainer_state: Any, _control: Any, **_: Any) -> None:
            self._step_began = time.monotonic()

        def on_step_end(self, _args: Any, trainer_state: Any, control: Any, **_: Any) -> None:
            state.train_seconds += time.monotonic() - self._step_began
            step = trainer_state.global_step
            state.metrics.pop("eval_loss", None)
            if progress is not None:
                progress.beat("training")
                progress.update(step=step, epoch=trainer_state.epoch)
            if step >= trainer_state.max_steps:
                state.ended = True
                control.should_evaluate = validates
                control.should_log = True
            if _any_process_asked(state.stop_requested) and not state.ended:
                control.should_save = True
                control.should_training_stop = True
            if control.should_save and progress is not None:
                progress.update(stage="saving")

        def on_substep_end(self, *_: Any, **__: Any) -> None:
            if progress is not None:
                progress.beat("training")

        def on_prediction_step(self, *_: Any, **__: Any) -> None:
            if progress is not None:
                progress.beat("evaluating")

        def on_save(self, *_: Any, **__: Any) -> None:
            if progress is not None:
                progress.update(stage="training")

        def on_log(self, _args: Any, trainer_state: Any, _control: Any, logs: dict[str, Any], **_: Any) -> None:
            line: dict[str, float | None] = {}
            if "loss" in logs:
                seconds = state.train_seconds - self._logged_seconds
                tokens = trainer_state.num_input_tokens_seen - self._logged_tokens
                self._logged_seconds = state.train_seconds
                self._logged_tokens = trainer_state.num_input_tokens_seen
                line = {
                    "loss": float(logs["loss"]),
                    "grad_norm": float(logs["grad_norm"]) if "grad_norm" in logs else None,
                    "learning_rate": float(logs["learning_rate"]) if "learning_rate" in logs else None,
                    "tokens_per_second": tokens / seconds if seconds > 0 else None,
                    "memory_mb": _memory_mb(),
                    **_rewards(logs, ""),
                }
                state.metrics["loss"] = float(logs["loss"])
            elif "eval_loss" in logs:
                loss = float(logs["eval_loss"])
                # the loss of preferences is no likelihood of tokens
                likelihood = {"perplexity": perplexity(loss)} if recipe.objective == "sft" else {}
                line = {"eval_loss": loss, **likelihood, **_rewards(logs, "eval_")}
            if not line:
                return
            present = finite(line)
            if metrics is not None:
                metrics.append(
                    {
                        "step": trainer_state.global_step,
                        "epoch": float(trainer_state.epoch or 0.0),
                        "timestamp": utc_now().isoformat(),
                        **present,
                    }
                )
            if progress is not None:
                progress.update(**{name: value for name, value in present.items() if name in PROGRESS_METRICS})
                shown = "  ".join(f"{name} {value:.4g}" for name, value in present.items())
                log.info("step %d/%d  %s", trainer_state.global_step, trainer_state.max_steps, shown)

        def on_evaluate(
            self, _args: Any, trainer_state: Any, control: Any, metrics: dict[str, float], **_: Any
        ) -> None:
            if progress is not None:
                progress.update(stage="saving" if control.should_save else "training")
            loss = float(metrics["eval_loss"])
            state.metrics.update(eval_loss=loss)
            best = state.best_eval_loss
            if best is None or loss < best - recipe.early_stopping_min_delta:
                state.best_eval_loss, state.best_step = loss, trainer_state.global_step
                state.evaluations_without_gain = 0
            else:
                state.evaluations_without_gain += 1
            patience = recipe.early_stopping_patience
            if patience is not None and state.evaluations_without_gain >= patience and not state.ended:
                log.info("validation loss has not fallen for %d evaluations: training ends", patience)
                state.ended = True
                control.should_save = True
                control.should_training_stop = True

    def _memory_mb() -> float:
        return torch.cuda.memory_allocated() / BYTES_PER_MB if torch.cuda.is_available() else resident_mb()

    return RunCallback()


def _rewards(logs: dict[str, Any], prefix: str) -> dict[str, float | None]:
    """With dpo: by how much the chosen answer is preferred to the rejected one, and in what share of the pairs."""
    names = {"reward_margin": "rewards/margins", "reward_accuracy": "rewards/accuracies"}
    return {prefix + ours: float(logs[prefix + theirs]) for ours, theirs in names.items() if prefix + theirs in logs}


def _any_process_asked(asked: bool) -> bool:
    """Every process of the run must stop at the same step."""
    import torch
    import torch.distributed as distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return asked
    device = "cuda" if torch.cuda.is_available() else "cpu"
    flag = torch.tensor(int(asked), device=device)
    distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return bool(flag.item())
