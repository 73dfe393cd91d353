"""metrics.jsonl and progress.json: what a run tells while it works."""

import json
import logging
import math
import os
import threading
import time
from pathlib import Path
from typing import Any

from contracts.record import JsonObject, utc_now
from contracts.training import JobProgress
from storage.files import write_json_atomically, write_text_atomically
from storage.job_folder import JobFolder
from storage.job_state import require_present_attempt

PROGRESS_SECONDS = 0.5
CURVE_POINTS = 200
BYTES_PER_MB = 1_000_000
MAX_EXPONENT = 700.0
"""exp() of more overflows a double."""

log = logging.getLogger("training")


class MetricsFile:
    """One JSON object a line, appended; flushed to the disk with each checkpoint."""

    def __init__(self, path: Path, resume_step: int) -> None:
        self._path = path
        kept = [line for line in read_metrics(path) if _step(line) <= resume_step]
        write_text_atomically(path, "".join(_line(values) for values in kept))
        self._stream = path.open("a", encoding="utf-8")

    def append(self, values: JsonObject) -> None:
        """One line, readable by others at once."""
        require_present_attempt()
        self._stream.write(_line(values))
        self._stream.flush()

    def flush_to_disk(self) -> None:
        """After this, the lines so far outlive the machine."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Flush and close."""
        self.flush_to_disk()
        self._stream.close()


def read_metrics(path: Path) -> list[JsonObject]:
    """The file's lines. A last line that is being written is left out."""
    return read_metrics_from(path, 0)[0]


def read_metrics_from(path: Path, offset: int) -> tuple[list[JsonObject], int]:
    """The whole lines from a byte offset on, and the offset behind them."""
    if not path.exists():
        return [], offset
    with path.open("rb") as stream:
        stream.seek(offset)
        raw = stream.read()
    whole = raw[: raw.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines() if line.strip()], offset + len(whole)


def loss_curve(path: Path, points: int = CURVE_POINTS) -> list[tuple[int, float]]:
    """(step, training loss), evenly thinned; the first and the last point stay."""
    curve = [(_step(line), float(str(line["loss"]))) for line in read_metrics(path) if "loss" in line]
    if len(curve) <= points:
        return curve
    last = len(curve) - 1
    return [curve[round(index * last / (points - 1))] for index in range(points)]


def perplexity(loss: float | None) -> float | None:
    """exp(loss); None where that is too large for a number."""
    return math.exp(loss) if loss is not None and loss < MAX_EXPONENT else None


def resident_mb() -> float:
    """Main memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / BYTES_PER_MB


class ProgressWriter:
    """Keeps progress.json fresh from a thread of its own, also while a step takes long."""

    def __init__(self, folder: JobFolder, stage: str) -> None:
        self._path = folder.progress
        self._lock = threading.Lock()
        self._values: dict[str, Any] = {"stage": stage}
        self._steps_at_start: tuple[int, float] | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> "ProgressWriter":
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._write()

    def update(self, **values: Any) -> None:
        """New values of JobProgress's fields; those not named stay."""
        with self._lock:
            self._values.update(values)

    def beat(self, stage: str) -> None:
        """Another piece of work is done: a micro-batch, a validation batch."""
        with self._lock:
            self._values.update(stage=stage, beats=self._values.get("beats", 0) + 1)

    def begin_steps(self, step: int, total: int) -> None:
        """Training begins (or goes on) at this step."""
        with self._lock:
            self._steps_at_start = (step, time.monotonic())
            self._values.update(stage="training", step=step, total_steps=total)

    def _run(self) -> None:
        while not self._ending.wait(PROGRESS_SECONDS):
            self._write()

    def _write(self) -> None:
        with self._lock:
            values = {**self._values, "memory_mb": resident_mb(), "eta_seconds": self._eta_seconds()}
        progress = JobProgress.model_validate({**values, "updated_at": utc_now()})
        try:
            write_json_atomically(self._path, progress.model_dump(mode="json"))
        except OSError as error:  # a full disk: the next checkpoint will say so where it matters
            log.warning("no progress written: %s", error)

    def _eta_seconds(self) -> float | None:
        if self._steps_at_start is None:
            return None
        first, began = self._steps_at_start
        step, total = int(self._values["step"]), int(self._values["total_steps"])
        if step <= first:
            return None
        return max(0.0, (time.monotonic() - began) / (step - first) * (total - step))


def _line(values: JsonObject) -> str:
    return json.dumps(values, ensure_ascii=False, sort_keys=True) + "\n"


def _step(values: JsonObject) -> int:
    return int(str(values["step"]))
