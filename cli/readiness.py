"""Whether a started process does its work already."""

import http.client
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

import psutil

from cli.programs import Health, Program
from cli.supervisor_client import ProcessState
from database.embedded import embedded_postgres
from settings import Settings

# a proxy variable of the site must not catch calls to our own address
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str, timeout_seconds: float = 3) -> bytes | None:
    """The body of a successful answer, or None."""
    try:
        with _OPENER.open(url, timeout=timeout_seconds) as response:
            body: bytes = response.read()
            return body
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return None


def airflow_health(settings: Settings) -> dict[str, Any]:
    """Airflow's own word on its components; empty when the api-server does not answer."""
    body = fetch(f"{settings.resolved_airflow_url}/api/v2/monitor/health")
    if body is None:
        return {}
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def is_ready(program: Program, state: ProcessState | None, settings: Settings) -> bool:
    """The process runs and answers as its health check asks."""
    if state is None or not state.is_up:
        return False
    match program.health:
        case Health.POSTGRES:
            return embedded_postgres(settings).is_ready()
        case Health.HTTP:
            return fetch(program.health_target) is not None
        case Health.AIRFLOW_HEARTBEAT:
            return _beats(airflow_health(settings), program.health_target, state.started_at)
        case Health.POOL:
            return _has_processes(state.pid, int(program.health_target))


def _has_processes(pid: int | None, number: int) -> bool:
    """The process has started so many."""
    try:
        return pid is not None and len(psutil.Process(pid).children(recursive=True)) >= number
    except psutil.NoSuchProcess:
        return False


def _beats(health: dict[str, Any], component: str, started_at: datetime | None) -> bool:
    """The component's newest heartbeat is younger than the process: the one before it may have left a fresh one."""
    found = health.get(component) or {}
    heartbeat = found.get(f"latest_{component}_heartbeat")
    if found.get("status") != "healthy" or not heartbeat or started_at is None:
        return False
    moment = datetime.fromisoformat(heartbeat)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment >= started_at
