"""The faults themselves, on what stands for a platform."""

import random
import socket
from types import SimpleNamespace
from typing import cast

import pytest

from tests.faults.faults import CONNECTED, FAULTS, Moment
from tests.faults.site import Site


def test_connections_are_broken_off_of_a_program_that_has_some():
    (drop,) = [fault for fault in FAULTS if fault.name == "drop connections"]
    servers = {name: socket.create_server(("127.0.0.1", 0)) for name in CONNECTED}
    ports = {name: server.getsockname()[1] for name, server in servers.items()}
    site = cast(Site, SimpleNamespace(installation=SimpleNamespace(settings=SimpleNamespace(ports=ports))))
    if (obstacle := drop.obstacle(site)) is not None:
        pytest.skip(obstacle)
    for seed in range(5):
        with socket.create_connection(("127.0.0.1", ports["mlflow"])) as client:
            accepted, _ = servers["mlflow"].accept()
            did, mend = drop.strike(site, Moment("run", "train", 0), random.Random(seed))
            assert (did, mend) == ("1 connections to mlflow broken off", None)
            with pytest.raises(OSError):
                client.sendall(b"?")
                client.recv(1)
            accepted.close()
    for server in servers.values():
        server.close()
