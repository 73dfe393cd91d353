"""Hosts that may train together: what each says of itself in the jobs folder that they share.

<jobs_dir>/.hosts/<host>.json    AnnouncedHost, by the runner of that host every few seconds
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from contracts.errors import InvalidRequestError
from contracts.nodes import AnnouncedHost
from contracts.record import utc_now
from stages.cards import cards, real_gpus
from stages.launching import job_cards
from storage.files import read_json, write_json_atomically
from storage.processes import host_name

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from contracts.nodes import WantedNodes
    from settings import Settings

FRESH = timedelta(seconds=45)
"""As long as a lease may be silent. The hosts' clocks must agree better than that."""
CPU = "CPU"


def hosts_dir(settings: Settings) -> Path:
    """Where the hosts' announcements are."""
    return settings.jobs_dir / ".hosts"


def announce(settings: Settings, wanted: WantedNodes | None, in_use: Collection[int]) -> AnnouncedHost:
    """Tell the other hosts what there is here."""
    gpus = real_gpus()
    said = AnnouncedHost(
        host=host_name(),
        address=settings.node_address or host_name(),
        cards=job_cards(settings, gpus),
        in_use=sorted(in_use),
        card=min(cards())[1] if gpus else CPU,
        wanted=wanted,
        updated_at=utc_now(),
    )
    write_json_atomically(hosts_dir(settings) / f"{said.host}.json", said.model_dump(mode="json"))
    return said


def announced_hosts(settings: Settings) -> list[AnnouncedHost]:
    """The hosts whose runners live, by name."""
    found = []
    for path in sorted(hosts_dir(settings).glob("[!.]*.json")):
        try:
            host = AnnouncedHost.model_validate(read_json(path))
        except (ValidationError, ValueError, OSError):  # another version's, or gone meanwhile
            continue
        if abs(utc_now() - host.updated_at) < FRESH:
            found.append(host)
    return found


def check_nodes(num_nodes: int, num_gpus: int, settings: Settings, leading: str | None = None) -> None:
    """So many hosts with so many equal cards there are, that one among them. Raises InvalidRequestError."""
    if num_nodes == 1:
        return
    hosts = announced_hosts(settings)
    able = [host for host in hosts if len(host.cards) >= num_gpus]
    kinds = Counter(host.card for host in able)
    if leading is not None:
        kinds = Counter({host.card: kinds[host.card] for host in able if host.host == leading})
    if max(kinds.values(), default=0) >= num_nodes:
        return
    there = "; ".join(f"{host.host}: {len(host.cards)} x {host.card}" for host in hosts)
    equal = " of the same kind" if len({host.card for host in able}) > 1 else ""
    raise InvalidRequestError(
        "There are not enough hosts to train together",
        value=f"num_nodes {num_nodes} with num_gpus {num_gpus} on each",
        allowed=f"hosts with {num_gpus} or more cards for jobs{equal}, each with a runner over this data folder. "
        f"There are: {there or 'none that announces itself'}",
        next_step="lower num_nodes or num_gpus, or start the other hosts' runners (docs/training/several_hosts.md)",
    )


def choose_hosts(
    num_nodes: int, num_gpus: int, hosts: list[AnnouncedHost], free: dict[str, int], begun: set[str], leading: str
) -> list[AnnouncedHost]:
    """The hosts of a job, the leading one first: those that it holds cards of, then those with free ones, then by name.

    Fewer than `num_nodes` where there are fewer now.
    """
    here = next((host for host in hosts if host.host == leading), None)
    if here is None:
        return []
    others = [host for host in hosts if host.host != leading and host.card == here.card and len(host.cards) >= num_gpus]
    others.sort(key=lambda host: (host.host not in begun, free.get(host.host, 0) < num_gpus, host.host))
    return [here, *others[: num_nodes - 1]]
