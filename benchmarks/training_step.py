"""Seconds of a LoRA step of training/ against TRL's SFTTrainer as it comes, on the same rows, and their losses.

    python -m benchmarks.training_step

Model, rows, their order, batch, learning rate and adapter are the same. `trl` leaves everything else as TRL's SFTConfig
has it (bfloat16, gradient checkpointing); `trl-float32` sets float32 and no checkpointing, as the recipe demo-lora does:
its losses must be those of training/. `training-packed` is training/ with the same samples in rows of the recipe's
length, about as many tokens a step; its losses are those of other samples. Tokens are those of the samples, without
padding.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.measuring import REPOSITORY_ROOT, base_model, middle, own_folder, parser, peak_mib, report
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from training.finetuning import finetune
from training.metrics import read_metrics
from training.plan import TrainingPlan
from training.recipe import Recipe, load_recipe

ROWS = REPOSITORY_ROOT / "demo" / "data" / "regulations.jsonl"
RECIPE = "demo-lora"
SEED = 0

Conversation = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of some steps."""

    step_seconds: list[float]
    """From the end of a step to the end of the next: also what lies between two steps. The first has no beginning."""
    losses: list[float]

    def tokens_per_second(self, tokens: int) -> float:
        """Of a run over rows with so many tokens; the first step, whose beginning is unknown, taken as the others."""
        return tokens / (sum(self.step_seconds) * len(self.losses) / len(self.step_seconds))


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--steps", type=int, default=8, help="of each run")
    arguments.add_argument("--batch-size", type=int, default=32)
    arguments.add_argument("--threads", type=int, default=1, help="of each process")
    options = arguments.parse_args()
    contestants: dict[str, Callable[[Path, Path, int], Run]] = {
        "training": train_here,
        "training-packed": train_here_packed,
        "trl-float32": train_with_trl_in_float32,
        "trl": train_with_trl,
    }
    if options.tiny:
        options.rounds, options.steps, options.batch_size = 1, 3, 4
        del contestants["trl"]
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with own_folder() as folder:
        _measure(options, contestants, folder)


def _leave_stdout_alone() -> None:
    """In a worker: what libraries print (DeepSpeed does, at its import) goes where it spoils no JSON."""
    os.dup2(2, 1)


def _measure(
    options: argparse.Namespace, contestants: dict[str, Callable[[Path, Path, int], Run]], folder: Path
) -> None:
    model = base_model(folder)
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
                run = processes[name].submit(contestants[name], model, dataset, options.batch_size)
                runs[name].append(run.result())
        memory = {name: process.submit(peak_mib).result() for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.shutdown()
    own = runs["training"]
    measured = [
        {
            "contestant": name,
            "seconds_per_step": middle([seconds for run in some for seconds in run.step_seconds]),
            "time_ratio": middle(
                [
                    middle(run.step_seconds, 6) / middle(ours.step_seconds, 6)
                    for ours, run in zip(own, some, strict=True)
                ],
                2,
            ),
            "tokens_per_second": round(middle([run.tokens_per_second(tokens) for run in some])),
            "speed_ratio": middle(
                [
                    run.tokens_per_second(tokens) / ours.tokens_per_second(tokens)
                    for ours, run in zip(own, some, strict=True)
                ],
                2,
            ),
            "peak_mib": round(memory[name]),
            "first_loss": round(some[0].losses[0], 5),
            "last_loss": round(some[0].losses[-1], 5),
            "largest_loss_difference": None
            if name == "training-packed"
            else round(max(abs(a - b) for a, b in zip(own[0].losses, some[0].losses, strict=True)), 6),
        }
        for name, some in runs.items()
    ]
    report(
        "training_step",
        options,
        {"model": model.name, "recipe": RECIPE, "measured": measured},
        [tuple(line.values()) for line in measured],
    )


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


def numbers(batch_size: int) -> Recipe:
    """The recipe of the demo for one epoch, each step logged, nothing saved before the end."""
    changes = {"num_epochs": 1, "warmup_steps": 2, "logging_steps": 1, "eval_steps": 100_000, "save_steps": 100_000}
    return Recipe.model_validate({**load_recipe(RECIPE).model_dump(), **changes, "batch_size": batch_size})


def count_tokens(model: Path, dataset: Path) -> int:
    """Tokens of the training rows."""
    from transformers import AutoTokenizer

    from training.conversations import tokenize_rows, training_template

    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    rows = tokenize_rows(tokenizer, training_template(tokenizer), read_rows(dataset), numbers(1).max_seq_length)
    return sum(map(len, rows.input_ids))


def train_here(model: Path, dataset: Path, batch_size: int) -> Run:
    """As the runner's job does it, without MLflow."""
    return _train_here(model, dataset, numbers(batch_size))


def train_here_packed(model: Path, dataset: Path, batch_size: int) -> Run:
    """The same with packed rows, of which a batch holds about as many tokens."""
    samples = len(read_rows(dataset))
    rows = -(-count_tokens(model, dataset) * batch_size // (samples * numbers(1).max_seq_length))
    return _train_here(model, dataset, numbers(max(1, rows)).model_copy(update={"packing": True}))


def read_rows(dataset: Path) -> list[Conversation]:
    """The training conversations."""
    from training.conversations import read_conversations

    return read_conversations(dataset / "train.parquet")


def _train_here(model: Path, dataset: Path, recipe: Recipe) -> Run:
    folder = JobFolder(_new_folder(dataset.parent))
    plan = TrainingPlan(
        job_id=1,
        job_name="benchmark",
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
    finetune(plan, folder, None)
    lines = [line for line in read_metrics(folder.metrics) if "loss" in line]
    ends = [datetime.fromisoformat(str(line["timestamp"])).timestamp() for line in lines]
    return Run(_differences(ends), [float(str(line["loss"])) for line in lines])


def train_with_trl(model: Path, dataset: Path, batch_size: int) -> Run:
    """SFTTrainer with its own defaults."""
    return _train_with_trl(model, dataset, batch_size)


def train_with_trl_in_float32(model: Path, dataset: Path, batch_size: int) -> Run:
    """SFTTrainer with the precision of the recipe and without gradient checkpointing."""
    return _train_with_trl(model, dataset, batch_size, bf16=False, gradient_checkpointing=False)


def _train_with_trl(model: Path, dataset: Path, batch_size: int, **options: Any) -> Run:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback, set_seed
    from trl import SFTConfig, SFTTrainer

    ends: list[float] = []

    class StepEnds(TrainerCallback):  # type: ignore[misc]
        def on_log(self, *_: Any, logs: dict[str, Any], **__: Any) -> None:
            if "loss" in logs:
                ends.append(time.time())

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
        callbacks=[StepEnds()],
    )
    trainer.train()
    return Run(_differences(ends), [float(line["loss"]) for line in trainer.state.log_history if "loss" in line])


def _differences(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def _new_folder(parent: Path) -> Path:
    number = len(list(parent.glob("run-*")))
    folder = parent / f"run-{number}"
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
