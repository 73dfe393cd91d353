"""Hosts made of namespaces: each has its own name, address, processes and memory folder; they share a disk and PostgreSQL.

10.78.N.254  the bridge: PostgreSQL and the test      10.78.N.1, 10.78.N.2, ...  the hosts, behind a veth pair each
"""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from database.embedded import EmbeddedPostgres
from database.migrate import upgrade
from settings import SecretName, Settings, load_settings
from stages.runner_client import RunnerClient
from storage.processes import ATTEMPT_VARIABLE, start_ticks
from tests.conftest import LASTS_NO_LONGER_THAN_THE_TESTS, REPOSITORY_ROOT
from tests.ports import free_port
from tests.runner.conftest import TOKEN, wait_until

CAN_MAKE_HOSTS = os.geteuid() == 0 and shutil.which("ip") is not None and shutil.which("unshare") is not None
BOOT = 'hostname "$0" && mount -t tmpfs -o size=256m tmpfs /dev/shm && exec "$@"'


@dataclass
class Machine:
    """A name, an address, processes and memory of its own; what it runs first takes all the others along when it ends."""

    name: str
    namespace: str
    address: str

    def command(self, *given: str) -> list[str]:
        """The command as the first process of the machine."""
        isolated = ("unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        return ["ip", "netns", "exec", self.namespace, *isolated, "sh", "-c", BOOT, self.name, *given]


class Host:
    """A machine whose first process is a runner: killed, it takes all of them along, as a power cut does."""

    def __init__(self, machine: Machine, data_dir: Path) -> None:
        self.machine, self.address = machine, machine.address
        self._log = data_dir.parent / f"{machine.name}.log"
        self._port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def settings(self) -> Settings:
        """As a program outside sees the platform through this host's runner."""
        os.environ["TUNEWAY_RUNNER_URL"] = f"http://{self.address}:{self._port}"
        return load_settings()

    def start(self) -> None:
        """Start the runner, and with it the host."""
        environment = {
            **os.environ,
            "TUNEWAY_HOST": self.address,
            "TUNEWAY_RUNNER_PORT": str(self._port),
            "TUNEWAY_GPU_SLOTS": "1",
            "TUNEWAY_NODE_ADDRESS": self.address,
            "TUNEWAY_NODE_INTERFACE": "eth0",
        }
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self.machine.command(sys.executable, "-m", "runner"),
                cwd=REPOSITORY_ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        client = RunnerClient(self.settings())
        wait_until(lambda: client.is_up() or self.process.poll() is not None, f"{self.machine.name} answers")
        assert self.process.poll() is None, self._log.read_text()

    def kill(self) -> None:
        """All of its processes at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def ranks(mark: str = "") -> dict[int, int]:
    """The trainers that live on any of the hosts: rank -> process, as the outermost namespace numbers them."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = dict(
                part.split("=", 1) for part in (folder / "environ").read_text().split("\0") if "=" in part
            )
        except (OSError, UnicodeDecodeError):
            continue
        if mark in environment.get(ATTEMPT_VARIABLE, " ") and "RANK" in environment and start_ticks(int(folder.name)):
            found[int(environment["RANK"])] = int(folder.name)
    return found


@contextmanager
def machines(names: list[str]) -> Iterator[tuple[list[Machine], str]]:
    """Machines behind one bridge, and the address by which they reach the tests; all of it is gone afterwards."""
    tag = uuid.uuid4().hex[:6]
    net, bridge = f"10.78.{int(tag, 16) % 250}", f"tw{tag}"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, text=True)

    made = [Machine(name, f"tw-{tag}-{number}", f"{net}.{number}") for number, name in enumerate(names, start=1)]
    try:
        run("ip", "link", "add", bridge, "type", "bridge")
        run("ip", "address", "add", f"{net}.254/24", "dev", bridge)
        run("ip", "link", "set", bridge, "up")
        for number, machine in enumerate(made, start=1):
            outside = f"{bridge}-{number}"
            run("ip", "netns", "add", machine.namespace)
            run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", machine.namespace)
            run("ip", "link", "set", outside, "master", bridge, "up")
            inside = ("ip", "netns", "exec", machine.namespace, "ip")
            run(*inside, "link", "set", "lo", "up")
            run(*inside, "address", "add", f"{machine.address}/24", "dev", "eth0")
            run(*inside, "link", "set", "eth0", "up")
        yield made, f"{net}.254"
    finally:
        for machine in made:
            subprocess.run(["ip", "netns", "delete", machine.namespace], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)


@contextmanager
def several_hosts(names: list[str], folder: Path, monkeypatch) -> Iterator[list[Host]]:
    """Machines with a runner each over one data folder and one PostgreSQL in `folder`."""
    folder.chmod(0o755)
    with machines(names) as (made, outside), _postgres(folder, outside) as url:
        monkeypatch.setenv("TUNEWAY_DATA_DIR", str(folder / "data"))
        monkeypatch.setenv("TUNEWAY_DATABASE_URL", url)
        monkeypatch.setenv("TUNEWAY_MIN_FREE_DISK_GB", "0.1")
        monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
        monkeypatch.setenv("TUNEWAY_RUNNER_URL", "")
        secrets = folder / "data" / "secrets"
        secrets.mkdir(parents=True)
        (secrets / SecretName.RUNNER_TOKEN.value).write_text(TOKEN)
        hosts = [Host(machine, folder / "data") for machine in made]
        try:
            for host in hosts:
                host.start()
            yield hosts
        finally:
            for host in hosts:
                host.kill()


@contextmanager
def _postgres(folder: Path, address: str) -> Iterator[str]:
    """URL of a migrated database that the machines reach."""
    server = EmbeddedPostgres(folder / "postgres", address, free_port(), uuid.uuid4().hex)
    server.initialise()
    with (server.folder / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {address}/24 scram-sha-256\n")
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(
            [*server.command(), *LASTS_NO_LONGER_THAN_THE_TESTS], stdout=log, stderr=log, start_new_session=True
        )
    try:
        server.wait_until_ready()
        server.create_database("tuneway")
        upgrade(server.url("tuneway"))
        yield server.url("tuneway")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
