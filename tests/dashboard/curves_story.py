"""Trainings that measured everything, one of preferences, one without values, and a sweep."""

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path

from contracts.enums import SweepMetric, TrialState
from contracts.record import JsonObject, utc_now
from contracts.sweeps import SearchRange, SweepReport, SweepRequest, SweepTrial
from contracts.training import TrainRequest
from stages.services import Services
from tests.stages.finished_job import training_report
from training.sweeps.study import SweepStudy

STEPS = 1200
START = 1_795_300_000
SWEEP = "rates"
TRIALS = ((0.001, 8, 0.9), (0.002, 16, 0.5), (0.004, 8, 0.3), (0.008, 32, 0.1), (0.02, 16, 0.7))
"""Learning rate, rank and what the validation loss came to: the fourth is the best."""


@dataclass(frozen=True)
class Curves:
    """Ids of the jobs."""

    slow: int
    fast: int
    preferences: int
    waiting: int


def tell_curves(services: Services) -> Curves:
    """Two finished trainings, one of preferences on another version, one that waits."""
    slow = add_job(services, "rates-slow", learning_rate=0.001, noise=0.25, seconds=2.0)
    fast = add_job(services, "rates-fast", learning_rate=0.005, noise=0.2, seconds=1.0)
    preferences = add_job(services, "politeness", objective="dpo", dataset="politeness", learning_rate=0.001)
    waiting = add_job(services, "rates-next", learning_rate=0.01, steps=0)
    return Curves(slow, fast, preferences, waiting)


def add_job(
    services: Services,
    name: str,
    *,
    learning_rate: float,
    objective: str = "sft",
    dataset: str = "tolls",
    noise: float = 0.1,
    seconds: float = 1.0,
    steps: int = STEPS,
) -> int:
    """A job with its folder: finished, or with 0 steps one that waits."""
    with services.unit_of_work() as uow:
        version = uow.datasets.add(
            name=dataset, content_hash=f"{dataset:0<64}", file_path="/d", total_samples=9, train_samples=7, val_samples=1,
            test_samples=1, removed={}, masked={}, quality_score=1.0, categories={},
        )  # fmt: skip
        request = TrainRequest(job_name=name, dataset_id=version.dataset_id, base_model="demo-base")
        numbers: JsonObject = {
            "objective": objective, "description": name, "learning_rate": learning_rate, "lora_rank": 8, "batch_size": 32,
            "scheduler": "cosine", "warmup_steps": 60, "early_stopping_patience": None,
        }  # fmt: skip
        job_id = uow.jobs.create(request, hyperparameters=numbers, base_model_path="/srv/models/base/demo-base")
        folder = services.settings.jobs_dir / f"train-{job_id}"
        uow.jobs.set_folders(
            job_id,
            output_dir=str(folder / "output"),
            checkpoint_dir=str(folder / "checkpoints"),
            logs_path=str(folder),
        )
        folder.mkdir(parents=True)
        if steps:
            uow.jobs.mark_running(job_id, [0], mlflow_run_id=f"{job_id:032x}")
            write_metrics(folder / "metrics.jsonl", learning_rate, objective, noise, seconds, steps)
            report = training_report(
                job_id, version.dataset_id, request, Path("/srv/models/base/demo-base"), folder, weights_sha256="c" * 64
            )
            uow.jobs.complete(job_id, report)
    return job_id


def write_metrics(path: Path, rate: float, objective: str, noise: float, seconds: float, steps: int) -> None:
    """metrics.jsonl as a trainer leaves it, with the scatter of small batches."""
    chance = random.Random(rate)
    with path.open("w", encoding="utf-8") as stream:
        for step in range(1, steps + 1):
            share = step / steps
            level = 0.08 + 3.1 * math.exp(-share * 900 * rate)
            told = {"step": step, "epoch": round(share * 5, 4), "timestamp": START + step * seconds}
            line = {
                **told,
                "loss": level * (1 + chance.uniform(-noise, noise)),
                "learning_rate": rate * min(1, step / 60) * (1 + math.cos(math.pi * share)) / 2,
                "grad_norm": 2.2 * level**0.5 * (1 + chance.uniform(-0.4, 0.4)),
                "tokens_per_second": 5100 / seconds * (1 + chance.uniform(-0.05, 0.05)),
            }
            if objective == "dpo":
                line |= {"reward_margin": 2 * share - 0.2, "reward_accuracy": 0.5 + 0.4 * share}
            stream.write(json.dumps(line) + "\n")
            if step % 100 == 0:
                loss = level * 1.1 + 0.03
                perplexity = {"perplexity": math.exp(loss)} if objective == "sft" else {}
                stream.write(json.dumps({**told, "eval_loss": loss, **perplexity}) + "\n")


def tell_sweep(services: Services, jobs: list[int]) -> None:
    """A trial a loss, of which the first ones have a job, and one that was pruned."""
    study = SweepStudy.create(services.settings.resolved_database_url, sweep_request())
    for slot, (*_, loss) in enumerate(TRIALS):
        asked = study.ask(slot)
        if slot < len(jobs):
            study.note_job(asked.number, f"train-{jobs[slot]}", jobs[slot])
        study.complete(asked.number, {SweepMetric.EVAL_LOSS: loss})
    study.prune(study.ask(len(TRIALS)).number)


def sweep_request() -> SweepRequest:
    """Learning rate and rank are looked for."""
    space = {
        "learning_rate": SearchRange(low=0.001, high=0.02, log=True),
        "lora_rank": SearchRange(choices=[8, 16, 32]),
    }
    return SweepRequest(sweep_name=SWEEP, dataset_id=1, trials=8, search_space=space)


def sweep_report() -> SweepReport:
    """The trials with the values as above, and one that was pruned."""
    trials = [
        SweepTrial(
            number=number, state=TrialState.COMPLETED, values={"lora_rank": rank, "learning_rate": rate},
            results={SweepMetric.EVAL_LOSS: loss}, evaluations=[], job_id=None, reason=None,
        )
        for number, (rate, rank, loss) in enumerate(TRIALS)
    ]  # fmt: skip
    pruned = SweepTrial(
        number=5, state=TrialState.PRUNED, values={"learning_rate": 0.0012, "lora_rank": 16}, results={},
        evaluations=[1.0], job_id=None, reason=None,
    )  # fmt: skip
    return SweepReport(
        sweep_name=SWEEP, request=sweep_request(), started_at=utc_now(), trials=[*trials, pruned], best=[3],
        importances={"learning_rate": 0.8, "lora_rank": 0.2},
    )  # fmt: skip
