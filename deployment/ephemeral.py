"""A model server for the length of a block: evaluation asks it, then it is gone."""

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.errors import JobFailedError
from deployment import client
from deployment.backends import choose_server
from deployment.specification import ServerEndpoint, ServerSpec
from settings import Settings
from storage.ports import claimed_port

log = logging.getLogger(__name__)

START_TIMEOUT_S = 600.0
"""A 32B model is read from a slow disk in a few minutes; a server that died is noticed at once."""
STOP_TIMEOUT_S = 20.0
POLL_INTERVAL_S = 0.1
LOG_TAIL_BYTES = 3000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def running_server(
    spec: ServerSpec, settings: Settings, log_path: Path, start_timeout_s: float = START_TIMEOUT_S
) -> Iterator[ServerEndpoint]:
    """Start a server for `spec` on a free port, warm it up, and stop it at the end, whatever happens.

    It is a process group of its own and gets SIGTERM when the calling thread's process dies. Raises JobFailedError
    with the end of its log when it does not come up.
    """
    server = choose_server(settings, spec.backend)
    with claimed_port(settings.host) as port:
        command = server.command(spec, settings, port)
        base_url = f"http://{settings.host}:{port}/v1"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with log_path.open("ab") as output:
            process = subprocess.Popen(
                command.arguments,
                env=command.environment,
                cwd=settings.repository_root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        try:
            _wait_until_healthy(process, base_url, log_path, start_timeout_s)
            names = client.model_names(base_url)
            missing = set(spec.model_names) - set(names)
            if missing:
                raise JobFailedError(
                    "The model server does not serve every model it was started with",
                    value=", ".join(sorted(missing)),
                    next_step=f"look at {log_path}",
                )
            client.warm_up(base_url, spec.model_names)
            log.info("%s serves %s after %.1f s", server.backend.value, names, time.monotonic() - started)
            yield ServerEndpoint(
                base_url=base_url, model_names=spec.model_names, backend=server.backend, pid=process.pid
            )
        finally:
            stop_process_group(process)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _wait_until_healthy(process: subprocess.Popen[bytes], base_url: str, log_path: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not client.is_healthy(base_url):
        code = process.poll()
        if code is not None or time.monotonic() > deadline:
            happened = f"ended with code {code}" if code is not None else f"is not ready after {timeout_s:.0f} s"
            raise JobFailedError(
                f"The model server {happened}",
                value=log_tail(log_path),
                allowed="a server that answers /health",
                next_step=f"read {log_path}",
            )
        time.sleep(POLL_INTERVAL_S)


def log_tail(path: Path) -> str:
    """The last lines of a log."""
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - LOG_TAIL_BYTES))
        return stream.read().decode(errors="replace").strip()


def stop_process_group(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the group, SIGKILL to what is left of it; nothing of it lives afterwards."""
    _signal_group(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        log.warning("the model server (pid %d) did not stop within %.0f s and is killed", process.pid, STOP_TIMEOUT_S)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
