"""The command line as a person runs it: a process of its own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def tuneway(*arguments: str, timeout: float = 120, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `tuneway ARGUMENTS` in English with further TUNEWAY_ variables, given without the prefix."""
    settings = {f"TUNEWAY_{name}": value for name, value in {"LANGUAGE": "en", **variables}.items()}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def free_port_base(taken: tuple[int, ...] = ()) -> int:
    """The start of a range in which every port of a platform is free."""
    for base in range(21000, 30000, 150):
        if base in taken:
            continue
        listeners = []
        try:
            for offset in (1, 32, 50, 60, 61, 70, 80, 85, 93, 94, 100, 101, 102, 103):
                listener = socket.socket()
                listeners.append(listener)
                listener.bind(("127.0.0.1", base + offset))
        except OSError:
            continue
        finally:
            for listener in listeners:
                listener.close()
        return base
    raise AssertionError("no free range of ports on this machine")
