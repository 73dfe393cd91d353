"""PostgreSQL from the wheel, started and killed for real."""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from database.embedded import EmbeddedPostgres
from tests.ports import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def server():
    folder = Path(tempfile.mkdtemp(prefix="tuneway-embedded-"))
    folder.chmod(0o755)
    yield EmbeddedPostgres(folder / "data", "127.0.0.1", free_port(), "secret'with\"quotes")
    subprocess.run(["rm", "-rf", "--", str(folder)], check=False)


def start(server: EmbeddedPostgres) -> subprocess.Popen[bytes]:
    """Start as a supervisor would: again and again until it stays (a killed server's children may linger)."""
    for _ in range(20):
        process = subprocess.Popen(server.command(), stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            server.wait_until_ready()
            return process
        time.sleep(0.5)
    raise AssertionError("PostgreSQL did not stay up")


def test_a_killed_server_loses_no_acknowledged_write(server):
    server.initialise()
    process = start(server)
    server.create_database("ledger")
    server.create_database("ledger")
    acknowledged = 0
    with psycopg.connect(server.connection_string("ledger"), autocommit=True) as connection:
        connection.execute("CREATE TABLE entries (n int)")
        for number in range(200):
            connection.execute("INSERT INTO entries VALUES (%s)", (number,))
            acknowledged += 1
        os.kill(process.pid, signal.SIGKILL)
    process.wait()

    process = start(server)
    with psycopg.connect(server.connection_string("ledger")) as connection:
        row = connection.execute("SELECT count(*) FROM entries").fetchone()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    assert row == (acknowledged,)


def test_a_wrong_password_is_refused(server):
    server.initialise()
    process = start(server)
    other = EmbeddedPostgres(server.folder, server.host, server.port, "wrong")
    try:
        assert server.is_ready()
        assert not other.is_ready()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)


def test_a_folder_left_half_made_is_made_again(server):
    server.folder.mkdir()
    (server.folder / "PG_VERSION").write_text("18")
    server.initialise()
    assert server.is_initialised
    before = (server.folder / "PG_VERSION").stat().st_mtime_ns
    server.initialise()
    assert (server.folder / "PG_VERSION").stat().st_mtime_ns == before
