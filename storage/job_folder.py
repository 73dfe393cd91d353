"""The folder of a runner job: what each file means, who writes it.

<jobs_dir>/<job_key>/
    plan.json                stage, before the submission: what was resolved from rows and recipes (training)
    submission.json          runner, once: JobSubmission of the newest attempt
    progress.json            job process, at least each second while it works
    manifest.json            job process, at its first start: what the run is made of (training)
    adjustments.json         job process: what it changed of the plan when memory ran out (training)
    metrics.jsonl            job process, one line a logged step (training)
    tracking.json            job process: run id and what MLflow has been sent (training)
    result.json              job process, last of all: the stage's record; its existence means done
    checkpoints/, output/    job process
    attempt-<n>/
        queued.json          runner, never changed: when the attempt was accepted, on which host, the address of its runner
        launcher.json        launcher: pid, process start time, gpu ids, started_at
        heartbeat.json       launcher, each second
        output.log           launcher and job process: stdout and stderr
        error.json           job process: the four parts of its error
        restart.json         job process: asks the launcher to start it once more, with the reason (its error's parts)
        restarts.json        launcher: when and why it started the job's process again within the attempt
        exit.json            launcher, last: state, exit code, finished_at, error; its existence means the attempt has
                             ended, and the first one stays. Written by the runner where the launcher vanished or never
                             started, by another host's (`declared_by`) where the attempt's host is silent
        stop                 anyone: asks the launcher to end the job
        nodes.json           runner, before the start: hosts and cards of an attempt over several hosts (NodePlan)
        over                 launcher: its process has ended, so the other hosts' parts are to end; content: exit code
        node-<rank>/         the other hosts' runners and launchers: launcher.json, heartbeat.json, output.log,
                             exit.json of their part, from 1
        settled              runner: cards are free again and the database knows how the attempt ended
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Paths of one job."""

    root: Path

    @property
    def plan(self) -> Path:
        """What the stage resolved before it handed the job over."""
        return self.root / "plan.json"

    @property
    def tracking(self) -> Path:
        """Which run, and how far it has been sent."""
        return self.root / "tracking.json"

    @property
    def submission(self) -> Path:
        """Newest JobSubmission."""
        return self.root / "submission.json"

    @property
    def progress(self) -> Path:
        """Newest JobProgress."""
        return self.root / "progress.json"

    @property
    def metrics(self) -> Path:
        """Metric series, one JSON object a line."""
        return self.root / "metrics.jsonl"

    @property
    def manifest(self) -> Path:
        """What the run is made of."""
        return self.root / "manifest.json"

    @property
    def adjustments(self) -> Path:
        """What the job has changed of its plan."""
        return self.root / "adjustments.json"

    @property
    def result(self) -> Path:
        """The stage's record."""
        return self.root / "result.json"

    @property
    def checkpoints(self) -> Path:
        """Training checkpoints."""
        return self.root / "checkpoints"

    @property
    def output(self) -> Path:
        """What the job made: adapter or model."""
        return self.root / "output"

    def attempt(self, number: int) -> "AttemptFolder":
        """Paths of one attempt, numbered from 1."""
        return AttemptFolder(self.root / f"attempt-{number}")


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """Paths of one attempt at a job."""

    root: Path

    @property
    def queued(self) -> Path:
        """When and where the attempt was accepted."""
        return self.root / "queued.json"

    @property
    def settled(self) -> Path:
        """Its existence means that nothing is left to do after the attempt's end."""
        return self.root / "settled"

    @property
    def launcher(self) -> Path:
        """Identity of the launcher process."""
        return self.root / "launcher.json"

    @property
    def heartbeat(self) -> Path:
        """Written each second by the launcher."""
        return self.root / "heartbeat.json"

    @property
    def log(self) -> Path:
        """Stdout and stderr of the job."""
        return self.root / "output.log"

    @property
    def error(self) -> Path:
        """The job's own error."""
        return self.root / "error.json"

    @property
    def restart(self) -> Path:
        """The job's wish to be started once more, and why."""
        return self.root / "restart.json"

    @property
    def restarts(self) -> Path:
        """When and why the launcher started the job's process again."""
        return self.root / "restarts.json"

    @property
    def exit(self) -> Path:
        """Exit code; its existence means the attempt has ended."""
        return self.root / "exit.json"

    @property
    def nodes(self) -> Path:
        """Who does which part, where several hosts do it."""
        return self.root / "nodes.json"

    @property
    def over(self) -> Path:
        """Its existence tells the other hosts that the first one's process has ended."""
        return self.root / "over"

    def part(self, rank: int) -> "AttemptFolder":
        """Files of another host's part, numbered from 1."""
        return AttemptFolder(self.root / f"node-{rank}")

    def parts(self) -> "list[AttemptFolder]":
        """The other hosts' parts that have begun."""
        return [AttemptFolder(path) for path in sorted(self.root.glob("node-*"))]

    @property
    def stop(self) -> Path:
        """Its existence asks the launcher to end the job."""
        return self.root / "stop"
