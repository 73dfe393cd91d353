"""What every benchmark needs: a place of its own, what processes use, and how a result is written."""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from contracts.record import utc_now
from settings import Settings, load_settings
from storage.ports import claimed_port
from storage.processes import process_tree, resident_bytes

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent
DEMO_BASE = REPOSITORY_ROOT / "var" / "models" / "base" / "demo-base"
LOAD_AT_START = os.getloadavg()
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
KIB_PER_MIB = 1024


def parser(description: str) -> argparse.ArgumentParser:
    """Arguments that all benchmarks have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--tiny", action="store_true", help="a few seconds, to see that it runs; the numbers mean nothing"
    )
    return made


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that is gone afterwards, and an environment in which nothing reaches outside or another installation."""
    for name in [name for name in os.environ if name.startswith("TUNEWAY_")]:
        del os.environ[name]
    os.environ |= {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="tuneway-benchmark-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run as another account
        os.environ["TUNEWAY_DATA_DIR"] = str(folder / "data")
        yield folder


def own_settings(**values: object) -> Settings:
    """The settings of the folder, with these values; child processes load the same ones."""
    os.environ |= {f"TUNEWAY_{name.upper()}": str(value) for name, value in values.items()}
    return load_settings()


def base_model(folder: Path) -> Path:
    """The demo's base model where `make demo` has made it, else a small random one, made in `folder`."""
    code = "import sys; from pathlib import Path; from tests.tiny_model import make_tiny_model as make; make(Path(sys.argv[1]))"
    return _demo_base() or _made(code, folder / "tiny-base")


@contextmanager
def own_postgres() -> Iterator[tuple[str, int]]:
    """A PostgreSQL that is gone afterwards: the URL of a migrated database, and the server's process."""
    from database.embedded import EmbeddedPostgres
    from database.migrate import upgrade

    with claimed_port("127.0.0.1") as port, tempfile.TemporaryDirectory(prefix="tuneway-postgres-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server may run as another account
        server = EmbeddedPostgres(folder / "data", "127.0.0.1", port, uuid.uuid4().hex)
        server.initialise()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(server.command(), stdout=log, stderr=log, start_new_session=True)
        try:
            server.wait_until_ready()
            server.create_database("tuneway")
            upgrade(server.url("tuneway"))
            yield server.url("tuneway"), process.pid
        finally:
            process.send_signal(2)
            process.wait(timeout=60)


def demo_base_model(folder: Path) -> Path:
    """The same, else one of the demo's shape and tokenizer that has hardly learnt anything."""
    code = (
        "import sys; from pathlib import Path; from demo.pretrain import Pretraining, pretrain;"
        "pretrain(Path(sys.argv[1]), Pretraining(max_steps=1))"
    )
    return _demo_base() or _made(code, folder / "demo-base")


def _demo_base() -> Path | None:
    return DEMO_BASE if (DEMO_BASE / "manifest.json").is_file() else None


def _made(code: str, folder: Path) -> Path:
    # in a process of its own: this one stays without torch, whose threads and memory would be measured too.
    # DeepSpeed prints at its import: standard output is for the result alone
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=REPOSITORY_ROOT, check=True, stdout=sys.stderr)
    return folder


def demo_questions() -> list[str]:
    """The questions of the demo's test cases."""
    lines = (REPOSITORY_ROOT / "demo" / "test_cases" / "base_knowledge.jsonl").read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["question"]) for line in lines]


def cpu_seconds(pid: int) -> float:
    """CPU time that the process tree has used so far."""
    return sum(map(own_cpu_seconds, process_tree(pid)))


def own_cpu_seconds(pid: int) -> float:
    """The same of the process alone."""
    # the name stands in parentheses and may hold spaces
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


_SPINNER = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while os.getppid() == int(sys.argv[2]):
    pass
"""


@contextmanager
def awake_processors() -> Iterator[None]:
    """No processor falls asleep: a program that gives way to any other keeps each one busy.

    A virtual machine takes tens of microseconds to wake one, which is a property of its host and not of what is measured.
    """
    spinners = [
        subprocess.Popen([sys.executable, "-c", _SPINNER, str(processor), str(os.getpid())])
        for processor in sorted(os.sched_getaffinity(0))
    ]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def pss_mib(pid: int) -> float:
    """Memory of the process tree; pages that several processes share are divided among them."""
    size = resident_bytes(process_tree(pid))
    assert size is not None, "its processes live"
    return size / 1024**2


def peak_mib() -> float:
    """The most memory that this process has held at once."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / KIB_PER_MIB
    raise AssertionError("the kernel does not tell VmHWM")


def machine() -> str:
    """Cores, processor, memory."""
    names = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    }
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3
    return f"{os.cpu_count()} cores {', '.join(sorted(names)) or 'of unknown make'}, {memory:.0f} GiB"


def middle(values: Sequence[float], digits: int = 3) -> float:
    """Median, rounded for a reader."""
    return round(median(values), digits)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of them does not exceed, to a tenth."""
    ordered = sorted(values)
    return round(ordered[max(math.ceil(share * len(ordered)) - 1, 0)], 1)


def report(
    name: str, options: argparse.Namespace, measured: Mapping[str, Any], rows: Sequence[Sequence[object]]
) -> None:
    """The result as JSON on standard output and as rows of a Markdown table on standard error."""
    result = {
        "benchmark": name,
        "date": utc_now().date().isoformat(),
        "machine": machine(),
        "load_average_at_start": [round(value, 2) for value in LOAD_AT_START],
        "options": {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        **measured,
    }
    print(json.dumps(result, ensure_ascii=False, indent=1))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", file=sys.stderr)
