"""What a run of another trainer has told so far, while it goes on.

Three sources, the later ones outrank the earlier: its text output (transformers prints `{'loss': …}` each logged step,
and a bar with the steps), LLaMA-Factory's trainer_log.jsonl, and trainer_state.json of its newest checkpoint.
"""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

from contracts.record import JsonObject, Record, utc_now
from training.checkpoints import PREFIX, step_of
from training.export.outcome import METRICS, STATE_FILE

if TYPE_CHECKING:
    from pathlib import Path

LOSSES_FILE = "trainer_log.jsonl"
"""LLaMA-Factory's, one logged step a line."""
_PRINTED = re.compile(r"\{'[^{}]*\}")
_BAR = re.compile(r"\|\s*(\d+)/(\d+) \[")


class RunSoFar(Record):
    """Where the run is."""

    step: int = 0
    total_steps: int = 0
    """0 where it has not said so yet."""
    epoch: float = 0.0
    lines: list[JsonObject] = []
    """As metrics.jsonl has them, by step."""


class LiveRun:
    """Reads a run's files again where they have changed.

    :param logging_steps: steps between two losses in the text output, which does not number them
    :param first_step: the step after which the text output begins
    """

    def __init__(self, output: Path, log: Path | None = None, logging_steps: int = 1, first_step: int = 0) -> None:
        self._output, self._log = output, log
        self._logging_steps, self._first_step = logging_steps, first_step
        self._seen: dict[Path, tuple[int, int]] = {}
        self._printed: dict[tuple[int, str], dict[str, float]] = {}
        self._logged: dict[tuple[int, str], dict[str, float]] = {}
        self._stated: dict[tuple[int, str], dict[str, float]] = {}
        self._steps: dict[str, tuple[int, int]] = {}

    def look(self) -> RunSoFar | None:
        """All of it, where there is anything new; else None."""
        changed = [self._read_text(), self._read_losses(), self._read_state()]
        if not any(changed):
            return None
        told: dict[tuple[int, str], dict[str, float]] = {}
        # the text has no numbers of its own: it counts only where the trainer writes none
        for source in (self._stated, self._logged) if self._logged else (self._printed, self._stated):
            for place, values in source.items():
                told.setdefault(place, {}).update(values)
        for place, values in self._stated.items():
            told[place].update(values)
        now = utc_now().isoformat()
        lines: list[JsonObject] = [
            {"step": step, "timestamp": now, **values} for (step, _), values in sorted(told.items(), key=_train_first)
        ]
        step = max([taken for taken, _ in self._steps.values()] + [taken for taken, _ in told])
        total = max(total for _, total in self._steps.values()) if self._steps else 0
        return RunSoFar(
            step=step,
            total_steps=total,
            epoch=max((values.get("epoch", 0.0) for values in told.values()), default=0.0),
            lines=lines,
        )

    def _has_changed(self, path: Path) -> bool:
        try:
            state = path.stat()
        except OSError:
            return False
        mark = (state.st_mtime_ns, state.st_size)
        if self._seen.get(path) == mark:
            return False
        self._seen[path] = mark
        return True

    def _read_state(self) -> bool:
        """The newest state: the folder's own, written at the end, or that of the last checkpoint."""
        steps = sorted((step_of(path.name) for path in self._output.glob(f"{PREFIX}*")), reverse=True)
        paths = [self._output / STATE_FILE, *(self._output / f"{PREFIX}{step}" / STATE_FILE for step in steps)]
        path = next((path for path in paths if path.exists()), None)
        if path is None or not self._has_changed(path):
            return False
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            entries, self._steps["state"] = state["log_history"], (int(state["global_step"]), int(state["max_steps"]))
        except (OSError, ValueError, KeyError, TypeError):
            del self._seen[path]  # being written: the next look sees it whole
            return False
        self._stated = _by_place((int(entry["step"]), entry) for entry in entries if "step" in entry)
        return True

    def _read_losses(self) -> bool:
        path = self._output / LOSSES_FILE
        if not self._has_changed(path):
            return False
        entries = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                entries.append((int(entry["current_steps"]), {**entry, "learning_rate": _rate(entry)}))
                self._steps["losses"] = (int(entry["current_steps"]), int(entry["total_steps"]))
            except (ValueError, KeyError, TypeError):
                continue  # the last line is being written
        self._logged = _by_place(entries)
        return bool(entries)

    def _read_text(self) -> bool:
        if self._log is None or not self._has_changed(self._log):
            return False
        text = self._log.read_text(encoding="utf-8", errors="replace")
        bars = [(int(step), int(total)) for step, total in _BAR.findall(text)]
        if bars:  # the first bar is the training's, later ones are also those of evaluations
            self._steps["text"] = max(bar for bar in bars if bar[1] == bars[0][1])
        entries: list[tuple[int, dict[str, Any]]] = []
        step = self._first_step
        for found in _PRINTED.findall(text):
            try:
                entry = ast.literal_eval(found)
            except (ValueError, SyntaxError):
                continue
            if "loss" in entry:
                step += self._logging_steps
            if "loss" in entry or "eval_loss" in entry:
                entries.append((step, entry))
        self._printed = _by_place(entries)
        return bool(bars or entries)


def _by_place(entries: Any) -> dict[tuple[int, str], dict[str, float]]:
    """(step, training or validation) -> values; a step that was done again has its newest ones."""
    found: dict[tuple[int, str], dict[str, float]] = {}
    for step, entry in entries:
        kind = "eval_loss" if entry.get("eval_loss") is not None else "loss"
        if entry.get(kind) is None:
            continue
        values = {}
        for name in (*METRICS, "epoch"):
            try:
                values[name] = float(entry[name])
            except (KeyError, TypeError, ValueError):
                continue
        if kind in values:
            found[step, kind] = values
    return found


def _rate(entry: JsonObject) -> object:
    return entry.get("lr", entry.get("learning_rate"))


def _train_first(item: tuple[tuple[int, str], dict[str, float]]) -> tuple[int, bool]:
    (step, kind), _ = item
    return step, kind == "eval_loss"
