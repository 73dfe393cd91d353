"""Start a program after ending what an earlier, killed process of it left behind.

    python -m cli.run_alone GROUP_FILE COMMAND...

A scheduler killed with -9 leaves its forked workers alive, which hold its database sockets and, at times, its advisory lock:
the next scheduler then reports healthy and never queues anything. Under supervisord each program leads its own process
group, so the group of the earlier process says who is left over. The standard library only: it runs before every start.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

MARKS = ("TUNEWAY_SUPERVISED", "TUNEWAY_DATA_DIR")


def _marks_of(pid: int) -> dict[bytes, bytes]:
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.partition(b"=") for entry in content.split(b"\0"))
    return {name: value for name, _, value in pairs if name.decode(errors="replace") in MARKS}


def left_over(group: int) -> list[int]:
    """Members of a process group that carry the same marks as this process."""
    own = {name.encode(): os.environ[name].encode() for name in MARKS if name in os.environ}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        pid = int(entry.name)
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == group and own and _marks_of(pid) == own:
                found.append(pid)
    return found


def main(arguments: list[str]) -> None:
    """End the leftovers, note the own group, become the command."""
    group_file, command = Path(arguments[0]), arguments[1:]
    try:
        group = int(json.loads(group_file.read_text(encoding="utf-8"))["group"])
    except (OSError, ValueError, KeyError):
        group = 0
    if group and group != os.getpgrp():
        for pid in left_over(group):
            sys.stdout.write(f"ending process {pid}, left over from an earlier start\n")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    sys.stdout.flush()
    group_file.parent.mkdir(parents=True, exist_ok=True)
    temporary = group_file.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps({"group": os.getpgrp()}), encoding="utf-8")
    temporary.replace(group_file)
    os.execvp(command[0], command)  # noqa: S606 - becoming the program is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
