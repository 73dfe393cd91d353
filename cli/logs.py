"""The logs of processes and jobs."""

import time
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import TextIO

from contracts.errors import NotFoundError, TunewayError
from settings import Settings
from storage.job_folder import JobFolder
from storage.job_state import read_submission
from storage.log_lines import ReadableWriter, readable

POLL_SECONDS = 0.3
BLOCK_BYTES = 64 * 1024


def log_names(settings: Settings) -> list[str]:
    """Names of the processes and jobs that have a log."""
    processes = {path.stem for path in settings.logs_dir.glob("*.log")}
    jobs = {path.parent.name for path in settings.jobs_dir.glob("*/submission.json")}
    return sorted(processes | jobs)


def log_path(settings: Settings, name: str) -> Path:
    """Log of a process, or of a job's newest attempt. Raises NotFoundError with the names there are."""
    names = log_names(settings)
    if name not in names:
        similar = get_close_matches(name, names, n=1)
        raise NotFoundError(
            "There is no log of that name",
            value=name,
            allowed=", ".join(names) or "none yet: start the platform with `tuneway up`",
            next_step=f"did you mean `tuneway logs {similar[0]}`?" if similar else "see `tuneway status`",
        )
    path = settings.logs_dir / f"{name}.log"
    if path.exists():
        return path
    folder = JobFolder(settings.jobs_dir / name)
    try:
        return folder.attempt(read_submission(folder).attempt).log
    except TunewayError:
        return folder.attempt(1).log


def last_lines(path: Path, count: int) -> tuple[str, int]:
    """The last lines of a file and the offset of its end, reading from the end backwards."""
    with path.open("rb") as stream:
        end = position = stream.seek(0, 2)
        tail = b""
        while position > 0 and tail.count(b"\n") <= count:
            step = min(BLOCK_BYTES, position)
            position -= step
            stream.seek(position)
            tail = stream.read(step) + tail
    lines = tail.splitlines(keepends=True)
    shown = b"".join(lines[-count:] if count else []).decode("utf-8", errors="replace")
    return "\n".join(readable(line) for line in shown.split("\n")), end


def follow(path: Path, offset: int, out: TextIO, *, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Write what is appended, also over a rotation, for as long as `goes_on`; JSON lines as a person reads them."""
    stream, inode = None, None
    shown = ReadableWriter(out)
    try:
        while goes_on():
            if stream is None and path.exists():
                stream = path.open("rb")
                inode = path.stat().st_ino
                stream.seek(min(offset, path.stat().st_size))
            if stream is not None:
                shown.write(stream.read().decode("utf-8", errors="replace"))
                shown.flush()
                if not path.exists() or path.stat().st_ino != inode or path.stat().st_size < stream.tell():
                    shown.write(stream.read().decode("utf-8", errors="replace"))
                    stream.close()
                    stream, offset = None, 0
                    continue
            time.sleep(POLL_SECONDS)
    finally:
        if stream is not None:
            stream.close()
