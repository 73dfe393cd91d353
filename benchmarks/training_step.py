"""Speed of LoRA steps of training/ against TRL's SFTTrainer as it comes, on the same rows, and their losses.

    python -m benchmarks.training_step

Model, rows, batch, learning rate and adapter are the same. training/ runs as a job does: it tracks to a real MLflow
server, writes progress and metrics, judges each step and saves checkpoints; TRL does nothing of it. `trl-float32` is the
bare script that the ratios are to, with the precision of the recipe demo-lora and without gradient checkpointing: its
losses must be those of training/. `trl` leaves everything as TRL's SFTConfig has it (bfloat16, gradient checkpointing).
The packed ones take the same samples in rows of the recipe's length, about as many tokens a step; their losses are those
of other samples. Tokens are those of the samples, without padding. The contestants take turns; a ratio is that of two
runs of one round, by the clock and by the CPU time of the process, which other work on the machine hardly touches.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.measuring import (
    REPOSITORY_ROOT,
    base_model,
    demo_base_model,
    middle,
    own_folder,
    parser,
    peak_mib,
    report,
)
from benchmarks.tracking_server import START_SECONDS, mlflow_server
from deployment.backends import cpu_has_avx512
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from training.finetuning import finetune
from training.metrics import read_metrics
from training.plan import TrainingPlan
from training.recipe import Recipe, load_recipe

ROWS = REPOSITORY_ROOT / "demo" / "data" / "regulations.jsonl"
RECIPE = "demo-lora"
SEED = 0
SAVE_STEPS = 12
"""A checkpoint twice as often as the recipe saves one."""

Conversation = list[dict[str, str]]


BARE = "trl-float32"
"""What the ratios are to."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of some steps."""

    step_seconds: list[float]
    """From the end of a step to the end of the next: also what lies between two steps. The first has no beginning."""
    step_cpu_seconds: list[float]
    losses: list[float]

    def tokens_per_second(self, tokens: int) -> float:
        """Of a run over rows with so many tokens; the first step, whose beginning is unknown, taken as the others."""
        return tokens / (sum(self.step_seconds) * len(self.losses) / len(self.step_seconds))

    def tokens_per_cpu_second(self, tokens: int) -> float:
        """The same by the process's CPU time."""
        return tokens / (sum(self.step_cpu_seconds) * len(self.losses) / len(self.step_cpu_seconds))


Contestant = Callable[[Path, Path, int, str], Run]


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=26, help="of each run")
    arguments.add_argument("--batch-size", type=int, default=32)
    arguments.add_argument(
        "--model", type=Path, help="folder of the base model; the demo's, or one of its shape, unless given"
    )
    arguments.add_argument("--threads", type=int, default=1, help="of each process")
    arguments.add_argument("--quick", action="store_true", help="one round, two minutes: a first impression")
    options = arguments.parse_args()
    contestants: dict[str, Contestant] = {
        "training": train_here,
        "training-packed": train_here_packed,
        BARE: train_with_trl_in_float32,
        "trl-packed": train_with_trl_packed,
        "trl": train_with_trl,
    }
    if options.quick or options.tiny:
        del contestants["trl-packed"]
    if options.quick or options.tiny or not cpu_has_avx512():
        del contestants["trl"]  # it computes in bfloat16, which such a CPU does a hundred times slower
    if options.quick:
        options.rounds, options.steps = 1, 8
    if options.tiny:
        options.rounds, options.steps, options.batch_size = 1, 3, 4
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with own_folder() as folder, mlflow_server(folder) as url:
        _measure(options, contestants, folder, url)


def _leave_stdout_alone() -> None:
    """In a worker: what libraries print (DeepSpeed does, at its import) goes where it spoils no JSON."""
    os.dup2(2, 1)


def _measure(options: argparse.Namespace, contestants: dict[str, Contestant], folder: Path, url: str) -> None:
    model = options.model or (base_model(folder) if options.tiny else demo_base_model(folder))
    dataset = write_dataset(folder / "dataset", options.batch_size * options.steps)
    tokens = count_tokens(model, dataset)
    runs: dict[str, list[Run]] = {name: [] for name in contestants}
    spawn = multiprocessing.get_context("spawn")
    processes = {
        name: ProcessPoolExecutor(1, mp_context=spawn, initializer=_leave_stdout_alone) for name in contestants
    }
    try:
        for ready in [process.submit(import_stack) for process in processes.values()]:
            ready.result()
        for number in range(options.rounds):
            for name in contestants if number % 2 == 0 else reversed(contestants):
                run = processes[name].submit(contestants[name], model, dataset, options.batch_size, url)
                runs[name].append(run.result())
        memory = {name: process.submit(peak_mib).result() for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.shutdown()
    here, bare = runs["training"], runs[BARE]
    measured = [
        {
            "contestant": name,
            "seconds_per_step": middle([seconds for run in some for seconds in run.step_seconds]),
            "tokens_per_second": round(middle([run.tokens_per_second(tokens) for run in some])),
            "speed_ratio": _ratio(some, bare, lambda run: run.tokens_per_second(tokens)),
            "tokens_per_cpu_second": round(middle([run.tokens_per_cpu_second(tokens) for run in some])),
            "cpu_speed_ratio": _ratio(some, bare, lambda run: run.tokens_per_cpu_second(tokens)),
            "peak_mib": round(memory[name]),
            "first_loss": round(some[0].losses[0], 5),
            "last_loss": round(some[0].losses[-1], 5),
            "largest_loss_difference": None
            if name.endswith("-packed")
            else round(max(abs(a - b) for a, b in zip(here[0].losses, some[0].losses, strict=True)), 6),
        }
        for name, some in runs.items()
    ]
    report(
        "training_step",
        options,
        {"model": model.name, "recipe": RECIPE, "ratios_to": BARE, "measured": measured},
        [tuple(line.values()) for line in measured],
    )


def _ratio(some: list[Run], bare: list[Run], speed: Callable[[Run], float]) -> float:
    return middle([speed(run) / speed(other) for run, other in zip(some, bare, strict=True)], 2)


def write_dataset(folder: Path, count: int) -> Path:
    """The demo's first whole rows as the folder of a dataset version, all of them to be trained on."""
    import pyarrow
    import pyarrow.parquet

    folder.mkdir()
    lines = ROWS.read_text(encoding="utf-8").splitlines()
    texts = [text for text in map(_messages, lines) if text is not None][:count]
    for split, part in (("train", texts), ("validation", [])):
        table = pyarrow.table({"messages": pyarrow.array(part, pyarrow.string())})
        pyarrow.parquet.write_table(table, folder / f"{split}.parquet")
    return folder


def _messages(line: str) -> str | None:
    """The row's conversation as JSON text; None for one of the rows that are broken on purpose."""
    try:
        messages = json.loads(line)["messages"]
        whole = all(isinstance(turn["content"], str) and turn["content"].strip() for turn in messages)
    except (ValueError, KeyError, TypeError):
        return None
    return json.dumps(messages, ensure_ascii=False) if whole and messages[-1]["role"] == "assistant" else None


def import_stack() -> None:
    """Load what every contestant needs, so that no run waits for it."""
    import peft  # noqa: F401
    import trl
    from transformers import AutoModelForCausalLM  # noqa: F401

    assert trl.SFTTrainer


def numbers(batch_size: int, save_steps: int = 100_000) -> Recipe:
    """The recipe of the demo for one epoch, each step logged."""
    changes = {"num_epochs": 1, "warmup_steps": 2, "logging_steps": 1, "save_steps": save_steps}
    changes["eval_steps"] = 1000 * save_steps  # never
    return Recipe.model_validate({**load_recipe(RECIPE).model_dump(), **changes, "batch_size": batch_size})


def count_tokens(model: Path, dataset: Path) -> int:
    """Tokens of the training rows."""
    from transformers import AutoTokenizer

    from training.conversations import tokenize_rows, training_template

    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    rows = tokenize_rows(tokenizer, training_template(tokenizer), read_rows(dataset), numbers(1).max_seq_length)
    return sum(map(len, rows.input_ids))


def train_here(model: Path, dataset: Path, batch_size: int, url: str) -> Run:
    """As the runner's job does it."""
    return _train_here(model, dataset, numbers(batch_size, SAVE_STEPS), url)


def train_here_packed(model: Path, dataset: Path, batch_size: int, url: str) -> Run:
    """The same with packed rows, of which a batch holds about as many tokens."""
    recipe = numbers(rows_of_a_batch(model, dataset, batch_size), SAVE_STEPS)
    return _train_here(model, dataset, recipe.model_copy(update={"packing": True}), url)


def rows_of_a_batch(model: Path, dataset: Path, batch_size: int) -> int:
    """Packed rows with about as many tokens as so many samples."""
    samples = len(read_rows(dataset))
    return max(1, -(-count_tokens(model, dataset) * batch_size // (samples * numbers(1).max_seq_length)))


def read_rows(dataset: Path) -> list[Conversation]:
    """The training conversations."""
    from training.conversations import read_conversations

    return read_conversations(dataset / "train.parquet")


def step_ends(ends: list[tuple[float, float]]) -> Any:
    """Notes the time and the process's CPU time at the end of each step."""
    from transformers import TrainerCallback

    class StepEnds(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append((time.perf_counter(), time.process_time()))

    return StepEnds()


def run_of(ends: list[tuple[float, float]], losses: list[float]) -> Run:
    """The run whose steps ended then."""
    seconds, cpu_seconds = zip(*ends, strict=True)
    return Run(_differences(seconds), _differences(cpu_seconds), losses)


def _train_here(model: Path, dataset: Path, recipe: Recipe, url: str) -> Run:
    from transformers import Trainer

    from registry.tracking import MlflowTracker

    folder = JobFolder(_new_folder(dataset.parent))
    plan = TrainingPlan(
        job_id=1,
        job_name=folder.root.name,
        dataset_id=1,
        dataset_path=str(dataset),
        base_model=model.name,
        base_model_path=str(model),
        recipe_name=RECIPE,
        recipe=recipe,
        num_gpus=1,
        seed=SEED,
        keep_checkpoints=1,
    )
    write_json_atomically(folder.plan, plan.model_dump(mode="json"))
    ends: list[tuple[float, float]] = []
    train = Trainer.train

    def watched(self: Any, *arguments: Any, **options: Any) -> Any:
        self.add_callback(step_ends(ends))
        return train(self, *arguments, **options)

    tracker = MlflowTracker(url, "benchmark", plan.job_name, {}, start_seconds=START_SECONDS)
    with patch.object(Trainer, "train", watched):
        finetune(plan, folder, tracker)
    return run_of(ends, [float(str(line["loss"])) for line in read_metrics(folder.metrics) if "loss" in line])


def train_with_trl(model: Path, dataset: Path, batch_size: int, _url: str) -> Run:
    """SFTTrainer with its own defaults."""
    return _train_with_trl(model, dataset, batch_size)


def train_with_trl_in_float32(model: Path, dataset: Path, batch_size: int, _url: str) -> Run:
    """SFTTrainer with the precision of the recipe and without gradient checkpointing."""
    return _train_with_trl(model, dataset, batch_size, bf16=False, gradient_checkpointing=False)


def train_with_trl_packed(model: Path, dataset: Path, batch_size: int, _url: str) -> Run:
    """The same over packed rows of the recipe's length."""
    rows = rows_of_a_batch(model, dataset, batch_size)
    packed = {"packing": True, "padding_free": False, "max_length": numbers(1).max_seq_length}
    return _train_with_trl(model, dataset, rows, bf16=False, gradient_checkpointing=False, **packed)


def _train_with_trl(model: Path, dataset: Path, batch_size: int, **options: Any) -> Run:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    ends: list[tuple[float, float]] = []
    recipe = numbers(batch_size)
    set_seed(SEED)
    trainer = SFTTrainer(
        model=str(model),
        args=SFTConfig(
            output_dir=str(_new_folder(dataset.parent)),
            use_cpu=True,
            seed=SEED,
            data_seed=SEED,
            num_train_epochs=recipe.num_epochs,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type=recipe.scheduler,
            warmup_steps=recipe.warmup_steps,
            assistant_only_loss=True,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **options,
        ),
        train_dataset=Dataset.from_dict({"messages": read_rows(dataset)}),
        peft_config=LoraConfig(
            r=recipe.lora_rank,
            lora_alpha=recipe.lora_alpha,
            lora_dropout=recipe.lora_dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        callbacks=[step_ends(ends)],
    )
    trainer.train()
    return run_of(ends, [float(line["loss"]) for line in trainer.state.log_history if "loss" in line])


def _differences(times: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def _new_folder(parent: Path) -> Path:
    number = len(list(parent.glob("run-*")))
    folder = parent / f"run-{number}"
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
