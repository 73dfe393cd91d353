"""How long jobs wait for cards: the runner's own rule on made-up weeks, checked against theory and against a real runner.

    python -m benchmarks.capacity [--days 60] [--measure 8]

The queue is `runner.queue.decide` itself; only time is made up: jobs arrive at random (Poisson) in office hours or around the
clock, take cards for as long as their mix says, and each decision is the one that the runner would make. Checked twice. Against
Erlang's formula (Erlang 1917; Kleinrock 1975, Queueing Systems I, eq. 3.40) where it holds: one card a job, exponential
durations. And with `--measure N` against a real runner with N small trainings: the same arrivals, cards and durations simulated
must give every job's start as it was.
"""

from __future__ import annotations

import heapq
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import (
    REPOSITORY_ROOT,
    middle,
    own_folder,
    own_postgres,
    own_settings,
    parser,
    percentile,
    report,
)
from contracts.enums import Priority
from runner.queue import CardUse, Holding, WaitingJob, decide, used_card_seconds

if TYPE_CHECKING:
    from pydantic import JsonValue

    from contracts.record import JsonObject

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = 3600.0
PROJECTS = ("tolls", "safety", "maintenance", "service")


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it comes; times in seconds from the begin."""

    arrives: float
    cards: int
    lasts: float
    project: str = PROJECTS[0]
    expected: float | None = None
    """What the runner is told; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A part of the mix."""

    name: str
    share: float
    cards: int
    hours: float
    """Median; durations are log-normal with sigma 0.5."""


QWEN_MIX = (
    Kind("evaluation", 0.45, 1, 0.4),
    Kind("LoRA, 4 to 8 B", 0.35, 1, 2.0),
    Kind("QLoRA, 32 B", 0.15, 1, 6.0),
    Kind("LoRA, 32 B on two cards", 0.05, 2, 8.0),
)
"""Hours are those that `tuneway train plan` gives for 10,000 samples and three epochs on H100 cards, rounded; no card was here to
measure them on."""


def starts(jobs: Sequence[Job], cards: int, serving: int = 0) -> list[float]:
    """When each job gets its cards, by the runner's rule; seconds from the begin. `serving` cards are a model server's for good."""
    order = sorted(range(len(jobs)), key=lambda number: jobs[number].arrives)
    waiting: dict[str, WaitingJob] = {}
    running: list[tuple[float, int]] = []
    holdings: dict[int, Holding] = {}
    # of one project alone, what it has used decides nothing
    counts_use = len({job.project for job in jobs}) > 1
    uses: list[CardUse] = []
    began = [math.inf] * len(jobs)
    coming = 0
    while coming < len(order) or running:
        next_arrival = jobs[order[coming]].arrives if coming < len(order) else math.inf
        next_end = running[0][0] if running else math.inf
        now = min(next_arrival, next_end)
        moment = BEGIN + timedelta(seconds=now)
        while running and running[0][0] <= now:
            _, number = heapq.heappop(running)
            del holdings[number]
        while coming < len(order) and jobs[order[coming]].arrives <= now:
            number = order[coming]
            job = jobs[number]
            waiting[str(number)] = WaitingJob(
                str(number), job.cards, Priority.NORMAL, job.project, moment, job.expected
            )
            coming += 1
        uses = [use for use in uses if use.ended is None or moment - use.ended < timedelta(days=7)]
        server = [Holding(serving, None, is_serving=True)] if serving else []
        chosen = decide(
            list(waiting.values()), [*holdings.values(), *server], cards, used_card_seconds(uses, moment), moment
        ).start
        for key in chosen:
            number = int(key)
            job = jobs[number]
            del waiting[key]
            began[number] = now
            ends = now + job.lasts
            heapq.heappush(running, (ends, number))
            expected = None if job.expected is None else moment + timedelta(seconds=job.expected)
            holdings[number] = Holding(job.cards, expected)
            if counts_use:
                uses.append(CardUse(job.project, job.cards, moment, BEGIN + timedelta(seconds=ends)))
    return began


def arrivals(per_day: float, days: float, mix: Sequence[Kind], chance: random.Random) -> list[Job]:
    """Jobs of a mix around the clock, as a Poisson process; the runner is told the long end of the estimate, 1.5 times the median."""
    jobs, now = [], 0.0
    while (now := now + chance.expovariate(per_day / (24 * HOUR))) < days * 24 * HOUR:
        kind = chance.choices(mix, [kind.share for kind in mix])[0]
        lasts = kind.hours * HOUR * math.exp(chance.gauss(0, 0.5))
        jobs.append(Job(now, kind.cards, lasts, chance.choice(PROJECTS), 1.5 * kind.hours * HOUR))
    return jobs


def erlang_wait(per_second: float, lasts: float, cards: int) -> float:
    """Mean wait of M/M/c in seconds: C(c, a) · lasts / (c − a), a = per_second · lasts < c."""
    offered = per_second * lasts
    assert offered < cards, "more is asked for than there is"
    below = sum(offered**k / math.factorial(k) for k in range(cards))
    top = offered**cards / math.factorial(cards) * cards / (cards - offered)
    return top / (below + top) * lasts / (cards - offered)


def against_theory(cards: int, load: float, jobs: int, samples: int = 1) -> tuple[float, float]:
    """Mean wait in seconds: simulated, over so many samples, and by Erlang's formula. Exponential durations of an hour."""
    waits = []
    for seed in range(samples):
        made = exponential_jobs(cards, load, jobs, seed)
        waits += [began - job.arrives for began, job in zip(starts(made, cards), made, strict=True)]
    return sum(waits) / len(waits), erlang_wait(load * cards / HOUR, HOUR, cards)


def exponential_jobs(cards: int, load: float, count: int, seed: int) -> list[Job]:
    """One card a job; durations of an hour on average; together they ask for this share of the cards."""
    chance = random.Random(seed)  # noqa: S311 - the same jobs every time
    now, jobs = 0.0, []
    for _ in range(count):
        now += chance.expovariate(load * cards / HOUR)
        jobs.append(Job(now, 1, chance.expovariate(1 / HOUR)))
    return jobs


@dataclass(frozen=True, slots=True)
class Week:
    """What people of a site meet."""

    cards: int
    serving: int
    jobs_a_day: float
    use: float
    """Share of the cards' time in which a job has them, of those that no server holds."""
    wait_p50_hours: float
    wait_p90_hours: float
    waits_an_hour: float
    """Share of jobs that wait longer."""


def week(cards: int, serving: int, jobs_a_day: float, days: float, seed: int = 0) -> Week:
    """A site's weeks, simulated."""
    jobs = arrivals(jobs_a_day, days, QWEN_MIX, random.Random(seed))  # noqa: S311 - the same jobs every time
    began = starts(jobs, cards, serving)
    waits = [(start - job.arrives) / HOUR for start, job in zip(began, jobs, strict=True) if start < math.inf]
    end = max(start + job.lasts for start, job in zip(began, jobs, strict=True) if start < math.inf)
    return Week(
        cards=cards,
        serving=serving,
        jobs_a_day=jobs_a_day,
        use=round(sum(job.cards * job.lasts for job in jobs) / (end * (cards - serving)), 2),
        wait_p50_hours=percentile(waits, 0.5),
        wait_p90_hours=percentile(waits, 0.9),
        waits_an_hour=round(sum(wait > 1 for wait in waits) / len(waits), 2),
    )


def measured(jobs: int, seed: int = 1) -> JsonObject:
    """Small trainings handed at random moments to a real runner with two slots, and the same simulated."""
    from settings import SecretName
    from stages.runner_client import RunnerClient
    from stages.services import open_services
    from stages.train import create_job
    from tests.ports import free_port
    from tests.training.tiny_model import make_base_model, tiny_request

    chance = random.Random(seed)  # noqa: S311 - the same jobs every time
    with own_folder() as folder, own_postgres() as (url, _):
        os.environ |= {
            "TUNEWAY_RUNNER_PORT": str(free_port()),
            "TUNEWAY_MLFLOW_TRACKING_URL": f"http://127.0.0.1:{free_port()}",
        }
        settings = own_settings(database_url=url)
        settings.secrets_dir.mkdir(parents=True, exist_ok=True)
        (settings.secrets_dir / SecretName.RUNNER_TOKEN.value).write_text("of the benchmark", encoding="utf-8")
        services, client = open_services(settings), RunnerClient(settings)
        base = make_base_model(folder / "base")
        submissions = [create_job(tiny_request(services, base, f"capacity-{n}"), services) for n in range(jobs)]
        with (folder / "runner.log").open("wb") as log:
            runner = subprocess.Popen(
                [sys.executable, "-m", "runner"], cwd=REPOSITORY_ROOT, stdout=log, stderr=log, start_new_session=True
            )
        try:
            while not client.is_up():
                time.sleep(0.2)
            for submission in submissions:
                client.submit(submission.model_copy(update={"num_gpus": chance.choice([1, 1, 2])}))
                time.sleep(chance.expovariate(1 / 8))
            for submission in submissions:
                client.wait(submission.job_key, patience_seconds=600)
        finally:
            runner.send_signal(signal.SIGTERM)
            runner.wait(timeout=60)
        return _compared([settings.jobs_dir / submission.job_key for submission in submissions])


def _compared(folders: Iterable[Path]) -> JsonObject:
    """The wait of each job as it was and as it is simulated, from what the runner wrote."""

    def moment(path: Path, field: str) -> float:
        return (datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))[field]) - BEGIN).total_seconds()

    jobs, real = [], []
    for folder in folders:
        attempt = folder / "attempt-1"
        submission = json.loads((folder / "submission.json").read_text(encoding="utf-8"))
        queued = moment(attempt / "queued.json", "at")
        began = moment(attempt / "launcher.json", "started_at")
        ended = moment(attempt / "exit.json", "finished_at")
        jobs.append(
            Job(queued, submission["num_gpus"], ended - began, submission["project"], submission["expected_seconds"])
        )
        real.append(began - queued)
    simulated = [start - job.arrives for start, job in zip(starts(jobs, 2), jobs, strict=True)]
    apart = [abs(one - other) for one, other in zip(real, simulated, strict=True)]
    gap = [later.arrives - earlier.arrives for earlier, later in pairwise(sorted(jobs, key=lambda job: job.arrives))]
    return {
        "jobs": len(jobs),
        "seconds_between_arrivals": middle(gap, 1) if gap else None,
        "real_wait_seconds": [round(wait, 1) for wait in real],
        "simulated_wait_seconds": [round(wait, 1) for wait in simulated],
        "most_apart_seconds": round(max(apart), 1),
    }


def main() -> None:
    """Theory, weeks of several sites, and the real runner where asked for."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--days", type=float, default=60, help="simulated days of each site")
    arguments.add_argument("--measure", type=int, default=0, metavar="N", help="small trainings for a real runner")
    options = arguments.parse_args()
    days = 5 if options.tiny else options.days
    theory: list[JsonValue] = [
        {"cards": cards, "load": load, "simulated_s": round(simulated), "erlang_s": round(formula)}
        for cards, load in ((1, 0.5), (2, 0.7), (8, 0.8))
        for simulated, formula in [against_theory(cards, load, *((300, 1) if options.tiny else (4000, 8)))]
    ]
    weeks = [
        week(cards, serving, per_day, days)
        for cards, serving, per_day in ((2, 0, 6), (2, 0, 12), (2, 1, 6), (8, 2, 24), (8, 2, 40))
    ]
    found: JsonObject = {
        "against_erlang": theory,
        "weeks": [{name: getattr(each, name) for name in Week.__slots__} for each in weeks],
    }
    if options.measure:
        found["against_a_real_runner"] = measured(options.measure)
    report(
        "capacity",
        options,
        found,
        [
            ("cards", "of these serving", "jobs a day", "use", "wait p50", "p90", "wait over 1 h"),
            *(
                (
                    *(each.cards, each.serving, each.jobs_a_day, f"{each.use:.0%}"),
                    *(f"{each.wait_p50_hours} h", f"{each.wait_p90_hours} h", f"{each.waits_an_hour:.0%}"),
                )
                for each in weeks
            ),
        ],
    )


if __name__ == "__main__":
    main()
