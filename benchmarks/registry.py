"""The registry with 100 model versions and a million answers: how long people wait for a list, a comparison, a lineage.

    python -m benchmarks.registry [--versions 100] [--suites 10] [--cases 1000000]

A PostgreSQL of its own, filled by COPY: every version has a job, an evaluation of 200 test cases with its verdict, and a
result on each suite; the cases are divided among the results. Each call is made as the commands make it, in a process
that has made it once before. The first version's job has 2,000 source documents.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from statistics import median
from typing import Any

import psycopg
from psycopg import sql

import stages.promote
from benchmarks.measuring import cpu_seconds, own_folder, own_postgres, own_settings, parser, report
from contracts.enums import ModelStatus
from contracts.promotions import PromoteRequest, RollbackRequest
from contracts.record import JsonObject
from contracts.suites import EvaluationConditions
from stages.compare_models import compare_models
from stages.lineage import trace
from stages.models import describe_model, list_models
from stages.services import Services, open_services

NAMES = 4
"""Model names among which the versions are divided."""
DOCUMENTS = 2000
EVALUATED_CASES = 200
REPEATS = 15
TINY = {"versions": 8, "suites": 2, "cases": 800}


def fill(url: str, versions: int, suites: int, cases: int) -> None:
    """The rows, by COPY."""
    chance = random.Random(7)  # noqa: S311 - the same rows every time
    per_result = max(1, cases // (versions * suites))
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://")) as connection:
        _copy(connection, "training_datasets", _datasets())
        _copy(
            connection,
            "dataset_lineage",
            (
                {"dataset_id": 1, "source_path": f"/inbox/{n:05}.hwp", "source_sha256": f"{n:064x}", "rows": 5}
                for n in range(DOCUMENTS)
            ),
        )
        _copy(connection, "finetuning_jobs", (_job(number) for number in range(1, versions + 1)))
        _copy(connection, "model_registry", (_model(number, versions) for number in range(1, versions + 1)))
        _copy(connection, "model_evaluations", (_evaluation(number, chance) for number in range(1, versions + 1)))
        keys = [(version, suite) for version in range(1, versions + 1) for suite in range(suites)]
        _copy(connection, "suite_results", (_result(*key, per_result) for key in keys))
        _copy(
            connection,
            "case_scores",
            (_case(result_id, case, chance) for result_id in range(1, len(keys) + 1) for case in range(per_result)),
        )
        for table in ("training_datasets", "finetuning_jobs", "model_registry", "model_evaluations", "suite_results"):
            connection.execute(
                sql.SQL("SELECT setval({}, (SELECT max(id) FROM {}))").format(f"{table}_id_seq", sql.Identifier(table))
            )
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")


def _copy(connection: psycopg.Connection[Any], table: str, rows: Iterator[JsonObject]) -> None:
    first = next(rows)
    names = sql.SQL(", ").join(map(sql.Identifier, first))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in chain([first], rows):
            copy.write_row([json.dumps(value) if isinstance(value, dict | list) else value for value in row.values()])


def _datasets() -> Iterator[JsonObject]:
    for number in (1, 2):
        yield {
            "id": number,
            "name": "regulations",
            "version": f"v1.{number}",
            "file_path": f"/data/{number}",
            "total_samples": 1000,
            "content_hash": f"{number:064x}",
        }


def _job(number: int) -> JsonObject:
    return {
        "id": number,
        "job_name": f"job-{number}",
        "base_model": "demo-base",
        "dataset_id": 1 + number % 2,
        "method": "lora",
        "hyperparameters": {"lora_rank": 8 + number, "learning_rate": 1e-4, "epochs": 3},
        "status": "completed",
        "base_model_path": "/models/demo-base",
    }


def _model(number: int, versions: int) -> JsonObject:
    name = number % min(NAMES, versions)
    return {
        "id": number,
        "model_name": f"assistant-{name}",
        "version": str(1 + number // NAMES),
        "base_model": "demo-base",
        "finetuning_job_id": number,
        "model_path": f"/models/registered/{number}",
        "model_format": "lora_adapter",
        "model_size_gb": 0.2,
        "base_model_path": "/models/demo-base",
        "content_hash": f"{number:064x}",
    }


def _evaluation(number: int, chance: random.Random) -> JsonObject:
    correct = chance.randrange(170, 196)
    interval: JsonObject = {"lower": 0.85, "upper": 0.97, "method": "wilson"}
    accuracy: JsonObject = {
        "n": EVALUATED_CASES,
        "correct": correct,
        "accuracy": correct / EVALUATED_CASES,
        "interval": interval,
        "by_category": {"tolls": correct / EVALUATED_CASES},
    }
    main: JsonObject = {
        "name": "regulations",
        "path": "/inbox/regulations.jsonl",
        "sha256": "0" * 64,
        "base": accuracy,
        "tuned": accuracy,
        "mcnemar_p": 0.01,
        "won": 10,
        "lost": 2,
        "excluded": {},
    }
    cases: list[Any] = [
        {
            "case_id": f"case-{case}",
            "question": f"{case}번 서식의 보존 기간은 얼마인가요?",
            "category": "tolls",
            "accepted_answers": ["5년"],
            "base_answer": "모름",
            "tuned_answer": "5년" if chance.random() < 0.9 else "3년",
            "base_correct": False,
            "tuned_correct": chance.random() < 0.9,
        }
        for case in range(EVALUATED_CASES)
    ]
    return {
        "id": number,
        "job_id": number,
        "metrics": {"accuracy": correct / EVALUATED_CASES, "n": EVALUATED_CASES, "lower": 0.85, "upper": 0.97},
        "test_cases": cases,
        "content_key": f"evaluate-{number}",
        "report": {
            "job_id": number,
            "backend": "vllm",
            "served_model_name": f"job-{number}",
            "main": main,
            "extras": [],
            "unstable_answers": 0,
            "repeated_answers": 40,
            "seconds": 60.0,
        },
        "verdict": {
            "evaluation_id": number,
            "decision": "pass",
            "metric": "accuracy",
            "accuracy_bar": 0.8,
            "accuracy": correct / EVALUATED_CASES,
            "interval": interval,
            "lower_bound_one_sided": 0.84,
            "n": EVALUATED_CASES,
            "reasons": ["합격"],
        },
    }


def _result(version: int, suite: int, n: int) -> JsonObject:
    conditions = EvaluationConditions(
        suite_name=f"suite-{suite}",
        suite_version=1,
        suite_sha256=f"{suite:064x}",
        system_prompt_sha256="6" * 64,
        template_sha256="7" * 64,
        engine="vllm 0.11.2",
        sampling={"temperature": 0},
        scoring="1",
    )
    estimate: JsonObject = {"name": "accuracy", "value": 0.9, "interval": {"lower": 0.88, "upper": 0.92}, "n": n}
    return {
        "content_key": f"{version}-{suite}",
        "suite_name": conditions.suite_name,
        "suite_version": 1,
        "comparison_key": conditions.comparison_key,
        "model_id": version,
        "job_id": version,
        "model_content_hash": f"{version:064x}",
        "score_name": "accuracy",
        "score": 0.9,
        "lower": 0.88,
        "upper": 0.92,
        "n": n,
        "report": {
            "model": {"kind": "model_version", "name": f"model {version}", "content_hash": f"{version:064x}"},
            "conditions": conditions.model_dump(mode="json"),
            "kind": "cases",
            "scores": [estimate],
            "by_category": {},
            "n": n,
            "excluded": {},
            "unstable_answers": 0,
            "repeated_answers": 0,
            "seconds": 10.0,
        },
    }


def _case(result_id: int, case: int, chance: random.Random) -> JsonObject:
    is_right = chance.random() < 0.9
    return {
        "result_id": result_id,
        "case_id": f"case-{case:06}",
        "category": f"category-{case % 12}",
        "score": float(is_right),
        "correct": is_right,
        "body": {
            "answer": f"보존 기간은 {5 if is_right else 3}년이며, 그 뒤에는 폐기 절차를 따릅니다.",
            "latency_ms": 120.5,
        },
    }


@dataclass(frozen=True, slots=True)
class Measured:
    """Some calls of one kind."""

    seconds: list[float]
    cpu_seconds: float
    """CPU time of a call, this process and PostgreSQL together: what a busy machine does not change."""


def measure(call: Callable[[], object], postgres: int) -> Measured:
    """Some calls, after one that is not counted."""
    call()
    taken = []
    cpu = time.process_time() + cpu_seconds(postgres)
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return Measured(taken, (time.process_time() + cpu_seconds(postgres) - cpu) / REPEATS)


def promotions(services: Services, postgres: int) -> Measured:
    """Promotion and rollback in PostgreSQL, turn by turn; MLflow's part is left out."""
    stages.promote.__dict__["mirror"] = lambda *_, **__: []
    in_staging = [item.version for item in list_models(services, name="assistant-1", status=ModelStatus.STAGING)]
    taken = []
    cpu = time.process_time() + cpu_seconds(postgres)
    for version in in_staging[:2]:
        start = time.perf_counter()
        stages.promote.promote(PromoteRequest(model_id=version.model_id, actor="kim", reason="measured"), services)
        taken.append(time.perf_counter() - start)
    start = time.perf_counter()
    stages.promote.roll_back(RollbackRequest(model_name="assistant-1", actor="kim", reason="measured"), services)
    taken.append(time.perf_counter() - start)
    return Measured(taken, (time.process_time() + cpu_seconds(postgres) - cpu) / len(taken))


def main() -> None:
    """Fill, then measure."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--versions", type=int, default=100)
    arguments.add_argument("--suites", type=int, default=10)
    arguments.add_argument("--cases", type=int, default=1_000_000)
    options = arguments.parse_args()
    if options.tiny:
        options.versions, options.suites, options.cases = TINY["versions"], TINY["suites"], TINY["cases"]
    with own_folder(), own_postgres() as (url, postgres):
        services = open_services(own_settings(database_url=url))
        start = time.perf_counter()
        fill(url, options.versions, options.suites, options.cases)
        filled = time.perf_counter() - start
        with services.unit_of_work() as uow:
            rows = uow.session.connection().exec_driver_sql("SELECT count(*) FROM case_scores").scalar_one()
        calls: dict[str, Callable[[], object]] = {
            "list of all versions": lambda: list_models(services),
            "one version": lambda: describe_model("model:1", services),
            "comparison of two": lambda: compare_models(["model:1", "model:2"], services, with_rows=False),
            "comparison of four": lambda: compare_models(
                ["model:1", "model:2", "model:3", "model:4"], services, with_rows=False
            ),
            "lineage of a version": lambda: trace("model:2", services),
            "lineage of a document": lambda: trace("document:00001.hwp", services),
        }
        measured = {name: measure(call, postgres) for name, call in calls.items()}
        measured["promotion or rollback"] = promotions(services, postgres)
        listed = len(list_models(services))
        compared = compare_models(["model:1", "model:2"], services, with_rows=False).pairs[0]
        cases = sum(suite.counts.cases for suite in compared.suites if suite.counts is not None)
    report(
        "registry",
        options,
        {
            "case_scores": rows,
            "listed": listed,
            "compared_cases": cases,
            "filled_seconds": round(filled, 1),
            "milliseconds": {
                name: {
                    "median": round(median(taken.seconds) * 1000, 1),
                    "worst": round(max(taken.seconds) * 1000, 1),
                    "cpu": round(taken.cpu_seconds * 1000, 1),
                }
                for name, taken in measured.items()
            },
        },
        [
            [
                name,
                *(f"{value * 1000:.0f} ms" for value in (median(taken.seconds), max(taken.seconds), taken.cpu_seconds)),
            ]
            for name, taken in measured.items()
        ],
    )


if __name__ == "__main__":
    main()
