"""What Axolotl or LLaMA-Factory left, in our words. Both are transformers' Trainer underneath: its state tells all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from contracts.errors import InvalidDataError
from contracts.record import JsonObject, Record

if TYPE_CHECKING:
    from pathlib import Path

STATE_FILE = "trainer_state.json"
METRICS = ("loss", "grad_norm", "learning_rate", "eval_loss")


class OtherRun(Record):
    """A run that another trainer has finished."""

    steps: int
    epochs: float
    eval_loss: float | None
    seconds: float
    tokens: int
    """That the trainer has counted; 0 where it was not told to."""
    lines: list[JsonObject]
    """As metrics.jsonl has them."""


def read_outcome(output: Path) -> OtherRun:
    """The finished run in an output folder. Raises InvalidDataError where it is not finished or not whole."""
    states = [*output.glob(STATE_FILE), *output.glob(f"checkpoint-*/{STATE_FILE}")]
    if not states:
        raise InvalidDataError(
            "The folder holds no run", value=output, allowed=f"a {STATE_FILE}", next_step="train it first"
        )
    found = [(json.loads(path.read_text(encoding="utf-8")), path) for path in states]
    state, path = max(found, key=lambda entry: (entry[0]["global_step"], entry[1].parent == output))
    stopped_early = "early_stopping" in json.dumps(state.get("stateful_callbacks", {})).lower()
    if state["global_step"] < state["max_steps"] and not stopped_early:
        raise InvalidDataError(
            "The other trainer has not finished",
            value=f"step {state['global_step']} of {state['max_steps']} in {path}",
            next_step="let it finish, then adopt it",
        )
    if not any(output.glob("*.safetensors")):
        raise InvalidDataError(
            "The other trainer has left no weights",
            value=output,
            allowed="adapter_model.safetensors or model*.safetensors",
            next_step="look at its log",
        )
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
    lines: list[JsonObject] = [
        {
            "step": entry["step"],
            "epoch": entry.get("epoch", 0.0),
            "timestamp": written,
            **{name: float(entry[name]) for name in METRICS if name in entry},
        }
        for entry in state["log_history"]
        if "loss" in entry or "eval_loss" in entry
    ]
    losses = [entry["eval_loss"] for entry in state["log_history"] if "eval_loss" in entry]
    summary: dict[str, object] = next(
        (entry for entry in reversed(state["log_history"]) if "train_runtime" in entry), {}
    )
    return OtherRun(
        steps=state["global_step"],
        epochs=float(state.get("epoch") or 0.0),
        eval_loss=losses[-1] if losses else None,
        seconds=float(str(summary.get("train_runtime", 0.0))),
        tokens=int(state.get("num_input_tokens_seen", 0)),
        lines=lines,
    )
