"""Suites of kind harness: a public benchmark, scored by lm-evaluation-harness itself.

Every number is the harness' own, to the last digit; the intervals are added here.
"""

import hashlib
import importlib.metadata
import logging
import os
from pathlib import Path
from typing import Any

from contracts.errors import ConflictError, InvalidDataError, NotFoundError
from contracts.record import JsonObject
from contracts.suites import CaseScore, EvaluationConditions, ScoreEstimate
from evaluation.harness.catalog import Benchmark, benchmark_named, data_sha256, harness_task, harness_version
from evaluation.harness.models import check_likelihoods, harness_model, tokenizer_folder
from evaluation.intervals import macro_f1_estimate, rate_estimate
from evaluation.suites.cases import category_estimates
from evaluation.suites.kind import Outcome, RunOptions, RunState, Subject, sha256_of_text
from evaluation.test_cases import Suite

log = logging.getLogger(__name__)

SEED = 1234
"""The harness' own default for choosing few-shot examples."""


BATCH_SIZE = 1
"""Without padding the last digit does not depend on which documents meet in a batch."""


def harness_settings(task: str, folder: Path, shots: int) -> dict[str, Any]:
    """Settings of a suite over the folder's data as they are now. Raises where they cannot be used."""
    benchmark = benchmark_named(task)
    if not folder.is_dir():
        raise NotFoundError("There is no such data folder", value=folder, next_step="give the folder of the files")
    splits = benchmark.read(folder)
    if shots > len(splits["examples"]):
        raise InvalidDataError(
            "The folder has too few examples for few-shot prompts",
            value=f"{shots} shots, {len(splits['examples'])} examples",
            next_step="add the train file, or lower --shots",
        )
    return {
        "task": task,
        "data": str(folder),
        "data_sha256": data_sha256(benchmark, folder),
        "shots": shots,
        "documents": len(splits["asked"]),
    }


def check_harness(suite: Suite, subject: Subject) -> None:
    """The data are there and unchanged, and the model can be asked for likelihoods."""
    benchmark, folder = _benchmark(suite), Path(str(suite.settings["data"]))
    if not folder.is_dir():
        raise NotFoundError(
            "The benchmark's data folder is gone", value=folder, next_step="bring it back, or import the suite again"
        )
    found = data_sha256(benchmark, folder)
    if found != suite.settings["data_sha256"]:
        raise ConflictError(
            "The benchmark's data changed after the suite was imported",
            value=folder,
            allowed=f"files with the digest {str(suite.settings['data_sha256'])[:12]}",
            next_step="import the suite again: it is then another version",
        )
    check_likelihood_suite(subject)


def check_likelihood_suite(subject: Subject) -> None:
    """The model tells how likely a given text is: its weights are here, or its server does."""
    if subject.endpoint_url is not None:
        check_likelihoods(subject.endpoint_url, subject.served_name)
        tokenizer_folder(subject.endpoint_url, subject.served_name)
    else:
        subject.need_folder("The suite")


def harness_conditions(suite: Suite, subject: Subject, options: RunOptions) -> EvaluationConditions:
    """Prompts are the benchmark's own: neither system prompt nor chat template is used."""
    return in_process_conditions(suite, subject, options, _content_sha256(suite), {"shots": suite.settings["shots"]})


def in_process_conditions(
    suite: Suite, subject: Subject, options: RunOptions, content_sha256: str, sampling: JsonObject
) -> EvaluationConditions:
    """Of a suite that compares likelihoods of given texts; its content counts, not the place it lies in."""
    in_process = subject.endpoint_url is None
    return EvaluationConditions(
        suite_name=suite.name,
        suite_version=suite.version,
        suite_sha256=content_sha256,
        system_prompt_sha256=sha256_of_text(None),
        template_sha256="",
        engine=f"transformers {importlib.metadata.version('transformers')}" if in_process else subject.engine,
        sampling={**sampling, "limit": options.max_cases, "batch_size": BATCH_SIZE},
        scoring=f"lm-eval {harness_version()}",
    )


def run_harness(suite: Suite, subject: Subject, options: RunOptions, state: RunState) -> Outcome:
    """Run the task in this process; what was computed before a kill is not computed again."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    import lm_eval

    from evaluation.harness.journaled_model import JournaledModel

    benchmark = _benchmark(suite)
    task = harness_task(benchmark, Path(str(suite.settings["data"])))
    model = JournaledModel(harness_model(subject, BATCH_SIZE), state.journal, state.on_progress)
    found = lm_eval.simple_evaluate(
        model=model,
        tasks=[task],
        num_fewshot=int(str(suite.settings["shots"])),
        limit=options.max_cases,
        bootstrap_iters=0,
        fewshot_random_seed=SEED,
        task_manager=_no_other_tasks(),
    )
    samples = found["samples"][benchmark.name]
    cases = [_case(sample, task, benchmark) for sample in samples]
    left_out = int(str(suite.settings["documents"])) - len(cases)
    return Outcome(
        cases,
        _estimates(found["results"][benchmark.name], samples),
        category_estimates(cases) if benchmark.category_column else {},
        {"beyond_max_cases": left_out} if left_out else {},
    )


def _no_other_tasks() -> Any:
    """A manager that does not read the thousands of task files of the harness."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=False)


def _benchmark(suite: Suite) -> Benchmark:
    return benchmark_named(str(suite.settings.get("task")))


def _content_sha256(suite: Suite) -> str:
    parts = "\0".join(str(suite.settings[name]) for name in ("task", "data_sha256", "shots"))
    return hashlib.sha256(parts.encode()).hexdigest()


def _estimates(results: dict[str, Any], samples: list[dict[str, Any]]) -> list[ScoreEstimate]:
    """The harness' values, accuracy first, each with an interval."""
    estimates = []
    for name in ("acc", "acc_norm", "f1"):
        value = results.get(f"{name},none")
        if value is None:
            continue
        if name == "f1":
            pairs = [sample["f1"] for sample in samples]
            estimate = macro_f1_estimate(name, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
        else:
            estimate = rate_estimate(name, round(sum(sample[name] for sample in samples)), len(samples))
        estimates.append(estimate.model_copy(update={"value": float(value)}))
    return estimates


def _case(sample: dict[str, Any], task: Any, benchmark: Benchmark) -> CaseScore:
    """One document: which choice was the likeliest, and what that is worth."""
    choices = task.doc_to_choice(sample["doc"])
    likelihoods = [response[0] for response in sample["filtered_resps"]]
    chosen = max(range(len(choices)), key=likelihoods.__getitem__)
    category = benchmark.category_column
    return CaseScore(
        case_id=f"{sample['doc_id']:06d}",
        category=benchmark.name if category is None else str(sample["doc"][category]),
        answer=str(choices[chosen]),
        score=float(sample["acc"]),
        correct=bool(sample["acc"]),
        remark=", ".join(f"{choice}: {value:.3f}" for choice, value in zip(choices, likelihoods, strict=True)),
    )
