"""Looks at each step before it touches the weights: what is no number, or diverges, never reaches them.

A step is refused when its loss or its gradient's norm is not finite. A step *spikes* when

    loss > median + spike_factor x max(MAD, 0.1)

over the last `spike_window` losses that did not spike; MAD is the median of their distances from their median, and 0.1
keeps a loss that hardly moves any more from making every wobble a spike. Nothing spikes before twenty losses are known.
Training stops at the `spike_steps`-th spiking step in a row: single bad batches are common and harmless.
"""

from __future__ import annotations

import logging
import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from contracts.errors import TrainingDivergedError
from training.checkpoints import newest_saved_step, set_aside_after
from training.packing import samples_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage.job_folder import JobFolder
    from training.plan import TrainingPlan
    from training.recipe import Recipe
    from training.run_state import RunState

SMALLEST_MAD = 0.1
LEAST_LOSSES = 20
SHOWN_SAMPLES = 5

log = logging.getLogger("training")


@dataclass
class LossHistory:
    """The losses that the next ones are judged by. Part of a checkpoint, so that a resumed run judges alike."""

    losses: list[float] = field(default_factory=list)
    spikes: int = 0
    """Spiking steps in a row, up to now."""

    def judge(self, loss: float, recipe: Recipe) -> str | None:
        """Take a step's loss in; why training must stop, or None."""
        if recipe.spike_factor is not None and len(self.losses) >= LEAST_LOSSES:
            middle = median(self.losses)
            spread = max(median(abs(value - middle) for value in self.losses), SMALLEST_MAD)
            limit = middle + recipe.spike_factor * spread
            if loss > limit:
                self.spikes += 1
                if self.spikes >= recipe.spike_steps:
                    return f"the loss has been above {limit:.4g} for {self.spikes} steps"
                return None
        self.spikes = 0
        self.losses = [*self.losses, loss][-recipe.spike_window :]
        return None


class GuardedSteps:
    """Stands before one of TRL's trainers among a class's bases; `guard_with` says how before training begins."""

    args: Any
    state: Any
    accelerator: Any
    processing_class: Any
    train_dataset: Any

    def guard_with(self, plan: TrainingPlan, folder: JobFolder, run: RunState) -> None:
        """Judge by the plan's recipe; what the run has seen is in its state."""
        self._guard_plan, self._guard_folder, self._guard_run = plan, folder, run
        self._step_losses: list[Any] = []
        self._step_inputs: list[Any] = []

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """One micro-batch; its loss and its samples are remembered until the step is judged."""
        self._step_inputs.append(inputs)
        loss = super().training_step(model, inputs, num_items_in_batch)  # type: ignore[misc]
        self._step_losses.append(loss.detach())
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        # The last thing before the optimiser's step: the gradient is whole here, on every process alike.
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)  # type: ignore[misc]
        self._judge(model, norm)
        return norm

    def _judge(self, model: Any, norm: Any) -> None:
        loss, norm_value = self._over_processes(sum(self._step_losses)), _norm_of(norm)
        inputs, self._step_losses, self._step_inputs = self._step_inputs, [], []
        step = self.state.global_step + 1
        history = self._guard_run.history
        if not math.isfinite(loss) or not math.isfinite(norm_value):
            which = "loss" if not math.isfinite(loss) else "gradient"
            why, good_until = f"the {which} is not a finite number", step - 1
        else:
            said = history.judge(loss, self._guard_plan.recipe)
            if said is None:
                return
            why, good_until = said, step - history.spikes
        self._stop(model, inputs, step, why, f"loss {loss:.4g}, gradient norm {norm_value:.4g}", good_until)

    def _over_processes(self, loss: Any) -> float:
        """The step's loss over every process: one number, so that all of them decide alike."""
        return float(self.accelerator.gather(loss).float().mean())

    def _stop(self, model: Any, inputs: list[Any], step: int, why: str, numbers: str, good_until: int) -> None:
        samples = self._samples(model, inputs)
        checkpoints = self._guard_folder.checkpoints
        if self.args.process_index == 0:
            moved = set_aside_after(checkpoints, good_until, f"diverged-at-{step}")
            if moved:
                log.warning("set aside, because the loss had begun to rise: %s", ", ".join(moved))
        self.accelerator.wait_for_everyone()
        saved = newest_saved_step(checkpoints)
        raise TrainingDivergedError(
            f"Training stopped at step {step}: {why}",
            value=f"{numbers}; samples of the step, worst first: {samples}",
            allowed=f"finite numbers, and the rule of spikes in docs/training/durability.md; the weights of step "
            f"{step - 1} were not touched",
            next_step=(
                f"the last good checkpoint is checkpoint-{saved}. "
                if saved is not None
                else "no checkpoint exists yet. "
            )
            + "Look at these samples; then start a job of another name without them, or with a lower learning_rate",
        )

    def _samples(self, model: Any, inputs: list[Any]) -> str:
        """The step's samples with the loss of each alone, worst first, as rows of train.parquet."""
        found = [
            (self._loss_of(model, alone), _tokens_of(alone)) for batch in inputs for alone in _samples_of_batch(batch)
        ]
        found = [entry for part in self._gathered(found) for entry in part]
        found.sort(key=lambda entry: (math.isfinite(entry[0]), -entry[0] if math.isfinite(entry[0]) else 0.0))
        shown = found[:SHOWN_SAMPLES]
        tokens = [sample for _, sample in shown]
        if self._guard_plan.recipe.objective == "dpo":
            rows = pairs_within(tokens, self.train_dataset, self.args.max_length)
        else:
            rows = rows_within([row for sample in tokens for row in sample], self._guard_plan, self.processing_class)
        return "; ".join(f"{row} (loss {loss:.4g})" for row, (loss, _) in zip(rows, shown, strict=True))

    def _loss_of(self, model: Any, sample: Any) -> float:
        """Of a row, or with dpo of a pair."""
        import torch

        was_training = model.training
        model.eval()
        try:
            with torch.no_grad(), self.compute_loss_context_manager():  # type: ignore[attr-defined]
                prepared = self._prepare_inputs(sample)  # type: ignore[attr-defined]
                if self._guard_plan.recipe.objective == "dpo":
                    return float(self.compute_loss(model, prepared))  # type: ignore[attr-defined]
                return float(model(**prepared, use_cache=False).loss)
        finally:
            model.train(was_training)

    def _gathered(self, found: list[Any]) -> list[list[Any]]:
        """Every process's samples; all of them call it."""
        import torch.distributed as distributed

        if not distributed.is_available() or not distributed.is_initialized():
            return [found]
        parts: list[list[Any]] = [[] for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(parts, found)
        return parts


def _samples_of_batch(batch: Any) -> list[dict[str, Any]]:
    """A batch of one sample each; with dpo the first half of a batch holds the chosen answers, the second the others."""
    if "completion_mask" not in batch:
        return samples_of(batch)
    tensors = {name: value for name, value in batch.items() if hasattr(value, "shape")}
    pairs = len(batch["input_ids"]) // 2
    return [{name: value[index::pairs] for name, value in tensors.items()} for index in range(pairs)]


def _tokens_of(sample: dict[str, Any]) -> list[list[int]]:
    """Of each row of the sample; of a pair without the padding."""
    rows = [row.tolist() for row in sample["input_ids"]]
    if "completion_mask" not in sample:
        return rows
    return [row[: int(mask.sum())] for row, mask in zip(rows, sample["attention_mask"], strict=True)]


def _norm_of(norm: Any) -> float:
    """The gradient's norm; zero where DeepSpeed keeps it to itself, and a sharded one put together."""
    if norm is None:
        return 0.0
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)


def rows_within(batches: list[list[int]], plan: TrainingPlan, tokenizer: Any) -> list[str]:
    """For each row of a batch, which rows of train.parquet its tokens are: one, or several where rows are packed.

    Tokenises the dataset again: called once, when training has ended for good.
    """
    import pyarrow.parquet as parquet

    from storage.split_files import split_files
    from storage.stored_files import open_stored
    from training.conversations import read_conversations, tokenize_rows, training_template

    path = Path(plan.dataset_path) / "train.parquet"
    template = training_template(tokenizer)
    files = split_files(path)
    keys: list[str] | None = None
    with ExitStack() as stack:
        streams = [stack.enter_context(open_stored(file)) for file in files]
        if all("key" in parquet.read_schema(stream).names for stream in streams):
            keys = [key for stream in streams for key in parquet.read_table(stream, columns=["key"])["key"].to_pylist()]
    found: list[list[str]] = [[] for _ in batches]
    texts = [_marked(tokens) for tokens in batches]
    for index, messages in enumerate(read_conversations(path)):
        for tokens in tokenize_rows(tokenizer, template, [messages], plan.recipe.max_seq_length).input_ids:
            sought = _marked(tokens)
            for place, text in enumerate(texts):
                if sought in text:
                    found[place].append(f"row {index}" if keys is None else f"row {index} (key {keys[index]})")
    return [", ".join(rows) or "a row that is not in train.parquet" for rows in found]


def pairs_within(pairs: list[list[list[int]]], dataset: Any, max_length: int | None) -> list[str]:
    """For each pair of a batch, chosen and rejected, which row of train.parquet it is; of equal ones the first."""
    rows: dict[str, int] = {}
    for index, row in enumerate(dataset):
        both = [(row["prompt_ids"] + row[answer])[:max_length] for answer in ("chosen_ids", "rejected_ids")]
        rows.setdefault(str(both), index)
    found = [rows.get(str(pair)) for pair in pairs]
    return ["a row that is not in train.parquet" if row is None else f"row {row}" for row in found]


def _marked(tokens: Iterable[int]) -> str:
    """Tokens as a text in which only whole tokens can be found."""
    return "," + ",".join(map(str, tokens)) + ","
