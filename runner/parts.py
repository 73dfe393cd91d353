"""An attempt over several hosts, as its launchers see it: the first part leads, the others follow.

Each part is torchrun on one host, begun by that host's launcher. They see each other by files in the job's folder:

    heartbeat.json, exit.json of each part    the leading launcher ends the attempt when a part has failed or is silent
    over, exit.json of the attempt            the other launchers end their part when the leading process has ended
    heartbeat.json of the attempt             or when the leading host is silent

The leading launcher ends last, so that no host's cards are given back while their processes live.
"""

import time
from collections.abc import Callable
from pathlib import Path

from contracts.errors import InvalidDataError, JobLostError
from contracts.jobs import JobSubmission
from contracts.nodes import NodePlan
from contracts.record import JsonObject
from storage.files import read_json, write_text_atomically
from storage.job_folder import AttemptFolder

SILENCE_SECONDS = 45.0
"""As long as a lease may be silent."""
BROKEN_GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL where a part is gone: the others wait for it in vain and can save nothing."""
END_GRACE_SECONDS = 60.0
"""For another host's process to end by itself once the leading one has: it flushes, and leaves the group."""
LOOK_SECONDS = 0.5
MEETING_SECONDS = 300
"""For all hosts to arrive; each has begun at most some seconds after the leading one."""


def read_nodes(attempt: AttemptFolder) -> NodePlan:
    """Who does which part. Raises InvalidDataError where it is not written."""
    found = read_json(attempt.nodes)
    if found is None:
        raise InvalidDataError("The attempt's hosts are not written down", value=attempt.nodes)
    return NodePlan.model_validate(found)


def torchrun_options(submission: JobSubmission, attempt: AttemptFolder, rank: int) -> list[str]:
    """Of this host's torchrun. The static rendezvous keeps the ranks as the plan says, so that rank 0 is the leader's."""
    processes = ["--nproc-per-node", str(submission.num_gpus)]
    if submission.num_nodes == 1:
        return ["--standalone", *processes]
    plan = read_nodes(attempt)
    return [
        *("--nnodes", str(len(plan.parts)), "--node-rank", str(rank)),
        *processes,
        *("--rdzv-backend", "static", "--rdzv-conf", f"timeout={MEETING_SECONDS}"),
        *("--rdzv-id", f"{submission.job_key}-{submission.attempt}"),
        *("--master-addr", plan.parts[0].address, "--master-port", str(plan.port)),
        *("--local-addr", plan.parts[rank].address),
    ]


class Silence:
    """How long a file has stayed as it is, by this process's clock: hosts' clocks may differ."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._seen: JsonObject | None = None
        self._since = clock()

    def seconds(self) -> float:
        """Since it changed, or since the first look."""
        try:
            content = read_json(self._path)
        except (OSError, ValueError):
            content = self._seen
        if content != self._seen:
            self._seen, self._since = content, self._clock()
        return self._clock() - self._since


class OtherParts:
    """The other hosts' parts, as the leading launcher sees them."""

    def __init__(self, attempt: AttemptFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self._attempt = attempt
        self._clock = clock
        parts = read_nodes(attempt).parts
        self._hosts = {rank: part.host for rank, part in enumerate(parts) if rank}
        self._silences = {rank: Silence(attempt.part(rank).heartbeat, clock) for rank in self._hosts}

    def lost(self) -> JobLostError | None:
        """Why the attempt cannot go on; None while every part lives or has done its work."""
        for rank, host in self._hosts.items():
            end = read_json(self._attempt.part(rank).exit)
            if end is not None and end.get("exit_code") != 0:
                return self._error(rank, f"The part on {host} has ended", f"exit code {end.get('exit_code')}")
            if end is None and (silent := self._silences[rank].seconds()) > SILENCE_SECONDS:
                return self._error(rank, f"The host {host} is silent", f"for {silent:.0f} s")
        return None

    def end(self, exit_code: int) -> None:
        """Have the others end, and wait until they have, or are silent."""
        write_text_atomically(self._attempt.over, str(exit_code))
        deadline = self._clock() + END_GRACE_SECONDS + SILENCE_SECONDS
        while self._clock() < deadline and any(self._lives(rank) for rank in self._hosts):
            time.sleep(LOOK_SECONDS)

    def _lives(self, rank: int) -> bool:
        part = self._attempt.part(rank)
        # one that begins after this sees that it is over before it does anything
        has_begun = part.launcher.exists() and not part.exit.exists()
        return has_begun and self._silences[rank].seconds() <= SILENCE_SECONDS

    def _error(self, rank: int, what: str, value: str) -> JobLostError:
        return JobLostError(
            what,
            value=value,
            next_step=f"see {self._attempt.part(rank).log}; start the job again: it resumes from its last checkpoint",
        )


class LeadingPart:
    """The leading host, as another part's launcher sees it."""

    def __init__(self, attempt: AttemptFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self._attempt = attempt
        self._silence = Silence(attempt.heartbeat, clock)

    def ended(self) -> str | None:
        """Why this part is to end; None while the attempt goes on."""
        if self._attempt.over.exists() or self._attempt.exit.exists():
            return "the leading host's process has ended"
        silent = self._silence.seconds()
        return f"the leading host has been silent for {silent:.0f} s" if silent > SILENCE_SECONDS else None

    def succeeded(self) -> bool:
        """Its process has ended well."""
        try:
            return self._attempt.over.read_text(encoding="utf-8") == "0"
        except FileNotFoundError:
            return False
