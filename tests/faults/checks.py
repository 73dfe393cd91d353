"""What must hold after every fault. Each check returns what does not, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import psutil

from cli.programs import platform_programs
from cli.readiness import is_ready
from cli.supervisor_client import SupervisorClient
from contracts.identity import PLATFORM_USER
from operators.defaults import GPU_POOL
from settings import SecretName, read_secret
from tests.faults.site import Site, wait_for
from tests.faults.traffic import Traffic

SETTLE_SECONDS = 120.0
"""Until everything is back: PostgreSQL's recovery, Airflow's orphaned tasks (30 s), the records' way into tables."""


def violations(site: Site, traffic: Traffic) -> Iterator[str]:
    """Everything that is not as it must be."""
    yield from _all_ready(site)
    if not traffic.answers_again():
        yield "users get no answer any more"
    yield from _nothing_lost(site, traffic)
    yield from _eventually(lambda: _leases(site))
    yield from _eventually(lambda: _slots(site))
    yield from _eventually(lambda: _orphans(site))
    yield from _eventually(lambda: _unsettled(site))
    yield from _one_experiment(site)
    yield from _audit(site)


def _eventually(look: Callable[[], list[str]]) -> list[str]:
    """What still does not hold when the time to settle has passed."""
    found: list[str] = ["it could not be looked at"]

    def clean() -> bool:
        found[:] = look()
        return not found

    wait_for(clean, SETTLE_SECONDS)
    return found


def _all_ready(site: Site) -> list[str]:
    settings = site.installation.settings

    def look() -> list[str]:
        states = SupervisorClient(settings).states()
        return [
            f"{program.name} is not ready"
            for program in platform_programs(settings)
            if not is_ready(program, states.get(program.name), settings)
        ]

    return _eventually(look)


def _nothing_lost(site: Site, traffic: Traffic) -> list[str]:
    answered, rated = set(traffic.answered), dict(traffic.rated)

    def look() -> list[str]:
        rows = dict(site.query("SELECT request_id, user_rating FROM ab_test_logs"))
        rows_lost = [request for request in answered if request not in rows]
        ratings_lost = [request for request, rating in rated.items() if rows.get(request) != rating]
        return [
            *([f"{len(rows_lost)} of {len(answered)} answers have no row"] if rows_lost else []),
            *([f"{len(ratings_lost)} of {len(rated)} ratings are lost"] if ratings_lost else []),
        ]

    return _eventually(look)


def _leases(site: Site) -> list[str]:
    return [f"a lease of {owner} is left" for (owner,) in site.query("SELECT owner FROM gpu_leases")]


def _slots(site: Site) -> list[str]:
    """Slots of the GPU pool that a task still holds when no run goes on."""
    settings = site.installation.settings
    url = settings.resolved_airflow_url
    login = {
        "username": PLATFORM_USER,
        "password": read_secret(settings.secrets_dir, SecretName.AIRFLOW_PLATFORM_PASSWORD),
    }
    try:
        token = httpx.post(f"{url}/auth/token", json=login, timeout=60).raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        pool = httpx.get(f"{url}/api/v2/pools/{GPU_POOL}", headers=headers, timeout=60).raise_for_status().json()
    except httpx.HTTPError as error:
        return [f"Airflow does not say which slots are taken: {error}"]
    taken = pool["occupied_slots"] + pool["deferred_slots"]
    return [f"{taken} slots of the pool {GPU_POOL} are taken"] if taken else []


def _orphans(site: Site) -> list[str]:
    """Processes of the platform that nobody watches over."""
    supervisor = SupervisorClient(site.installation.settings).pid()
    found = []
    for process in site.installation.processes():
        try:
            line = {process.pid, *(parent.pid for parent in process.parents())}
            if supervisor not in line:
                found.append(f"an orphan: {' '.join(process.cmdline())[:120]}")
        except psutil.Error:
            continue
    return found


def _unsettled(site: Site) -> list[str]:
    jobs = site.installation.settings.jobs_dir
    return [
        f"{attempt.parent.name}/{attempt.name} is not settled"
        for attempt in sorted(jobs.glob("*/attempt-*"))
        if not (attempt / "settled").exists()
    ]


def _one_experiment(site: Site) -> list[str]:
    running = site.query("SELECT id FROM ab_experiments WHERE status = 'running'")
    return [f"{len(running)} experiments run at once"] if len(running) > 1 else []


def _audit(site: Site) -> list[str]:
    checked = site.installation.tuneway("audit", "verify", "--json")
    return [] if checked.returncode == 0 else [f"the audit trail is not whole: {checked.stdout or checked.stderr}"]
