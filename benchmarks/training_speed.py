"""Tokens a second and memory of training/ against TRL as it comes: LoRA, QLoRA and full fine-tuning on packed rows.

    python -m benchmarks.training_speed

On a GPU the model has the shape of Qwen3-8B with random weights and rows of 4,096 tokens; without one a toy stands for
it, which only shows that the script runs. Each contestant has a process of its own, one after the other. Model, rows,
packing, adapter, precision and optimizer are the same; `trl` is SFTTrainer told only these.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import REPOSITORY_ROOT, own_folder, parser, report
from benchmarks.training_memory import FEW_WORDS, QWEN3_8B, write_model
from contracts.enums import Method
from stages.cards import real_gpus
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from training.plan import TrainingPlan
from training.recipe import Recipe

SAMPLE_TOKENS = 500
"""About what a sample of this platform has."""
CUSTOMER_SAMPLES, CUSTOMER_CARDS = 10_000, 2
"""What the customer asked the duration of: one epoch."""
SHAPES = {"qwen3-8b": QWEN3_8B, "tiny": FEW_WORDS}
STEPS = 8
WARM_UP_STEPS = 2


def main() -> None:
    """Measure and report; with --one, be one of the processes."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--methods", nargs="+", default=[method.value for method in Method], choices=list(Method))
    arguments.add_argument("--shape", choices=list(SHAPES), help="of the model; qwen3-8b on a GPU, tiny on a CPU")
    arguments.add_argument("--device", choices=["gpu", "cpu"], help="a GPU where there is one, unless given")
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one is not None:
        print(json.dumps(measure(**json.loads(options.one))))
        return
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    device = options.device or ("gpu" if real_gpus() else "cpu")
    shape = options.shape or ("qwen3-8b" if device == "gpu" and not options.tiny else "tiny")
    with own_folder():
        lines = [
            _in_a_process({"contestant": contestant, "method": method, "shape": shape, "device": device})
            for method in options.methods
            for contestant in ("training", "trl")
        ]
    report("training_speed", options, {"runs": lines}, [tuple(line.values()) for line in lines])


def _in_a_process(run: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training_speed", "--one", json.dumps(run)],
        cwd=REPOSITORY_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:  # such as full fine-tuning on a card that is too small: the others are still worth a line
        return {**run, "error": f"exit code {done.returncode}, see what it said above"}
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return line


def measure(contestant: str, method: str, shape: str, device: str) -> dict[str, Any]:
    """One contestant: its speed over the steps after the first ones, and its memory."""
    import torch
    from transformers import TrainerCallback

    on_gpu = torch.cuda.is_available()
    if on_gpu != (device == "gpu"):
        raise SystemExit(f"asked for a {device}, and torch finds {torch.cuda.device_count()} GPUs")
    recipe = recipe_of(Method(method), tiny=shape == "tiny")
    ends: list[float] = []

    class StepEnds(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if on_gpu:
                torch.cuda.synchronize()
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(SHAPES[shape], folder / "model", recipe)
        write_samples(folder, recipe)
        run = _train_here if contestant == "training" else _train_with_trl
        run(folder, recipe, StepEnds())
    seconds = median(
        later - earlier for earlier, later in zip(ends[WARM_UP_STEPS - 1 :], ends[WARM_UP_STEPS:], strict=False)
    )
    tokens = recipe.batch_size * recipe.gradient_accumulation_steps * recipe.max_seq_length
    speed = tokens / seconds
    return {
        "contestant": contestant,
        "method": method,
        "shape": shape,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "tokens_per_second": round(speed),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1) if on_gpu else None,
        "customer_minutes": round(CUSTOMER_SAMPLES * SAMPLE_TOKENS / (speed * CUSTOMER_CARDS) / 60, 1),
        "error": None,
    }


def recipe_of(method: Method, *, tiny: bool) -> Recipe:
    """The numbers of the comparison."""
    return Recipe.model_validate(
        {
            "description": "Speed of packed rows",
            "method": method,
            # full fine-tuning of 8 billion weights has room on one card of 80 GB only in bfloat16 with 8-bit moments
            "precision": "auto",
            "optimizer": "paged_adamw_8bit" if method is Method.FULL else "adamw_torch_fused",
            "lora_rank": 16,
            "lora_alpha": 32,
            "learning_rate": 1e-5,
            "warmup_steps": 0,
            "num_epochs": 1,
            "batch_size": 1,
            "gradient_accumulation_steps": 1,
            "max_seq_length": 512 if tiny else 4096,
            "packing": True,
            "gradient_checkpointing": True,
            "eval_steps": 100_000,
            "save_steps": 100_000,
        }
    )


def write_samples(folder: Path, recipe: Recipe) -> None:
    """Samples of about SAMPLE_TOKENS tokens that fill STEPS packed rows and one more."""
    import pyarrow
    import pyarrow.parquet
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    chance = random.Random(0)  # noqa: S311 - words, not keys
    words = ["통행료", "터널", "점검", "영업소", "환급", "휴게소", "차로", "안내", "신청", "기록"]
    each = len(tokenizer(" ".join(words))["input_ids"]) / len(words)
    wanted = min(SAMPLE_TOKENS, recipe.max_seq_length // 2) * 0.8  # the template's own tokens fill the rest
    count = 2 * (STEPS + 1) * recipe.max_seq_length // SAMPLE_TOKENS
    texts = [
        json.dumps(
            [
                {"role": "user", "content": chance.choice(words)},
                {"role": "assistant", "content": " ".join(chance.choices(words, k=round(wanted / each)))},
            ],
            ensure_ascii=False,
        )
        for _ in range(count)
    ]
    target = folder / "dataset"
    target.mkdir()
    for split, rows in (("train", texts), ("validation", [])):
        pyarrow.parquet.write_table(
            pyarrow.table({"messages": pyarrow.array(rows, pyarrow.string())}), target / f"{split}.parquet"
        )


def _train_here(folder: Path, recipe: Recipe, callback: Any) -> None:
    """As the runner's job does it, without MLflow."""
    import transformers

    from training.finetuning import finetune

    plan = TrainingPlan(
        job_id=1, job_name="benchmark", dataset_id=1, dataset_path=str(folder / "dataset"), base_model="model",
        base_model_path=str(folder / "model"), recipe_name="benchmark", recipe=recipe, num_gpus=1, seed=0,
        keep_checkpoints=1,
    )  # fmt: skip
    job = JobFolder(folder / "job")
    write_json_atomically(job.plan, plan.model_dump(mode="json"))
    train = transformers.Trainer.train

    def watched(self: Any, *arguments: Any, **options: Any) -> Any:
        self.add_callback(callback)
        return train(self, *arguments, **options)

    transformers.Trainer.train = watched
    finetune(plan, job, None)


def _train_with_trl(folder: Path, recipe: Recipe, callback: Any) -> None:
    """SFTTrainer with the same model, rows, packing, adapter, precision and optimizer."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from training.conversations import read_conversations
    from training.methods import training_method

    on_gpu = torch.cuda.is_available()
    method = training_method(recipe.method)
    dtype = torch.bfloat16 if on_gpu else torch.float32
    model = AutoModelForCausalLM.from_pretrained(
        folder / "model",
        dtype=dtype,
        quantization_config=method.quantization(dtype),
        **({"device_map": {"": 0}} if on_gpu else {}),
    )
    SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(folder / "trl"),
            use_cpu=not on_gpu,
            bf16=on_gpu,
            num_train_epochs=1,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            optim=recipe.optimizer if on_gpu else "adamw_torch",
            max_length=recipe.max_seq_length,
            packing=True,
            padding_free=False,
            assistant_only_loss=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict({"messages": read_conversations(folder / "dataset" / "train.parquet")}),
        processing_class=AutoTokenizer.from_pretrained(folder / "model"),
        peft_config=method.adapter(recipe),
        callbacks=[callback],
    ).train()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
