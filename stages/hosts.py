"""Which host gets a job, where several share the data folder and each has a runner."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from contracts.errors import UnavailableError
from contracts.record import Record
from stages.runner_client import RunnerClient
from storage.files import read_json
from storage.processes import host_name

if TYPE_CHECKING:
    from settings import Settings


class RunnerHost(Record):
    """A host with a runner that answers."""

    host: str
    runner_url: str
    free_cards: int
    """Cards for jobs that no job here has or waits for."""


def living_hosts(settings: Settings) -> list[RunnerHost]:
    """The hosts whose runner answers now, by name."""
    signs = [sign for path in sorted(settings.hosts_dir.glob("[!.]*.json")) if (sign := read_json(path)) is not None]
    if not signs:
        return []
    with ThreadPoolExecutor(max_workers=min(8, len(signs))) as pool:
        asked = pool.map(lambda sign: _asked(str(sign["host"]), str(sign["runner_url"]), settings), signs)
        return [host for host in asked if host is not None]


def runner_for(num_gpus: int, settings: Settings) -> str | None:
    """Address of the runner to hand a new attempt to; None is that of the settings.

    This host's own, unless it lacks the cards (or does not answer) and another one has them free: an idle worker says
    nothing about idle cards, since a task that waits for its job holds none. Where nobody has, it waits here.
    """
    if len(list(settings.hosts_dir.glob("[!.]*.json"))) < 2:
        return None
    hosts = living_hosts(settings)
    own = next(
        (host for host in hosts if host.host == host_name() or host.runner_url == settings.resolved_runner_url), None
    )
    if own is not None and own.free_cards >= num_gpus:
        return own.runner_url
    others = sorted((host for host in hosts if host is not own), key=lambda host: (-host.free_cards, host.host))
    if others and (own is None or others[0].free_cards >= num_gpus):
        return others[0].runner_url
    return None if own is None else own.runner_url


def _asked(host: str, url: str, settings: Settings) -> RunnerHost | None:
    try:
        health = RunnerClient(settings, url).health()
    except UnavailableError:
        return None
    return RunnerHost(host=host, runner_url=url, free_cards=int(str(health.get("free_cards", 0))))
