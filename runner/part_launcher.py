"""Another host's part of an attempt: `python -m runner.part_launcher <job folder> <attempt> <rank>`.

Like the attempt's launcher (runner/launcher.py), it outlives its runner, beats, and leaves exit.json as its last act.
Whether the job has succeeded, is stopped or hangs is the leading launcher's to say; this one ends when that one has.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from contracts.record import utc_now
from runner.launcher import HEARTBEAT_SECONDS, POLL_SECONDS, STOP_GRACE_SECONDS, beat, command_of, take_lock
from runner.parts import BROKEN_GRACE_SECONDS, END_GRACE_SECONDS, LeadingPart
from settings.logs import start_logging
from stages.launching import GPU_IDS_VARIABLE
from storage.files import write_json_atomically
from storage.job_folder import AttemptFolder, JobFolder
from storage.job_state import EXIT_CODE_STOPPED, read_submission
from storage.private_folders import remove_private_folders
from storage.processes import ATTEMPT_VARIABLE, attempt_mark, die_with_parent, identity_of, kill_attempt

log = logging.getLogger("launcher")


def main(arguments: list[str]) -> int:
    """Run one part to its end."""
    folder, number, rank = JobFolder(Path(arguments[0]).resolve()), int(arguments[1]), int(arguments[2])
    start_logging("launcher", job=folder.root.name, attempt=str(number), run_id=read_submission(folder).owner)
    attempt = folder.attempt(number)
    part = attempt.part(rank)
    part.root.mkdir(parents=True, exist_ok=True)
    if not take_lock(part.root / "launcher.lock") or part.exit.exists():
        log.warning("part %d of attempt %d of %s runs already, or has ended", rank, number, folder.root.name)
        return 0
    told_to_end = False

    def end(*_: object) -> None:
        nonlocal told_to_end
        told_to_end = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    gpu_ids: list[object] = json.loads(os.environ.get(GPU_IDS_VARIABLE, "[]"))
    write_json_atomically(
        part.launcher,
        {**identity_of(os.getpid()), "gpu_ids": gpu_ids, "started_at": utc_now().isoformat()},  # type: ignore[dict-item]
    )
    leading, mark = LeadingPart(attempt), attempt_mark(folder.root, number, rank)
    code = EXIT_CODE_STOPPED
    if leading.ended() is None:
        submission = read_submission(folder)
        child = subprocess.Popen(
            command_of(submission, folder, number, rank),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
            env={**os.environ, ATTEMPT_VARIABLE: mark},
        )
        log.info("part %d of attempt %d of %s: process %d", rank, number, folder.root.name, child.pid)
        code = _watch(child, part, leading, mark, lambda: told_to_end)
        kill_attempt(mark)
        remove_private_folders(folder.root)
    write_json_atomically(
        part.exit, {"exit_code": 128 - code if code < 0 else code, "finished_at": utc_now().isoformat()}
    )
    return 0


def _watch(
    child: "subprocess.Popen[bytes]",
    part: AttemptFolder,
    leading: LeadingPart,
    mark: str,
    told_to_end: Callable[[], bool],
) -> int:
    """Wait for the part's process, beating; its exit code."""
    last_beat = 0.0
    kill_at: float | None = None
    while True:
        try:
            return child.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        if now - last_beat >= HEARTBEAT_SECONDS:
            last_beat = now
            beat(part, child.pid)
        if kill_at is None:
            why = leading.ended()
            if why is not None and leading.succeeded():
                kill_at = now + END_GRACE_SECONDS
            elif why is not None:
                log.warning("ending this part: %s", why)
                child.terminate()
                kill_at = now + BROKEN_GRACE_SECONDS
            elif told_to_end():
                log.warning("ending this part: this host was told to end")
                child.terminate()
                kill_at = now + STOP_GRACE_SECONDS
        elif now > kill_at:
            child.kill()
            kill_attempt(mark)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
