"""What can go wrong in a campaign: each fault does its harm, says what it did, and mends what does not mend itself."""

from __future__ import annotations

import os
import random
import shutil
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cli.programs import ProgramName
from tests.faults.site import Site, descendants, kill, wait_for

STAGES = (
    "import_dataset",
    "prepare",
    "check_quality",
    "train",
    "evaluate",
    "gate",
    "register",
    "deploy",
    "start_ab_test",
)
PROGRAMS = sorted(set(ProgramName) - {ProgramName.AIRFLOW_WORKER})
"""Those of a platform on one host: there the scheduler starts the workers itself."""
FULL_SECONDS = (4.0, 10.0)
"""How long a disk stays full."""
FROZEN_SECONDS = (3.0, 12.0)
FORWARDS_SECONDS = (30, 3600)
"""How far a clock jumps."""
BACK_SECONDS = (30, 120)
"""Airflow does not look at a run that was triggered in its future: each stands still for as long as this."""
CONNECTED = ("postgres", "airflow", "mlflow", "runner", "serving")
"""Programs whose connections break off."""
MET_SECONDS = 20.0
"""Until what a fault is to hit is there; another fault may just have ended it."""
BEGIN_SECONDS = 900.0
"""Until the stage begins in which a fault strikes."""
CHECKPOINT_STEP = 26
"""From here on the first checkpoint of a run lies there (save_steps is 25)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in which run a fault strikes."""

    run_id: str
    stage: str
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    strike: Callable[[Site, Moment, random.Random], tuple[str, Callable[[], None] | None]]
    """Do it; return what was done, and what mends it after the run's end where it does not mend itself."""
    stages: tuple[str, ...] = STAGES
    """When it may strike."""
    reasons: tuple[str, ...] = ()
    """Words, one of which the error must have where the run may end red; with none it must end green."""
    obstacle: Callable[[Site], str | None] = lambda _site: None
    """Why it cannot be done on this machine."""


Met = TypeVar("Met")
Done = tuple[str, Callable[[], None] | None]


def _met(find: Callable[[], list[Met]], poll_seconds: float = 0.05) -> list[Met]:
    """What a fault is to hit, as soon as `find` finds any; nothing where none came in time."""
    found: list[Met] = []

    def there() -> bool:
        found[:] = find()
        return bool(found)

    wait_for(there, MET_SECONDS, poll_seconds)
    return found


def _kill_program(name: ProgramName) -> Callable[[Site, Moment, random.Random], Done]:
    """kill -9 of a supervised program: the process alone, or all of its tree."""

    def strike(site: Site, _moment: Moment, chance: random.Random) -> Done:
        running = _met(lambda: [pid for pid in [site.pid_of(name)] if pid is not None])
        if not running:
            return f"{name} did not run", None
        (pid,) = running
        whole = chance.random() < 0.5
        pids = [pid, *(descendants(pid) if whole else [])]
        kill(pids)
        return f"kill -9 {name}{' with its children' if whole else ''} ({len(pids)} processes)", None

    return strike


def _kill_worker(site: Site, _moment: Moment, chance: random.Random) -> Done:
    """kill -9 of one of the processes in which Airflow runs tasks."""

    def of_scheduler() -> list[int]:
        scheduler = site.pid_of(ProgramName.AIRFLOW_SCHEDULER)
        return descendants(scheduler) if scheduler is not None else []

    workers = _met(of_scheduler)
    if not workers:
        return "no worker ran", None
    chosen = chance.choice(sorted(workers))
    kill([chosen])
    return f"kill -9 of one of {len(workers)} Airflow workers", None


def _kill_supervisor(site: Site, _moment: Moment, chance: random.Random) -> Done:
    """kill -9 of what watches over all others; then what docs/operations.md says: `tuneway up`."""
    pid = int((site.installation.settings.run_dir / "supervisord.pid").read_text(encoding="ascii"))
    kill([pid])
    pause = chance.uniform(0, 5)
    time.sleep(pause)
    up = site.installation.tuneway("up", "--timeout", "600")
    assert up.returncode == 0, f"`tuneway up` after the supervisor's end: {up.stderr}"
    return f"kill -9 supervisord, `tuneway up` {pause:.0f} s later", None


def _kill_job(site: Site, moment: Moment, chance: random.Random) -> Done:
    """kill -9 of the processes that train or evaluate, with or without their launcher."""
    found = _met(lambda: [process.pid for process in site.job_processes()])
    if not found:
        return "no job ran", None
    pids = found if chance.random() < 0.5 else [chance.choice(sorted(found))]
    kill(pids)
    return f"kill -9 of {len(pids)} of {len(found)} processes of the job in {moment.stage}", None


def _kill_model_server(site: Site, _moment: Moment, chance: random.Random) -> Done:
    """kill -9 of a server that answers users."""
    servers = site.model_servers()
    if not servers:
        return "no model server ran", None
    chosen = chance.choice(servers)
    pid = site.pid_of(chosen)
    kill([] if pid is None else [pid, *descendants(pid)])
    return f"kill -9 {chosen.rpartition('-')[0]} (one of {len(servers)})", None


def _freeze(site: Site, _moment: Moment, chance: random.Random) -> Done:
    """A program that hangs for a while: SIGSTOP, SIGCONT."""
    name = chance.choice([name for name in PROGRAMS if name is not ProgramName.POSTGRES])
    pid = site.pid_of(name)
    if pid is None:
        return f"{name} did not run", None
    seconds = chance.uniform(*FROZEN_SECONDS)
    pids = [pid, *descendants(pid)]
    for each in pids:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGSTOP)
    time.sleep(seconds)
    for each in pids:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGCONT)
    return f"{name} stood still for {seconds:.0f} s", None


def _fill_disk(site: Site, _moment: Moment, chance: random.Random) -> Done:
    """No byte is free for some seconds."""
    filler = site.installation.data_dir / "filler"
    seconds = chance.uniform(*FULL_SECONDS)
    try:
        fill(filler)
        time.sleep(seconds)
    finally:
        filler.unlink(missing_ok=True)
    return f"disk full for {seconds:.0f} s", None


def fill(filler: Path) -> None:
    """Leave no byte free on the file system of this new file."""
    with filler.open("wb", buffering=0) as file:
        while True:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), 1 << 20)
                file.seek(0, os.SEEK_END)
            except OSError:
                break
        with suppress(OSError):
            while True:
                file.write(b"\0" * 4096)


def _drop_connections(site: Site, _moment: Moment, chance: random.Random) -> Done:
    """Every TCP connection to one of the programs breaks off: to the first one, in an order of chance, that has any."""
    ports = site.installation.settings.ports
    names = chance.sample(CONNECTED, len(CONNECTED))

    def break_off() -> list[tuple[str, int]]:
        counted = ((name, _broken_off(ports[name])) for name in names)
        return next(([(name, count)] for name, count in counted if count), [])

    found = _met(break_off)
    if not found:
        return "nothing was connected", None
    ((name, count),) = found
    return f"{count} connections to {name} broken off", None


def _broken_off(port: int) -> int:
    """Break off what is connected to the port; how many that were."""
    done = subprocess.run(
        ["ss", "--kill", "--no-header", "--tcp", "state", "established", "dport", "=", f":{port}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return len(done.stdout.splitlines())


def _jump_clock(site: Site, _moment: Moment, chance: random.Random) -> Done:
    """The clock of every process of the platform jumps, and stays there."""
    assert site.clock is not None
    jump = chance.choice([-chance.randint(*BACK_SECONDS), chance.randint(*FORWARDS_SECONDS)])
    with site.clock.open("r+b", buffering=0) as file:
        (offset,) = struct.unpack("<q", file.read(8))
        file.seek(0)
        # one write of eight bytes: whoever has mapped the file sees the old value or the new one
        file.write(struct.pack("<q", offset + jump))
    return f"the clock jumps by {jump:+d} s", None


def _rot(path: Path, chance: random.Random) -> bytes:
    """Change bytes in the middle of a file; return what it held."""
    content = path.read_bytes()
    place = chance.randrange(len(content) // 4, len(content) * 3 // 4)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(value ^ 0xA5 for value in content[place : place + 64]))
    return content


def _rot_checkpoint(site: Site, moment: Moment, chance: random.Random) -> Done:
    """The newest checkpoint's bytes change, then the trainer dies and has to resume."""
    folder = site.installation.wait_for_step(moment.run_id, CHECKPOINT_STEP, timeout=600)
    newest = max(
        (path for path in (folder / "checkpoints").glob("checkpoint-*") if path.is_dir()),
        key=lambda path: int(path.name.rpartition("-")[2]),
        default=None,
    )
    if newest is None:
        return "there was no checkpoint", None
    files = sorted(path for path in newest.rglob("*") if path.is_file() and path.stat().st_size > 256)
    chosen = chance.choice(files)
    _rot(chosen, chance)
    kill([process.pid for process in site.job_processes() if str(folder) in " ".join(process.cmdline())])
    return f"{newest.name}/{chosen.name} rots, then kill -9 of the trainer", None


def _rot_dataset(site: Site, moment: Moment, chance: random.Random) -> Done:
    """Bytes of the dataset version that is about to be trained on change; put right after the run."""
    found = site.query(
        "SELECT record->>'file_path' FROM pipeline_stages WHERE run_id = %s AND stage = 'prepare'", moment.run_id
    )
    files = sorted(Path(str(found[0][0])).glob("train*.parquet*")) if found and found[0][0] else []
    if not files:
        return "the dataset had no file yet", None
    content = _rot(files[0], chance)
    chosen = files[0]

    def put_right() -> None:
        staged = chosen.with_name(f".{chosen.name}.whole")
        staged.write_bytes(content)
        staged.replace(chosen)

    return f"{chosen.name} of the dataset version rots", put_right


def _no_disk(site: Site) -> str | None:
    return None if site.own_disk else "a disk to fill needs root, who may mount one"


def _no_clock(site: Site) -> str | None:
    return None if site.clock is not None else "a clock to move needs a C compiler (Debian: gcc, libc6-dev)"


def _no_ss(_site: Site) -> str | None:
    if shutil.which("ss") is None or os.geteuid() != 0:
        return "breaking connections off needs `ss` (Debian: iproute2) and root"
    return None


FAULTS = (
    *(Fault(f"kill {name}", _kill_program(name)) for name in PROGRAMS),
    Fault("kill airflow worker", _kill_worker),
    Fault("kill supervisor", _kill_supervisor),
    Fault("kill trainer", _kill_job, stages=("train",)),
    Fault("kill evaluation", _kill_job, stages=("evaluate",)),
    Fault("kill model server", _kill_model_server),
    Fault("freeze", _freeze),
    Fault("fill disk", _fill_disk, reasons=("disk", "space", "디스크"), obstacle=_no_disk),
    Fault("drop connections", _drop_connections, obstacle=_no_ss),
    Fault("jump clock", _jump_clock, obstacle=_no_clock),
    Fault("rot checkpoint", _rot_checkpoint, stages=("train",)),
    Fault(
        "rot dataset",
        _rot_dataset,
        stages=("check_quality",),
        reasons=("changed", "not what was written", "달라"),
    ),
)


def faults_of(site: Site) -> Iterator[Fault]:
    """Those that this machine can do."""
    return (fault for fault in FAULTS if fault.obstacle(site) is None)


def choose(seed: int, site: Site) -> tuple[Fault, str, float, random.Random]:
    """The fault of a seed, the stage in which it strikes, and how long after that stage's begin, in seconds.

    Seeds that follow one another go through all faults in an order of chance, so that as many seeds as there are
    faults have each one once.
    """
    faults = list(faults_of(site))
    round_, place = divmod(seed, len(faults))
    fault = random.Random(round_).sample(faults, len(faults))[place]
    chance = random.Random(seed)
    return fault, chance.choice(fault.stages), chance.uniform(0, 3), chance


class Striking(threading.Thread):
    """Waits for the moment, strikes, and keeps what was done."""

    def __init__(self, site: Site, seed: int, run_id: str) -> None:
        super().__init__(name=f"fault-{seed}", daemon=True)
        self.fault, stage, delay, self._chance = choose(seed, site)
        self.moment = Moment(run_id, stage, delay)
        self.did = "the run ended before it could strike"
        self.mend: Callable[[], None] | None = None
        self.error: Exception | None = None
        self.run_has_ended = threading.Event()
        self._site = site

    def run(self) -> None:
        """Strike once the stage has begun."""

        def begun() -> bool:
            return self.run_has_ended.is_set() or bool(
                self._site.query(
                    "SELECT 1 FROM pipeline_stages WHERE run_id = %s AND stage = %s",
                    self.moment.run_id,
                    self.moment.stage,
                )
            )

        try:
            if wait_for(begun, BEGIN_SECONDS, poll_seconds=1.0) and not self.run_has_ended.is_set():
                time.sleep(self.moment.delay_seconds)
                self.did, self.mend = self.fault.strike(self._site, self.moment, self._chance)
        except Exception as error:  # noqa: BLE001 - the thread's edge: the campaign tells it
            self.error = error
