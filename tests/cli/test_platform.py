"""The whole platform, started, watched, hurt and ended, beside a second one."""

import json
import os
import shutil
import signal
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import psycopg
import pytest

from cli.processes import is_alive, own_processes
from cli.readiness import fetch
from contracts.identity import PLATFORM_USER
from database.connections import connect
from settings import SecretName, Settings, read_secret
from tests.cli.command_line import tuneway
from tests.ports import free_port_base

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1800)]
START_SECONDS = 600


class Installation:
    """One data folder and one range of ports."""

    def __init__(self, port_base: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tuneway-"))
        # PostgreSQL's own account passes through
        self.folder.chmod(0o711)
        self.variables = {"DATA_DIR": str(self.folder / "data"), "PORT_BASE": str(port_base), "MIN_FREE_DISK_GB": "1"}
        self.settings = Settings(data_dir=self.folder / "data", port_base=port_base)

    def run(self, *arguments: str):
        return tuneway(*arguments, timeout=START_SECONDS, **self.variables)

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    def states(self) -> dict[str, str]:
        return {row["name"]: row["state"] for row in self.status()["processes"]}

    def pid_of(self, name: str) -> int:
        return next(int(row["pid"]) for row in self.status()["processes"] if row["name"] == name)

    def remove(self) -> None:
        self.run("down")
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def platform():
    installation = Installation(free_port_base())
    started = installation.run("up", "--timeout", str(START_SECONDS))
    assert started.returncode == 0, started.stderr
    yield installation
    installation.remove()


def wait_for(condition, seconds: float = 120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)
    return found


def test_every_process_runs_and_answers(platform):
    assert set(platform.states().values()) == {"RUNNING"}
    for url in (
        f"{platform.settings.resolved_mlflow_tracking_url}/health",
        f"{platform.settings.resolved_runner_url}/health",
        f"{platform.settings.resolved_serving_url}/health",
        f"{platform.settings.resolved_dashboard_url}/_stcore/health",
    ):
        assert fetch(url) is not None, url


def test_nothing_listens_on_another_address_than_that_of_the_settings(platform):
    own = {process.pid for process in own_processes(platform.settings)}
    addresses = {
        connection.laddr[:1]
        for connection in psutil.net_connections(kind="tcp")
        if connection.pid in own and connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {("127.0.0.1",)}


def test_the_idle_platform_leaves_memory_for_the_models(platform):
    # 5 GB with a vLLM server of 1.1 GB
    assert platform.status()["memory_bytes"] < 3.9e9


def test_the_gpu_pool_counts_deferred_tasks(platform):
    with connect(platform.settings.resolved_airflow_database_url) as connection:
        row = connection.execute("SELECT slots, include_deferred FROM slot_pool WHERE pool = 'gpu'").fetchone()
    assert row == (platform.settings.job_slots, True)


def test_the_platform_gets_a_token_of_airflow_and_a_wrong_password_does_not(platform):
    def token(password: str) -> int:
        request = urllib.request.Request(
            f"{platform.settings.resolved_airflow_url}/auth/token",
            data=json.dumps({"username": PLATFORM_USER, "password": password}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert token(read_secret(platform.settings.secrets_dir, SecretName.AIRFLOW_PLATFORM_PASSWORD)) == 201
    assert token("guessed") == 401


def test_no_secret_stands_in_a_command_line_or_in_an_open_file(platform):
    secrets = [path.read_text(encoding="utf-8") for path in platform.settings.secrets_dir.iterdir()]
    commands = " ".join(" ".join(process.cmdline()) for process in own_processes(platform.settings))
    assert not [secret for secret in secrets if secret in commands]
    assert platform.settings.run_dir.joinpath("supervisord.conf").stat().st_mode & 0o077 == 0


def test_a_second_up_changes_nothing(platform):
    before = {row["name"]: row["pid"] for row in platform.status()["processes"]}
    again = platform.run("up")
    assert again.returncode == 0
    assert "running already" in again.stderr
    assert {row["name"]: row["pid"] for row in platform.status()["processes"]} == before


def test_a_killed_process_comes_back(platform):
    before = platform.pid_of("mlflow")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: platform.states()["mlflow"] == "RUNNING" and platform.pid_of("mlflow") != before)
    wait_for(lambda: fetch(f"{platform.settings.resolved_mlflow_tracking_url}/health"))


def test_a_killed_postgresql_comes_back_with_its_data(platform):
    def count() -> int | None:
        try:
            with connect(platform.settings.resolved_airflow_database_url) as connection:
                row = connection.execute("SELECT count(*) FROM slot_pool").fetchone()
        except psycopg.OperationalError:
            return None
        return None if row is None else int(row[0])

    assert count() == 2
    postmaster = int((platform.settings.data_dir / "postgres" / "postmaster.pid").read_text("utf-8").split("\n")[0])
    os.kill(postmaster, signal.SIGKILL)
    wait_for(lambda: count() == 2)


def test_logs_show_the_end_of_a_process_log(platform):
    shown = platform.run("logs", "postgres", "-n", "5")
    assert shown.returncode == 0
    assert len(shown.stdout.splitlines()) == 5


@pytest.mark.deep
def test_a_second_platform_runs_beside_the_first_and_ends_alone(platform):
    second = Installation(free_port_base())
    try:
        started = second.run("up", "runner", "serving-api")
        assert started.returncode == 0, started.stderr
        states = second.states()
        assert {name for name, state in states.items() if state == "RUNNING"} == {"postgres", "runner", "serving-api"}
        mine = {process.pid for process in own_processes(second.settings)}
        theirs = {process.pid for process in own_processes(platform.settings)}
        assert mine.isdisjoint(theirs)
        ended = second.run("down")
        assert ended.returncode == 0, ended.stderr
        assert own_processes(second.settings) == []
        assert set(platform.states().values()) == {"RUNNING"}
        assert second.run("down").stderr.strip().endswith("Nothing is running")
    finally:
        second.remove()


def test_a_killed_supervisor_leaves_nothing_that_the_next_start_cannot_mend(platform):
    supervisor = int((platform.settings.run_dir / "supervisord.pid").read_text(encoding="utf-8"))
    orphans = {process.pid for process in own_processes(platform.settings)} - {supervisor}
    os.kill(supervisor, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(supervisor))
    assert orphans & {process.pid for process in own_processes(platform.settings)}
    again = platform.run("up", "--timeout", str(START_SECONDS))
    assert again.returncode == 0, again.stderr
    assert "left over from an earlier run" in again.stderr
    assert set(platform.states().values()) == {"RUNNING"}
    assert not orphans & {process.pid for process in own_processes(platform.settings)}


def test_down_ends_everything_it_started_and_only_that(platform):
    own = own_processes(platform.settings)
    others = {process.pid for process in psutil.process_iter()} - {process.pid for process in own}
    assert os.getpid() in others
    ended = platform.run("down")
    assert ended.returncode == 0, ended.stderr
    assert own_processes(platform.settings) == []
    assert [process for process in own if is_alive(process)] == []
    assert psutil.pid_exists(os.getpid())
    status = platform.status()
    assert not status["running"]
    listening = {
        connection.laddr[1:] for connection in psutil.net_connections(kind="tcp") if connection.status == "LISTEN"
    }
    assert listening.isdisjoint((port,) for port in platform.settings.ports.values())
