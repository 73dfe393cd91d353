"""What could stand in the way: each check with its verdict and what to do."""

import os
import platform
import re
import resource
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import psutil

from cli.screen import in_units
from cli.texts import translate
from contracts.record import JsonObject
from settings import Settings

GIGABYTE = 1_000_000_000
WANTED_MEMORY = 8 * GIGABYTE
"""Platform, one vLLM server and the training of a small model."""
LEAST_MEMORY = 2 * GIGABYTE
WANTED_OPEN_FILES = 1024
OLDEST_POSTGRES = 14
LOOPBACK = ("127.", "::1", "localhost")


class Verdict(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome."""

    check: str
    verdict: Verdict
    detail: str
    next_step: str = ""

    def as_json(self) -> JsonObject:
        """For `tuneway doctor --json`."""
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "detail": self.detail,
            "next_step": self.next_step,
        }


Text = Callable[..., str]


def examine(settings: Settings, language: str, *, deep: bool = False) -> list[Finding]:
    """Every check. `deep` also builds Airflow's application and starts vLLM's command line: about 20 s."""
    text: Text = partial(translate, language=language)
    findings = [
        _python(text),
        _packages(settings, text),
        *_extras(settings, text),
        *_addresses(settings, text),
        _disk(settings, text),
        _memory(text),
        _open_files(text),
        _folder(settings, text),
        _secrets(settings, text),
        *_postgres(settings, text),
        _gpu(settings, text),
        _vllm(settings, text),
        _cerbos(settings, text),
        *_alarms(settings, text, language),
    ]
    if deep:
        findings += [_airflow_starts(text), *_vllm_starts(settings, text)]
    return findings


def blocking_findings(settings: Settings, language: str) -> list[Finding]:
    """What makes a start pointless; the quick checks only."""
    text: Text = partial(translate, language=language)
    findings = [
        _python(text),
        *_extras(settings, text),
        *_addresses(settings, text),
        _disk(settings, text),
        _memory(text),
        _folder(settings, text),
        *_postgres(settings, text),
        _vllm(settings, text),
    ]
    return [finding for finding in findings if finding.verdict is Verdict.BLOCK]


def _python(text: Text) -> Finding:
    found = platform.python_version()
    if found.startswith("3.11."):
        return Finding(text("doctor.python"), Verdict.OK, found)
    return Finding(text("doctor.python"), Verdict.BLOCK, found, text("doctor.python_next"))


def _cerbos(settings: Settings, text: Text) -> Finding:
    name = text("doctor.cerbos")
    if not settings.cerbos_binary.exists():
        return Finding(name, Verdict.WARN, text("doctor.cerbos_missing"), text("doctor.cerbos_next"))
    policies = settings.repository_root / "security" / "policies"
    command = [str(settings.cerbos_binary), "compile", str(policies)]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if compiled.returncode == 0:
        return Finding(name, Verdict.OK, str(policies))
    fault = (compiled.stdout + compiled.stderr).strip()[-400:]
    return Finding(name, Verdict.WARN, fault, text("doctor.cerbos_broken_next", command=" ".join(command)))


def _alarms(settings: Settings, text: Text, language: str) -> Iterable[Finding]:
    """What the alarms' rules say of the platform that runs; nothing where none does."""
    from stages.alarms import alarms_now

    found = alarms_now(settings, language)
    if found is None:
        return
    if not found:
        yield Finding(text("doctor.alarms"), Verdict.OK, text("doctor.no_alarms"))
    for alarm in found:
        yield Finding(text("doctor.alarms"), Verdict.WARN, alarm.summary, text("doctor.alarm_next", page=alarm.runbook))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_versions(path: Path) -> dict[str, str]:
    """Package versions of a lock file."""
    pattern = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)")
    matches = (pattern.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {_normalised(match[1]): match[2] for match in matches if match}


def _packages(settings: Settings, text: Text) -> Finding:
    wanted = locked_versions(settings.repository_root / "requirements.txt")
    found = {_normalised(entry.metadata["Name"]): entry.version for entry in distributions()}
    # a local part (torch 2.13.0+cpu) is a build of the same version
    different = [
        f"{name} {found.get(name, '-')} ({version})"
        for name, version in wanted.items()
        if found.get(name, "-").partition("+")[0] != version.partition("+")[0]
    ]
    if not different:
        return Finding(text("doctor.packages"), Verdict.OK, text("doctor.packages_ok", count=len(wanted)))
    shown = ", ".join(different[:8]) + (" …" if len(different) > 8 else "")
    return Finding(
        text("doctor.packages"),
        Verdict.WARN,
        text("doctor.packages_differ", names=shown),
        text("doctor.packages_next"),
    )


EXECUTOR_EXTRAS = {
    "CeleryExecutor": ("celery", "apache-airflow-providers-celery"),
    "KubernetesExecutor": ("kubernetes", "apache-airflow-providers-cncf-kubernetes"),
}
"""The extra of setup/install.py that an executor needs, and the package by which it is known."""


def _extras(settings: Settings, text: Text) -> Iterable[Finding]:
    """Packages that the settings ask for beside those of every installation; nothing where they ask for none."""
    asked = {}
    if settings.airflow_executor in EXECUTOR_EXTRAS:
        asked[settings.airflow_executor] = EXECUTOR_EXTRAS[settings.airflow_executor]
    if settings.data_scheduler is not None:
        asked["TUNEWAY_DATA_SCHEDULER"] = ("cluster", "distributed")
    for whom, (extra, package) in asked.items():
        name = text("doctor.extra", extra=extra)
        try:
            yield Finding(name, Verdict.OK, f"{package} {version(package)}")
        except PackageNotFoundError:
            detail = text("doctor.extra_missing", whom=whom, package=package)
            yield Finding(name, Verdict.BLOCK, detail, text("doctor.extra_next", extra=extra))


PORT_VARIABLES = {
    "serving": "TUNEWAY_SERVING_PORT",
    "postgres": "TUNEWAY_POSTGRES_PORT",
    "mlflow": "TUNEWAY_MLFLOW_PORT",
    "runner": "TUNEWAY_RUNNER_PORT",
    "airflow": "TUNEWAY_AIRFLOW_PORT",
    "dashboard": "TUNEWAY_DASHBOARD_PORT",
    "model_server": "TUNEWAY_MODEL_SERVER_PORT",
}


def used_ports(settings: Settings) -> dict[str, int]:
    """Ports this installation listens on: not those of services whose address is the site's."""
    elsewhere = {
        "postgres": not settings.uses_embedded_postgres,
        "mlflow": settings.mlflow_tracking_url is not None,
        "airflow": settings.airflow_url is not None,
        "runner": settings.runner_url is not None,
        "serving": settings.serving_url is not None,
    }
    return {
        name: port for name, port in settings.ports.items() if name in PORT_VARIABLES and not elsewhere.get(name, False)
    }


def _addresses(settings: Settings, text: Text) -> Iterable[Finding]:
    ports = used_ports(settings)
    host = _host(settings, text)
    yield host
    for port, count in Counter(ports.values()).items():
        names = ", ".join(name for name, other in ports.items() if other == port)
        if count > 1:
            yield Finding(
                text("doctor.port", port=port, name=names),
                Verdict.BLOCK,
                text("doctor.port_twice", names=names),
                text("doctor.port_next", variable=PORT_VARIABLES[names.split(", ")[0]]),
            )
    if host.verdict is Verdict.BLOCK:
        return
    for name, port in ports.items():
        yield _port(settings, text, name, port)


def _host(settings: Settings, text: Text) -> Finding:
    check = text("doctor.address", host=settings.host)
    try:
        with _listening_socket(settings.host, 0):
            pass
    except OSError as error:
        return Finding(
            check,
            Verdict.BLOCK,
            text("doctor.address_bad", reason=error.strerror or error),
            text("doctor.address_next"),
        )
    if settings.host.startswith(LOOPBACK):
        return Finding(check, Verdict.OK, "")
    return Finding(check, Verdict.WARN, text("doctor.address_open"), text("doctor.address_open_next"))


def _listening_socket(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # as the servers do it: connections in TIME_WAIT are no obstacle
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


def _port(settings: Settings, text: Text, name: str, port: int) -> Finding:
    check = text("doctor.port", port=port, name=name)
    next_step = text("doctor.port_next", variable=PORT_VARIABLES[name])
    if not 1 <= port <= 65535:
        return Finding(check, Verdict.BLOCK, text("doctor.port_range"), next_step)
    try:
        with _listening_socket(settings.host, port):
            return Finding(check, Verdict.OK, text("doctor.port_free"))
    except OSError:
        pass
    owner = port_owner(port)
    if owner is not None and _is_own(owner, settings):
        return Finding(check, Verdict.OK, text("doctor.port_ours"))
    words = text("doctor.port_unknown_owner") if owner is None else f"{_command_of(owner)} (PID {owner.pid})"
    return Finding(check, Verdict.BLOCK, text("doctor.port_taken", owner=words), next_step)


def port_owner(port: int) -> psutil.Process | None:
    """The process that listens on a port, where the system tells us."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return psutil.Process(connection.pid)
    except psutil.Error:
        return None
    return None


def _is_own(process: psutil.Process, settings: Settings) -> bool:
    from cli.processes import own_processes

    return process.pid in {own.pid for own in own_processes(settings)}


def _command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:80] or process.name()
    except psutil.Error:
        return "?"


def _existing_parent(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _disk(settings: Settings, text: Text) -> Finding:
    place = _existing_parent(settings.data_dir)
    free = psutil.disk_usage(str(place)).free
    needed = settings.min_free_disk_gb * GIGABYTE
    detail = text("doctor.disk_detail", path=place, free=in_units(free), needed=in_units(needed))
    if free < needed:
        return Finding(text("doctor.disk"), Verdict.BLOCK, detail, text("doctor.disk_next"))
    return Finding(text("doctor.disk"), Verdict.OK, detail)


def _container_memory_left() -> int | None:
    """What a memory limit of the control group leaves; None without one."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        statistics = dict(
            line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text(encoding="ascii").splitlines()
        )
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    # the page cache is given back when needed
    return int(limit) - used + int(statistics.get("inactive_file", 0))


def _memory(text: Text) -> Finding:
    memory = psutil.virtual_memory()
    in_container = _container_memory_left()
    available = memory.available if in_container is None else min(memory.available, in_container)
    detail = text("doctor.memory_detail", available=in_units(available), total=in_units(memory.total))
    if available >= WANTED_MEMORY:
        return Finding(text("doctor.memory"), Verdict.OK, detail)
    verdict = Verdict.BLOCK if available < LEAST_MEMORY else Verdict.WARN
    return Finding(text("doctor.memory"), verdict, detail, text("doctor.memory_next"))


def _open_files(text: Text) -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    detail = f"{soft} / {hard}"
    if soft >= WANTED_OPEN_FILES or soft == resource.RLIM_INFINITY:
        return Finding(text("doctor.files"), Verdict.OK, detail)
    return Finding(text("doctor.files"), Verdict.WARN, detail, text("doctor.files_next"))


def _folder(settings: Settings, text: Text) -> Finding:
    place = _existing_parent(settings.data_dir)
    check, path = text("doctor.folder"), settings.data_dir
    try:
        if not place.is_dir():
            raise NotADirectoryError(20, f"{place} is a file")
        with tempfile.TemporaryFile(dir=place):
            return Finding(check, Verdict.OK, text("doctor.folder_ok", path=path))
    except OSError as error:
        return Finding(
            check,
            Verdict.BLOCK,
            text("doctor.folder_bad", path=path, reason=error.strerror or error),
            text("doctor.folder_next"),
        )


def _secrets(settings: Settings, text: Text) -> Finding:
    folder, check = settings.secrets_dir, text("doctor.secrets")
    if not folder.is_dir():
        return Finding(check, Verdict.OK, text("doctor.secrets_none"))
    open_to_others = [path.name for path in [folder, *folder.iterdir()] if path.stat().st_mode & 0o077]
    if not open_to_others:
        return Finding(check, Verdict.OK, text("doctor.secrets_ok"))
    return Finding(
        check,
        Verdict.WARN,
        text("doctor.secrets_bad", names=", ".join(sorted(open_to_others))),
        text("doctor.secrets_next", folder=folder),
    )


def _postgres(settings: Settings, text: Text) -> Iterable[Finding]:
    check = text("doctor.postgres")
    if settings.uses_embedded_postgres:
        yield Finding(check, Verdict.OK, text("doctor.postgres_embedded"))
        return
    urls = {"TUNEWAY_DATABASE_URL": settings.database_url}
    if settings.airflow_url is None:
        urls["TUNEWAY_AIRFLOW_DATABASE_URL"] = settings.airflow_database_url
    if settings.mlflow_tracking_url is None:
        urls["TUNEWAY_MLFLOW_DATABASE_URL"] = settings.mlflow_database_url
    for variable, url in urls.items():
        if url is None:
            yield Finding(
                check,
                Verdict.BLOCK,
                text("doctor.postgres_missing", variable=variable),
                text("doctor.postgres_missing_next", variable=variable),
            )
        else:
            yield _postgres_at(variable, url, text)


def _postgres_at(variable: str, url: str, text: Text) -> Finding:
    import psycopg
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    from database.connections import connect

    check, next_step = text("doctor.postgres"), text("doctor.postgres_next", variable=variable)
    try:
        parts = make_url(url)
    except ArgumentError:
        detail = text("doctor.postgres_unreachable", name=variable, address="?", reason="not a SQLAlchemy URL")
        return Finding(check, Verdict.BLOCK, detail, next_step)
    address = f"{parts.host}:{parts.port or 5432}/{parts.database}"
    try:
        with connect(url) as connection:
            number = connection.info.server_version
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        detail = text("doctor.postgres_unreachable", name=variable, address=address, reason=reason)
        return Finding(check, Verdict.BLOCK, detail, next_step)
    version = f"{number // 10000}.{number % 10000}"
    if number // 10000 < OLDEST_POSTGRES:
        return Finding(
            check,
            Verdict.BLOCK,
            text("doctor.postgres_old", name=variable, version=version),
            text("doctor.postgres_old_next"),
        )
    return Finding(check, Verdict.OK, text("doctor.postgres_ok", name=variable, version=version, address=address))


def gpu_names() -> list[str]:
    """Names of this host's GPUs; none where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [
            f"{pynvml.nvmlDeviceGetName(handle)} {in_units(pynvml.nvmlDeviceGetMemoryInfo(handle).total)}"
            for handle in handles
        ]
    finally:
        pynvml.nvmlShutdown()


def _gpu(settings: Settings, text: Text) -> Finding:
    check, names = text("doctor.gpu"), gpu_names()
    kept = ", ".join(map(str, settings.serving_gpus))
    if not settings.job_slots or any(card >= settings.gpu_slots for card in settings.serving_gpus):
        return Finding(
            check,
            Verdict.WARN,
            text("doctor.gpu_kept", kept=kept, slots=settings.gpu_slots, jobs=settings.job_slots),
            text("doctor.gpu_kept_next", last=settings.gpu_slots - 1),
        )
    if not names:
        return Finding(check, Verdict.OK, text("doctor.gpu_none", slots=settings.gpu_slots))
    if len(names) != settings.gpu_slots:
        return Finding(
            check,
            Verdict.WARN,
            text("doctor.gpu_fewer", found=len(names), slots=settings.gpu_slots, names=", ".join(names)),
            text("doctor.gpu_next", found=len(names)),
        )
    if kept:
        names.append(text("doctor.gpu_kept", kept=kept, slots=settings.gpu_slots, jobs=settings.job_slots))
    return Finding(check, Verdict.OK, ", ".join(names))


def _vllm(settings: Settings, text: Text) -> Finding:
    check = text("doctor.vllm")
    packages = settings.vllm_python.parent.parent.glob("lib/python3*/site-packages/vllm*.dist-info")
    versions = sorted(path.name.removesuffix(".dist-info") for path in packages)
    if settings.vllm_python.exists() and versions:
        return Finding(check, Verdict.OK, ", ".join(versions))
    if settings.model_server_backend == "vllm":
        return Finding(check, Verdict.BLOCK, text("doctor.vllm_required"), text("doctor.vllm_next"))
    return Finding(check, Verdict.WARN, text("doctor.vllm_none"), text("doctor.vllm_next"))


def _airflow_starts(text: Text) -> Finding:
    """An uncapped fastapi pulls in an Airflow whose api-server does not start, and nothing else tells."""
    script = "from airflow.api_fastapi.app import create_app; create_app()"
    with tempfile.TemporaryDirectory() as home:
        completed = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "AIRFLOW_HOME": home, "AIRFLOW_CONFIG": str(Path(home) / "airflow.cfg")},
            capture_output=True,
            text=True,
            check=False,
        )
    if completed.returncode == 0:
        return Finding(text("doctor.airflow_app"), Verdict.OK, text("doctor.airflow_app_ok"))
    reason = completed.stderr.strip().splitlines()[-1:]
    return Finding(text("doctor.airflow_app"), Verdict.BLOCK, " ".join(reason), text("doctor.packages_next"))


def _vllm_starts(settings: Settings, text: Text) -> Iterable[Finding]:
    if _vllm(settings, text).verdict is not Verdict.OK:
        return
    program = settings.vllm_python.parent / "vllm"
    completed = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
    last_line = " ".join((completed.stdout.strip() or completed.stderr.strip()).splitlines()[-1:])
    if completed.returncode == 0:
        yield Finding(text("doctor.vllm_runs"), Verdict.OK, last_line)
    else:
        yield Finding(text("doctor.vllm_runs"), Verdict.WARN, last_line, text("doctor.vllm_next"))
