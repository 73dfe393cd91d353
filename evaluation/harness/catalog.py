"""The benchmarks there are: each a task of the harness, and how its data are read from a folder.

KoBEST and KMMLU are the harness' own tasks (prompts, choices, metrics): only where the data come from is another. KLUE is
not among the harness' tasks; its two are written here in the harness' format.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import InvalidRequestError
from evaluation.harness.local_data import (
    ReadSplits,
    klue_nli,
    klue_sts,
    kobest,
    multiple_choice,
    true_or_false,
    whole_number,
)
from storage.files import sha256_of_file

HARNESS_TASKS = "lm_eval.tasks"
OWN_TASKS = Path(__file__).parent / "tasks"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One task with local data."""

    name: str
    read: ReadSplits
    files: str
    """Which files of the folder are its data."""
    harness_file: str | None = None
    """Below the harness' own tasks; None for one of ours."""
    category_column: str | None = None


BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "kobest_boolq",
            kobest("boolq", {"Text": "paragraph", "Question": "question"}, true_or_false("Answer")),
            "boolq_*.tsv",
            "kobest/kobest_boolq.yaml",
        ),
        Benchmark(
            "kobest_copa",
            kobest(
                "copa",
                {"sentence": "premise", "question": "question", "1": "alternative_1", "2": "alternative_2"},
                whole_number("Answer", first=1),
            ),
            "copa_*.tsv",
            "kobest/kobest_copa.yaml",
        ),
        Benchmark(
            "kobest_hellaswag",
            kobest(
                "hellaswag",
                {"context": "context", **{f"choice{number}": f"ending_{number}" for number in range(1, 5)}},
                whole_number("label"),
            ),
            "hellaswag_*.tsv",
            "kobest/kobest_hellaswag.yaml",
        ),
        Benchmark(
            "kobest_sentineg",
            kobest("sentineg", {"Text": "sentence"}, whole_number("Label")),
            "sentineg_*.tsv",
            "kobest/kobest_sentineg.yaml",
        ),
        Benchmark(
            "kobest_wic",
            kobest(
                "wic",
                {"Target": "word", "SENTENCE1": "context_1", "SENTENCE2": "context_2"},
                true_or_false("ANSWER"),
            ),
            "wic_*.tsv",
            "kobest/kobest_wic.yaml",
        ),
        Benchmark("klue_nli", klue_nli, "klue-nli-*.json"),
        Benchmark("klue_sts", klue_sts, "klue-sts-*.json"),
        Benchmark(
            "kmmlu",
            multiple_choice,
            "*",
            "kmmlu/default/_default_kmmlu_yaml",
            category_column="Category",
        ),
    )
}


def benchmark_named(name: str) -> Benchmark:
    """The benchmark. Raises InvalidRequestError with those that there are."""
    found = BENCHMARKS.get(name)
    if found is None:
        raise InvalidRequestError(
            "There is no such benchmark", value=name, allowed=", ".join(BENCHMARKS), next_step="choose one of these"
        )
    return found


def data_sha256(benchmark: Benchmark, folder: Path) -> str:
    """Of names and bytes of the benchmark's files in the folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.glob(benchmark.files) if path.is_file()):
        digest.update(f"{path.name}\0{sha256_of_file(path)}\n".encode())
    return digest.hexdigest()


def harness_version() -> str:
    """Of the installed harness."""
    import importlib.metadata

    return importlib.metadata.version("lm-eval")


def harness_task(benchmark: Benchmark, folder: Path) -> Any:
    """The harness' task over the folder's data. Imports the harness."""
    from datasets import Dataset, DatasetDict
    from lm_eval import tasks as harness_tasks
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    splits = benchmark.read(folder)
    asked, examples = (Dataset.from_list(splits[name]) for name in ("asked", "examples"))
    data = DatasetDict({"test": asked, "validation": asked, "train": examples, "dev": examples})
    file = (
        OWN_TASKS / f"{benchmark.name}.yaml"
        if benchmark.harness_file is None
        else Path(str(harness_tasks.__file__)).parent / benchmark.harness_file
    )
    config: dict[str, Any] = {
        **load_yaml(file, resolve_func=True),
        "task": benchmark.name,
        "dataset_path": "local",
        "dataset_name": None,
        "custom_dataset": lambda **_: data,
    }
    # asked for by a name that would be looked up outside; the aggregation beside it is what counts
    config["metric_list"] = [
        {key: value for key, value in metric.items() if key != "hf_evaluate"} for metric in config["metric_list"]
    ]
    return ConfigurableTask(config=config)
