"""Model servers that stay: programs of the platform's supervisor, one for each whole model.

<run_dir>/model_servers/<key>.json     what the server serves, and its port: written before anything is started
<run_dir>/programs.d/model-server-<key>.conf   the supervisor's program; its command reads the file above when it starts

The program's command never changes, so an adapter loaded at run time is written to the first file only, and a server
that the supervisor starts again after a crash serves it again.
"""

import fcntl
import http.client
import logging
import re
import shlex
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contracts.enums import ServerBackend
from contracts.errors import CapacityError, ConflictError, JobFailedError, UnavailableError
from contracts.record import Record
from deployment import client
from deployment.backends import SERVERS, choose_server
from deployment.ephemeral import log_tail
from deployment.specification import ServerEndpoint, ServerSpec, server_key
from settings import Settings
from storage.files import write_text_atomically
from storage.ports import can_listen

log = logging.getLogger(__name__)

PORTS_TRIED = 100
START_TIMEOUT_S = 900.0
POLL_INTERVAL_S = 0.2
# Supervisor's fault codes (supervisor.xmlrpc.Faults).
BAD_NAME, ALREADY_ADDED, ALREADY_STARTED, NOT_RUNNING, SPAWN_ERROR = 10, 90, 60, 70, 50


class ServerState(Record):
    """One model server as it is to run."""

    key: str
    backend: ServerBackend
    port: int
    spec: ServerSpec

    def endpoint(self, settings: Settings) -> ServerEndpoint:
        """Where it answers."""
        return ServerEndpoint(
            base_url=f"http://{settings.host}:{self.port}/v1", model_names=self.spec.model_names, backend=self.backend
        )


def program_name(key: str) -> str:
    """The server's name at the supervisor."""
    return f"model-server-{key}"


def state_path(settings: Settings, key: str) -> Path:
    """The file that says what the server serves."""
    return settings.run_dir / "model_servers" / f"{key}.json"


def read_state(path: Path) -> ServerState | None:
    """The server's state; None before it was first asked for."""
    try:
        return ServerState.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def all_servers(settings: Settings) -> list[ServerState]:
    """Every permanent server of this installation."""
    states = (read_state(path) for path in sorted(state_path(settings, "x").parent.glob("*.json")))
    return [state for state in states if state is not None]


def ensure_server(spec: ServerSpec, settings: Settings, start_timeout_s: float = START_TIMEOUT_S) -> ServerEndpoint:
    """The permanent server of `spec.model_path`, up, serving `spec`'s adapters beside those it served before.

    Safe to call again, and after a kill at any point. A running server takes new adapters without a restart, unless
    their rank exceeds what it was started for. Raises UnavailableError without a supervisor, JobFailedError with the
    end of the log when the server does not come up.
    """
    key = server_key(spec.model_path)
    path = state_path(settings, key)
    with _locked(settings):
        before = read_state(path)
        if before is None:
            state = ServerState(
                key=key, backend=choose_server(settings, spec.backend).backend, port=_choose_port(settings), spec=spec
            )
            _write_state(path, state)
            try:
                _run(settings, state, start_timeout_s)
            except JobFailedError:
                _remove(key, settings)
                raise
        else:
            state = _extend(before, spec, path, settings, start_timeout_s)
    endpoint = state.endpoint(settings)
    client.warm_up(endpoint.base_url, spec.model_names)
    return endpoint


def _extend(
    before: ServerState, spec: ServerSpec, path: Path, settings: Settings, start_timeout_s: float
) -> ServerState:
    """The server with the adapters of `spec` too. A server that fails with them goes back to what it was."""
    _require_same_settings(before, spec)
    backend = choose_server(settings, before.spec.backend).backend
    is_renamed = spec.served_model_name != before.spec.served_model_name
    known = spec if is_renamed else before.spec  # a base model whose content changed takes no old adapter along
    state = before.model_copy(update={"backend": backend, "spec": known.with_adapters(spec.adapters)})
    is_outgrown = SERVERS[backend].needs_restart(before.spec, state.spec)
    if is_renamed or is_outgrown or backend is not before.backend:
        _write_state(path, state)
        try:
            _run(settings, state, start_timeout_s, restart=True)
        except JobFailedError:
            _write_state(path, before)
            _run(settings, before, start_timeout_s, restart=True)
            raise
        return state
    _run(settings, before, start_timeout_s)
    for adapter in state.spec.adapters:
        try:
            client.load_adapter(state.endpoint(settings).base_url, adapter)
        except JobFailedError:
            if adapter not in before.spec.adapters:
                raise
            # an attempt that was killed had written it down and not yet started the server anew for it
            _run(settings, state, start_timeout_s, restart=True)
    if state != before:
        _write_state(path, state)
    return state


def _require_same_settings(before: ServerState, spec: ServerSpec) -> None:
    """A running server keeps its settings: others would take away the models it serves while it starts anew."""
    running = {"backend": before.backend} | before.spec.engine_settings
    differing = {name: value for name, value in spec.engine_settings.items() if running.get(name) != value}
    if differing:
        raise ConflictError(
            "The model server runs with other settings",
            value=", ".join(f"{name}: {value}" for name, value in differing.items()),
            allowed=", ".join(f"{name}: {running.get(name)}" for name in differing),
            next_step="deploy without these settings, or stop every deployment on this base model first",
        )


def drop_adapter(key: str, name: str, settings: Settings) -> None:
    """The server no longer knows the adapter, nor when it starts again. Nothing happens where it does not know it."""
    path = state_path(settings, key)
    with _locked(settings):
        state = read_state(path)
        if state is None:
            return
        kept = [adapter for adapter in state.spec.adapters if adapter.name != name]
        state = state.model_copy(update={"spec": state.spec.model_copy(update={"adapters": kept})})
        _write_state(path, state)
        client.unload_adapter(state.endpoint(settings).base_url, name)


def _write_state(path: Path, state: ServerState) -> None:
    write_text_atomically(path, state.model_dump_json(indent=1) + "\n")


def _run(settings: Settings, state: ServerState, start_timeout_s: float, *, restart: bool = False) -> None:
    _write_program(settings, state.key)
    _ensure_program_runs(settings, state.key, restart=restart)
    _wait_until_serving(settings, state.key, state.endpoint(settings), start_timeout_s)


def remove_server(key: str, settings: Settings) -> None:
    """Stop the server and forget it."""
    with _locked(settings):
        _remove(key, settings)


def _remove(key: str, settings: Settings) -> None:
    with supervisor(settings) as supervisord:
        _tolerating({NOT_RUNNING, BAD_NAME}, supervisord.stopProcess, program_name(key))
        _tolerating({BAD_NAME}, supervisord.removeProcessGroup, program_name(key))
    _program_path(settings, key).unlink(missing_ok=True)
    state_path(settings, key).unlink(missing_ok=True)


def _choose_port(settings: Settings) -> int:
    taken = {state.port for state in all_servers(settings)}
    first = settings.ports["model_server"]
    for port in range(first, first + PORTS_TRIED):
        if port not in taken and can_listen(settings.host, [port]):
            return port
    raise CapacityError(
        "No port is free for a model server",
        value=f"{first} to {first + PORTS_TRIED - 1}",
        allowed="a free port from settings.ports['model_server'] upward",
        next_step="set TUNEWAY_MODEL_SERVER_PORT to the start of a free range",
    )


def _program_path(settings: Settings, key: str) -> Path:
    return settings.run_dir / "programs.d" / f"{program_name(key)}.conf"


def _write_program(settings: Settings, key: str) -> None:
    # the TUNEWAY_* variables come through supervisord's own environment
    log_path = server_log(settings, key)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(
        [
            f"[program:{program_name(key)}]",
            f"command={_escaped(shlex.join([sys.executable, '-m', 'deployment.serve', key]))}",
            f"directory={_escaped(str(settings.repository_root))}",
            "priority=90",
            "autostart=true",
            "autorestart=true",
            # a server that dies while it reads a model is started again five times, each time a second later
            "startsecs=5",
            "startretries=5",
            "stopsignal=TERM",
            "stopwaitsecs=30",
            "stopasgroup=true",
            "killasgroup=true",
            "redirect_stderr=true",
            # supervisord expands this one twice
            f"stdout_logfile={_escaped(_escaped(str(log_path)))}",
            "stdout_logfile_maxbytes=20MB",
            "stdout_logfile_backups=3",
            "",
        ]
    )
    path = _program_path(settings, key)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text_atomically(path, text)


def _escaped(value: str) -> str:
    """Supervisord expands %(name)s in every value."""
    return value.replace("%", "%%")


def server_log(settings: Settings, key: str) -> Path:
    """The server's log."""
    return settings.logs_dir / f"{program_name(key)}.log"


def _ensure_program_runs(settings: Settings, key: str, *, restart: bool) -> None:
    name = program_name(key)
    with supervisor(settings) as supervisord:
        supervisord.reloadConfig()
        _tolerating({ALREADY_ADDED}, supervisord.addProcessGroup, name)
        if restart:
            log.info("%s is started anew: it cannot take the new adapter as it runs", name)
            _tolerating({NOT_RUNNING}, supervisord.stopProcess, name)
        _tolerating({ALREADY_STARTED}, supervisord.startProcess, name, False)


def _wait_until_serving(settings: Settings, key: str, endpoint: ServerEndpoint, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    name = program_name(key)
    with supervisor(settings) as supervisord:
        while not client.is_healthy(endpoint.base_url):
            state = str(supervisord.getProcessInfo(name)["statename"])
            if state in {"FATAL", "EXITED", "STOPPED"} or time.monotonic() > deadline:
                log_path = server_log(settings, key)
                raise JobFailedError(
                    f"The model server {name} does not come up (supervisor says {state})",
                    value=log_tail(log_path) if log_path.is_file() else None,
                    allowed="a server that answers /health",
                    next_step=f"read {log_path}",
                )
            time.sleep(POLL_INTERVAL_S)


def _tolerating(codes: set[int], call: Any, *arguments: Any) -> None:
    try:
        call(*arguments)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in codes:
            raise UnavailableError(
                "The supervisor refused a command",
                value=f"{fault.faultString} ({', '.join(map(str, arguments))})",
                next_step="look at `tuneway status`",
            ) from fault


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """One change of the servers at a time on this host."""
    path = settings.run_dir / "model_servers" / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(self._path)


@contextmanager
def supervisor(settings: Settings) -> Iterator[Any]:
    """The running supervisor's own methods. Raises UnavailableError where none runs."""
    path = settings.supervisor_socket
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(str(path))) as proxy:
            yield proxy.supervisor
    except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
        raise UnavailableError(
            "The platform's supervisor does not answer",
            value=f"{path}: {error}",
            next_step="start the platform with `tuneway up`",
        ) from error


def key_is_valid(key: str) -> bool:
    """The key can be a file name and a program name."""
    return re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}", key) is not None
