"""Pretrain the demo's base model from scratch: `python -m demo.pretrain --output DIR [--seed 0]`.

Writes a folder that transformers and vLLM load as any Qwen3 model: weights, configuration, tokenizer, chat template.
The model knows the facts of `known_facts.yaml` and the forms in which things are asked; it has never read the facts of
the demo's documents. Same inputs, seed, library versions and kind of processor give the same weights; a folder that
already holds them is left as it is.
"""

import argparse
import fcntl
import hashlib
import json
import random
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from demo.conversations import SYSTEM_PROMPT, Message, compose
from demo.known import load_known_facts, pretraining_forms
from storage.files import fsync_path, read_json, write_json_atomically

MANIFEST_NAME = "manifest.json"
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")
SOURCES = tuple(
    Path(__file__).with_name(name)
    for name in (
        "pretrain.py", "muon.py", "conversations.py", "known.py", "facts.py", "forms.py", "korean.py",
        "forms.yaml", "known_facts.yaml", "chat_template.jinja",
    )
)  # fmt: skip
LIBRARIES = ("tokenizers", "torch", "transformers")
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
IGNORED = -100
# Pre-tokenisation of Qwen2 and Qwen3: converters to other formats know it by name.
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Batches are cut from windows of this many batches, sorted by length inside: little padding, still shuffled.
BATCHES_PER_WINDOW = 25
PROGRESS_INTERVAL_S = 5.0


@dataclass(frozen=True, slots=True)
class Pretraining:
    """Everything that decides the weights besides the texts."""

    hidden_size: int = 192
    layers: int = 3
    heads: int = 4
    key_value_heads: int = 2
    head_dim: int = 64
    intermediate_size: int = 512
    vocabulary_size: int = 1200
    max_length_tokens: int = 2048
    epochs: int = 2
    forms_per_fact: int = 19
    """In so many of its forms a known fact is asked in each epoch, drawn anew each time."""
    batch_size: int = 32
    learning_rate: float = 2e-3
    """Of AdamW, for embeddings and norms."""
    matrix_learning_rate: float = 1e-2
    """Of Muon, for the matrices of the layers."""
    weight_decay: float = 0.01
    warmup_share: float = 0.05
    prompt_weight: float = 0.1
    """Weight of the loss on a token of the question, against 1 on a token of the answer."""
    max_steps: int | None = None
    """Stop early: for trials."""
    seed: int = 0


def content_key(plan: Pretraining) -> str:
    """Address of the model: the plan, the program and texts it is made from, and the libraries that make it."""
    digest = hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode())
    for path in SOURCES:
        digest.update(path.name.encode() + path.read_bytes())
    for library in LIBRARIES:
        digest.update(f"{library} {version(library)}".encode())
    return digest.hexdigest()


def pretraining_conversations(plan: Pretraining, epoch: int) -> list[list[Message]]:
    """Every known fact in some of the forms it may be asked in, drawn and worded anew each epoch."""
    rng = random.Random(f"{plan.seed}/{epoch}")
    return [
        compose(fact, form, rng)
        for index, fact in enumerate(load_known_facts())
        for form in rng.sample(pretraining_forms(index, fact), plan.forms_per_fact)
    ]


def pretrain(output: Path, plan: Pretraining) -> Path:
    """Train the model and put it into `output`, whole or not at all; return `output`.

    Two processes at once train once: the second waits and finds the model.
    """
    key = content_key(plan)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.with_name(f".{output.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unfinished, replaced = (output.with_name(f".{output.name}.{state}") for state in ("unfinished", "replaced"))
        for leftover in (unfinished, replaced):
            shutil.rmtree(leftover, ignore_errors=True)
        manifest = read_json(output / MANIFEST_NAME)
        if manifest and manifest.get("content_key") == key:
            print(f"base model is there: {output}", flush=True)
            return output
        if manifest is None and output.exists() and any(output.iterdir()):
            raise SystemExit(
                f"cannot write the base model: {output} is not empty and is no base model (no {MANIFEST_NAME}); "
                "allowed is a new or empty folder, or an earlier base model; choose another --output or empty it"
            )
        _write_model(unfinished, plan, key)
        if output.exists():
            output.rename(replaced)
        unfinished.rename(output)
        fsync_path(output.parent)
        shutil.rmtree(replaced, ignore_errors=True)
    return output


def _write_model(folder: Path, plan: Pretraining, key: str) -> None:
    folder.mkdir()
    _make_reproducible(plan.seed)
    started = time.process_time()
    tokenizer = train_tokenizer(plan)
    tokenizer.save_pretrained(folder)
    model, steps, loss = _train(plan, tokenizer)
    model.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes for its owner only
        fsync_path(path)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    write_json_atomically(
        folder / MANIFEST_NAME,
        {
            "content_key": key,
            "plan": asdict(plan),
            "known_facts": len(load_known_facts()),
            "parameters": parameters,
            "steps": steps,
            "final_loss": round(loss, 4),
            "cpu_seconds": round(time.process_time() - started, 1),
        },
    )
    print(f"base model written: {parameters:,} parameters, loss {loss:.3f}", flush=True)


def train_tokenizer(plan: Pretraining) -> Any:
    """Byte-level BPE over the pretraining texts; any other text falls back to bytes."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    texts = [turn["content"] for turns in pretraining_conversations(plan, 0) for turn in turns]
    trainer = trainers.BpeTrainer(
        vocab_size=plan.vocabulary_size,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([SYSTEM_PROMPT, "system", "user", "assistant", *texts], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[TURN_START],
        model_max_length=plan.max_length_tokens,
        chat_template=CHAT_TEMPLATE.read_text(encoding="utf-8"),
        clean_up_tokenization_spaces=False,
    )


def _make_reproducible(seed: int) -> None:
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)


def _train(plan: Pretraining, tokenizer: Any) -> tuple[Any, int, float]:
    """The trained model, the number of steps, the mean loss of the last tenth of them."""
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    from demo.muon import muon

    turn_end = tokenizer.convert_tokens_to_ids(TURN_END)
    padding = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=plan.hidden_size,
            num_hidden_layers=plan.layers,
            num_attention_heads=plan.heads,
            num_key_value_heads=plan.key_value_heads,
            head_dim=plan.head_dim,
            intermediate_size=plan.intermediate_size,
            max_position_embeddings=plan.max_length_tokens,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=turn_end,
            pad_token_id=padding,
        )
    )
    model.generation_config = GenerationConfig(eos_token_id=turn_end, pad_token_id=padding, do_sample=False)
    model.train()
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = [
        muon(matrices, plan.matrix_learning_rate, plan.weight_decay),
        torch.optim.AdamW(others, lr=plan.learning_rate, weight_decay=0.0, betas=(0.9, 0.95)),
    ]
    batches = [batch for epoch in range(plan.epochs) for batch in _batches(plan, tokenizer, epoch)]
    batches = batches[: plan.max_steps]
    warmup_steps = max(1, round(plan.warmup_share * len(batches)))
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / warmup_steps, max(0.02, 1 - step / len(batches)))
        )
        for optimizer in optimizers
    ]
    losses: list[float] = []
    started = reported = time.monotonic()
    for step, batch in enumerate(batches, start=1):
        width = max(len(tokens) for tokens, _ in batch)
        input_ids = torch.full((len(batch), width), padding)
        weights = torch.zeros(len(batch), width)
        attention_mask = torch.zeros(len(batch), width, dtype=torch.long)
        for row, (tokens, token_weights) in enumerate(batch):
            input_ids[row, : len(tokens)] = torch.tensor(tokens)
            weights[row, : len(tokens)] = torch.tensor(token_weights)
            attention_mask[row, : len(tokens)] = 1
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits[:, :-1]
        token_losses = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]).float(), input_ids[:, 1:].reshape(-1), reduction="none"
        )
        flat_weights = weights[:, 1:].reshape(-1)
        loss = (token_losses * flat_weights).sum() / flat_weights.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        now = time.monotonic()
        if now - reported >= PROGRESS_INTERVAL_S or step == len(batches):
            reported = now
            remaining_s = (now - started) / step * (len(batches) - step)
            print(
                f"pretraining: step {step}/{len(batches)}, loss {losses[-1]:.3f}, {remaining_s:.0f} s left", flush=True
            )
    last = losses[-max(1, len(losses) // 10) :]
    return model, len(losses), sum(last) / len(last)


def _batches(plan: Pretraining, tokenizer: Any, epoch: int) -> Iterator[list[tuple[list[int], list[float]]]]:
    """Batches of (tokens, loss weight of each token)."""
    rows = []
    for turns in pretraining_conversations(plan, epoch):
        encoded = tokenizer.apply_chat_template(
            turns, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        rows.append(
            (
                list(encoded["input_ids"]),
                [1.0 if answered else plan.prompt_weight for answered in encoded["assistant_masks"]],
            )
        )
    rng = random.Random(f"{plan.seed}/{epoch}/order")
    rng.shuffle(rows)
    window = plan.batch_size * BATCHES_PER_WINDOW
    batches: list[list[tuple[list[int], list[float]]]] = []
    for start in range(0, len(rows), window):
        by_length = sorted(rows[start : start + window], key=lambda row: len(row[0]))
        batches.extend(by_length[i : i + plan.batch_size] for i in range(0, len(by_length), plan.batch_size))
    rng.shuffle(batches)
    return iter(batches)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Pretrain the demo's base model from scratch (a few CPU-minutes).")
    parser.add_argument("--output", type=Path, required=True, help="folder of the model; replaced when out of date")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another model that knows the same facts")
    options = parser.parse_args(arguments)
    pretrain(options.output, Pretraining(seed=options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
