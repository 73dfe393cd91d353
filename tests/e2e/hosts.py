"""Hosts on one machine: each has its own name, address, processes and memory files, all see one data folder.

A host is a namespace of processes, network, mounts and name. Killing its first process is what pulling the plug is: the
kernel kills every other one with it. The folder that a site mounts from a file server is a plain folder here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.conftest import REPOSITORY_ROOT

NAMESPACES = ("--net", "--uts", "--pid", "--mount")
NETWORK = "10.77.0"


def _started(arguments: Sequence[str], script: str) -> tuple[subprocess.Popen[bytes], int]:
    """A process in new namespaces that runs the script: its parent here, and the number of the process itself."""
    parent = subprocess.Popen(["unshare", *arguments, "--fork", "--kill-child", "sh", "-ec", script])
    deadline = time.monotonic() + 20
    while not (found := psutil.Process(parent.pid).children()) or found[0].name() != "sleep":
        assert parent.poll() is None, "namespaces could not be made"
        assert time.monotonic() < deadline, "namespaces never came up"
        time.sleep(0.02)
    return parent, found[0].pid


@dataclass
class Switch:
    """The network between the hosts; nothing of it is seen outside."""

    process: subprocess.Popen[bytes] = field(init=False)
    pid: int = field(init=False)

    def __post_init__(self) -> None:
        script = "ip link set lo up; ip link add hosts type bridge; ip link set hosts up; exec sleep infinity"
        self.process, self.pid = _started(["--net"], script)

    def run(self, *command: str) -> None:
        subprocess.run(["nsenter", f"--target={self.pid}", "--net", "--", *command], check=True)

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Host:
    """One machine."""

    name: str
    number: int
    switch: Switch
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] = field(init=False)
    pid: int = field(init=False)

    @property
    def address(self) -> str:
        return f"{NETWORK}.{self.number}"

    def start(self) -> None:
        """Switch it on: a name, an address, nothing else."""
        # memory files are a machine's own
        script = f"hostname {self.name}; mount -t tmpfs tmpfs /dev/shm; ip link set lo up; exec sleep infinity"
        self.process, self.pid = _started([*NAMESPACES, "--mount-proc"], script)
        port = f"port{self.number}"
        self.switch.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        self.switch.run("ip", "link", "set", port, "master", "hosts", "up")
        for command in (f"ip address add {self.address}/24 dev eth0", "ip link set eth0 up"):
            subprocess.run(self._entered(command.split()), check=True)

    def kill(self) -> None:
        """Pull the plug: every process of it is gone, at once and without a word."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    def signal_all(self, number: int) -> None:
        """To every process but the first: SIGSTOP and SIGCONT make it sleep and wake as a virtual machine does."""
        for process in self.processes():
            process.send_signal(number)

    def processes(self) -> list[psutil.Process]:
        """All that run on it but its first."""
        space = Path(f"/proc/{self.pid}/ns/pid").readlink()
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != self.pid and Path(f"/proc/{process.pid}/ns/pid").readlink() == space:
                    found.append(process)
            except OSError:
                continue
        return found

    def run(self, *command: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """A command there, to its end."""
        return subprocess.run(
            self._entered(command),
            cwd=REPOSITORY_ROOT,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def begin(self, *command: str, output: Path | None = None) -> subprocess.Popen[str]:
        """A command there, going on beside the test."""
        stream = subprocess.PIPE if output is None else output.open("a", encoding="utf-8")
        return subprocess.Popen(
            self._entered(command),
            cwd=REPOSITORY_ROOT,
            env=dict(self.environment),
            stdout=stream,
            stderr=subprocess.PIPE if output is None else subprocess.STDOUT,
            text=True,
        )

    def tuneway(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """A command of the platform there."""
        return self.run(sys.executable, "-m", "cli.main", *arguments, timeout=timeout)

    def _entered(self, command: Sequence[str]) -> list[str]:
        return ["nsenter", f"--target={self.pid}", *NAMESPACES, f"--wdns={REPOSITORY_ROOT}", "--", *command]
