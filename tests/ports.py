"""Ports of the tests: each process that runs tests has blocks of its own, and hands each port out once.

They lie below those that the kernel gives to outgoing connections: none is taken between the choice and the server's start,
however long that is, nor does anyone come to listen where a test needs that nobody does.
"""

import socket
from collections.abc import Iterator

from storage.ports import can_listen, claim_name

HOST = "127.0.0.1"
FIRST, END, BLOCK = 10000, 17920, 120
"""Below a platform's ordinary ports; a block has room for a platform and its model servers."""

_claims: dict[int, socket.socket] = {}
"""This process's blocks, by their first ports."""
_singles: Iterator[int] = iter(())


def free_port() -> int:
    """A port that no other test gets, nor any outgoing connection."""
    global _singles
    while True:
        port = next(_singles, None)
        if port is None:
            base = free_port_base()
            _singles = iter(range(base, base + BLOCK))
        elif can_listen(HOST, [port]):
            return port


def free_port_base() -> int:
    """A base from which every port of a platform is free, and that no other test gets."""
    for base in range(FIRST, END, BLOCK):
        if base not in _claims and (claim := claim_name(f"tests-{base}")) is not None:
            # kept where something else listens: nobody need look again
            _claims[base] = claim
            if can_listen(HOST, range(base, base + BLOCK)):
                return base
    raise AssertionError(f"no free block of ports from {FIRST} to {END}; this process has {len(_claims)}")
