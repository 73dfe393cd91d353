"""Ports that nobody else takes between the moment they are chosen and the moment a server listens.

A port of the kernel's own choice is one that it may give to any outgoing connection the next moment: those come from
below that range. Who chooses one claims it by an abstract socket, which is gone with the process that holds it.
"""

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.errors import CapacityError

FIRST, END = 20000, 29000
"""Between the platform's own ports and those over which trainers of several hosts meet."""
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


@contextmanager
def claimed_port(host: str) -> Iterator[int]:
    """A port on which nothing listens, and that no other claimant of this machine gets. Raises CapacityError."""
    for port in _ports_apart():
        claim = claim_name(f"port-{port}")
        if claim is None:
            continue
        with claim:
            if can_listen(host, [port]):
                yield port
                return
    raise CapacityError(
        "No port is free for a server",
        value=f"{host}: {FIRST} to {END - 1}",
        allowed="a port on which nothing listens",
        next_step="end some of what runs on this machine",
    )


def _ports_apart() -> range:
    """Ports that the kernel gives to no outgoing connection, where this machine has such."""
    try:
        first_outgoing = int(_OUTGOING.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        first_outgoing = END
    end = min(END, first_outgoing)
    return range(FIRST, end if end - FIRST >= 100 else END)


def claim_name(name: str) -> socket.socket | None:
    """A name that nobody else of this machine has while the socket is open; None where somebody has it."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0tuneway-{name}")
    except OSError:
        claim.close()
        return None
    return claim


def can_listen(host: str, ports: Iterable[int]) -> bool:
    """Whether a server may begin on each of these ports now."""
    for port in ports:
        with socket.socket() as probe:
            # a port in TIME_WAIT can be listened on, as servers do
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
