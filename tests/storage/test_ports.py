"""Ports that stay one's own until the server listens."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest

from contracts.errors import CapacityError
from storage import ports
from storage.ports import can_listen, claim_name, claimed_port
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port

HOST = "127.0.0.1"


def test_no_two_claimants_get_the_same_port_and_none_gets_one_where_somebody_listens(monkeypatch):
    first = free_port()
    monkeypatch.setattr(ports, "_ports_apart", lambda: range(first, first + 3))
    with ExitStack() as stack:
        stack.enter_context(socket.create_server((HOST, first)))
        assert [stack.enter_context(claimed_port(HOST)) for _ in range(2)] == [first + 1, first + 2]
        with pytest.raises(CapacityError, match="No port is free"):
            stack.enter_context(claimed_port(HOST))
    with claimed_port(HOST) as port:
        assert port == first


def test_a_claim_ends_with_the_process_that_has_it():
    code = "import sys, time; from storage.ports import claim_name; claim = claim_name('of-a-test'); print(claim, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY_ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert b"socket" in holder.stdout.readline()
        assert claim_name("of-a-test") is None
        os.kill(holder.pid, signal.SIGKILL)
    claim = claim_name("of-a-test")
    assert claim is not None
    claim.close()


def test_no_port_is_one_that_an_outgoing_connection_may_get(tmp_path, monkeypatch):
    told = tmp_path / "range"
    monkeypatch.setattr(ports, "_OUTGOING", told)
    assert ports._ports_apart() == range(20000, 29000)
    for said, expected in (("32768\t60999", range(20000, 29000)), ("22000 60999", range(20000, 22000))):
        told.write_text(said)
        assert ports._ports_apart() == expected
    # where all ports may go out, any is as good
    told.write_text("1024 65535")
    assert ports._ports_apart() == range(20000, 29000)


def test_a_port_that_is_only_being_left_can_be_listened_on():
    port = free_port()
    with socket.create_server((HOST, port)) as server:
        assert not can_listen(HOST, [port])
        with socket.create_connection((HOST, port)), server.accept()[0]:
            pass
    assert can_listen(HOST, [port])
