"""Memory of training runs as the fit plan foretells it, against what an allocator counted.

    python -m benchmarks.training_memory
    python -m benchmarks.training_memory --gpu

Each configuration is a real run of training/ on a model with random weights and rows of known length, in a process of
its own. On a CPU the measure is torch's allocation profiler over the whole training loop, plus the weights that were
there before it: every tensor, no interpreter. On a GPU it is torch.cuda.max_memory_allocated. The estimate's overhead,
which is no tensor, is left out on both sides.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.measuring import REPOSITORY_ROOT, own_folder, parser, report
from contracts.enums import Method
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from training.fitting.architecture import architecture_of
from training.fitting.memory import estimate_memory
from training.fitting.setup import setup_of
from training.plan import TrainingPlan
from training.recipe import Recipe, load_recipe

STEPS = 3
"""The optimizer's moments are there from the second on."""

SMALL = {
    "vocab_size": 8192, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 64, "intermediate_size": 768, "tie_word_embeddings": True,
}  # fmt: skip
FEW_WORDS = {**SMALL, "vocab_size": 1024}
"""As much of the memory is activations as in a large model."""
DEEP = {**FEW_WORDS, "num_hidden_layers": 8, "tie_word_embeddings": False}
WIDE = {**FEW_WORDS, "hidden_size": 512, "intermediate_size": 1536, "num_attention_heads": 8}
QWEN3_600M = {
    "vocab_size": 151_936, "hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16,
    "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072, "tie_word_embeddings": True,
}  # fmt: skip
QWEN3_4B = {
    **QWEN3_600M, "hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32, "intermediate_size": 9728,
}  # fmt: skip
QWEN3_8B = {
    **QWEN3_4B, "hidden_size": 4096, "intermediate_size": 12_288, "tie_word_embeddings": False,
}  # fmt: skip


def _run(shape: dict[str, Any], method: str, batch: int, tokens: int, **recipe: Any) -> dict[str, Any]:
    return {"shape": shape, "method": method, "batch_size": batch, "tokens": tokens, "recipe": recipe}


CHECKPOINTING = {"gradient_checkpointing": True}
CPU_RUNS = [
    _run(SMALL, "lora", 4, 256),
    _run(SMALL, "lora", 4, 256, **CHECKPOINTING),
    _run(SMALL, "lora", 2, 512, lora_dropout=0.05),
    _run(FEW_WORDS, "lora", 8, 256),
    _run(FEW_WORDS, "lora", 4, 512, **CHECKPOINTING),
    _run(FEW_WORDS, "lora", 4, 256, precision="bfloat16"),
    _run(FEW_WORDS, "lora", 4, 256, gradient_accumulation_steps=2, lora_rank=64),
    _run(SMALL, "full", 4, 256),
    _run(SMALL, "full", 1, 128, gradient_accumulation_steps=2),
    _run(FEW_WORDS, "full", 4, 512, **CHECKPOINTING),
    _run(FEW_WORDS, "full", 2, 256, precision="bfloat16"),
    _run(DEEP, "full", 1, 64),
    _run(DEEP, "full", 4, 256),
    _run(WIDE, "qlora", 2, 512, **CHECKPOINTING),
    _run(SMALL, "qlora", 4, 256),
    _run(WIDE, "lora", 2, 256),
    _run(FEW_WORDS, "lora", 4, 256, use_dora=True),
]
FUSED = {"optimizer": "adamw_torch_fused"}
GPU_RUNS = [
    _run(shape, method, batch, tokens, **FUSED, gradient_checkpointing=checkpointing)
    for shape, methods in (
        (QWEN3_600M, ("lora", "full")),
        (QWEN3_4B, ("lora", "qlora")),
        (QWEN3_8B, ("lora", "qlora")),
    )
    for method in methods
    for batch, tokens, checkpointing in ((1, 4096, True), (4, 1024, True), (1, 1024, False))
]


def main() -> None:
    """Measure and report; with --one, be one of the processes."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--gpu", action="store_true", help="shapes of Qwen3 0.6B, 4B and 8B on this machine's GPU")
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one is not None:
        measured = measure(json.loads(options.one))
        print(json.dumps(measured))
        return
    runs = GPU_RUNS if options.gpu else CPU_RUNS
    if options.tiny:
        runs = CPU_RUNS[4:6]
    with own_folder():
        lines = [_in_a_process(run) for run in runs]
    errors = [abs(float(line["error"])) for line in lines]
    report(
        "training_memory",
        options,
        {"runs": lines, "largest_error": max(errors), "mean_error": round(mean(errors), 4)},
        [tuple(line.values()) for line in lines],
    )


def _in_a_process(run: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training_memory", "--one", json.dumps(run)],
        cwd=REPOSITORY_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return line


def measure(run: dict[str, Any]) -> dict[str, Any]:
    """One configuration: foretold and counted."""
    import torch

    on_gpu = torch.cuda.is_available()
    recipe = _recipe(run)
    shape = architecture_of({"model_type": "qwen3", **run["shape"]})
    assert shape is not None
    setup = setup_of(recipe, num_gpus=1, on_gpu=on_gpu)
    foretold = estimate_memory(shape, replace(setup, masked=False))  # all rows have one length
    with tempfile.TemporaryDirectory() as name:
        counted = _train(run, recipe, Path(name))
    return {
        "model": f"{shape.layers} x {shape.hidden}, {shape.vocabulary} words",
        "method": recipe.method.value,
        "batch_size": recipe.batch_size,
        "accumulation": recipe.gradient_accumulation_steps,
        "tokens": recipe.max_seq_length,
        "checkpointing": recipe.gradient_checkpointing,
        "precision": recipe.precision,
        "peak": foretold.peak,
        "foretold_mb": round(foretold.tensor_bytes / 1e6, 1),
        "counted_mb": round(counted / 1e6, 1),
        "error": round(foretold.tensor_bytes / counted - 1, 4),
    }


def _recipe(run: dict[str, Any]) -> Recipe:
    method = Method(run["method"])
    numbers = load_recipe(f"demo-{method}").model_dump()
    numbers |= {"num_epochs": 1, "warmup_steps": 0, "logging_steps": 1, "eval_steps": 100_000, "save_steps": 100_000}
    numbers |= {"precision": "auto", "batch_size": run["batch_size"], "max_seq_length": run["tokens"], **run["recipe"]}
    return Recipe.model_validate(numbers)


def _train(run: dict[str, Any], recipe: Recipe, folder: Path) -> int:
    """Bytes of tensors at the fullest moment of a training loop of some steps."""
    import transformers

    from training.finetuning import finetune

    write_model(run["shape"], folder / "model", recipe)
    _write_rows(recipe, folder / "dataset")
    plan = TrainingPlan(
        job_id=1,
        job_name="benchmark",
        dataset_id=1,
        dataset_path=str(folder / "dataset"),
        base_model="model",
        base_model_path=str(folder / "model"),
        recipe_name="benchmark",
        recipe=recipe,
        num_gpus=1,
        seed=0,
        keep_checkpoints=1,
    )
    job = JobFolder(folder / "job")
    write_json_atomically(job.plan, plan.model_dump(mode="json"))
    counted: list[int] = []
    train = transformers.Trainer.train

    def watched(self: Any, *arguments: Any, **options: Any) -> Any:
        result, most = _counting(self.model, lambda: train(self, *arguments, **options))
        counted.append(most)
        return result

    transformers.Trainer.train = watched
    finetune(plan, job, None)
    (most,) = counted
    return most


def _counting(model: Any, work: Callable[[], Any]) -> tuple[Any, int]:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        result = work()
        return result, int(torch.cuda.max_memory_allocated())
    tensors = [*model.parameters(), *model.buffers()]
    for parameter in model.parameters():
        constants = getattr(parameter, "quant_state", None)  # of a weight in 4 bits
        if constants is not None:
            tensors += [constants.absmax, constants.state2.absmax]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = work()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return result, sum(storages.values()) + most


def write_model(shape: dict[str, Any], folder: Path, recipe: Recipe) -> None:
    """Random weights and a small tokenizer, which leaves most of the vocabulary unused."""
    import torch

    from tests.training.tiny_model import make_tokenizer

    tokenizer = make_tokenizer()
    config = {
        **shape,
        "max_position_embeddings": recipe.max_seq_length,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    from transformers import Qwen3Config, Qwen3ForCausalLM

    on_gpu = torch.cuda.is_available()
    torch.set_default_dtype(torch.bfloat16 if on_gpu else torch.float32)
    with torch.device("cuda" if on_gpu else "cpu"):
        model = Qwen3ForCausalLM(Qwen3Config(**config))
    torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    del model
    if on_gpu:
        torch.cuda.empty_cache()


def _write_rows(recipe: Recipe, folder: Path) -> None:
    """Rows that are all cut to the recipe's length, enough for some steps."""
    import pyarrow
    import pyarrow.parquet

    folder.mkdir()
    row = [{"role": "user", "content": "가"}, {"role": "assistant", "content": "가나다 " * recipe.max_seq_length}]
    text = json.dumps(row, ensure_ascii=False)
    count = recipe.batch_size * recipe.gradient_accumulation_steps * STEPS
    for split, texts in (("train", [text] * count), ("validation", [])):
        table = pyarrow.table({"messages": pyarrow.array(texts, pyarrow.string())})
        pyarrow.parquet.write_table(table, folder / f"{split}.parquet")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
