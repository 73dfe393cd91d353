"""From a recipe to the numbers that decide about memory, and from a setup that is too large to the nearest that fits."""

from collections.abc import Iterator
from dataclasses import replace

from contracts.enums import Method
from contracts.fitting import FittingSetting, SettingChange
from training.fitting.architecture import Architecture
from training.fitting.memory import BFLOAT16, FLOAT32, TrainingSetup, estimate_memory
from training.recipe import Recipe

SHARED_BY = (2, 4, 8)
SHORTEST_TOKENS = 512
"""Below it, most answers of a conversation with a system prompt would be cut."""


def setup_of(recipe: Recipe, *, num_gpus: int, on_gpu: bool, longest_tokens: int | None = None) -> TrainingSetup:
    """The recipe on these devices; `longest_tokens` is the longest sample's length, where it is known."""
    by_sample = not on_gpu and recipe.objective == "sft" and recipe.sharding == "none"
    is_bfloat16 = recipe.precision == "bfloat16" or (recipe.precision == "auto" and on_gpu)
    return TrainingSetup(
        method=recipe.method,
        on_gpu=on_gpu,
        weight_bytes=BFLOAT16 if is_bfloat16 else FLOAT32,
        batch_size=recipe.batch_size,
        accumulation=recipe.gradient_accumulation_steps,
        sequence_tokens=min(recipe.max_seq_length, longest_tokens or recipe.max_seq_length),
        lora_rank=recipe.lora_rank,
        lora_dropout=recipe.lora_dropout,
        checkpointing=recipe.gradient_checkpointing,
        optimizer=recipe.optimizer,
        sharding=recipe.sharding,
        devices=num_gpus,
        autocast=on_gpu and (is_bfloat16 or recipe.precision == "mixed"),
        masked=not by_sample and (recipe.packing or recipe.batch_size > 1 or recipe.objective == "dpo"),
        by_sample=by_sample,
        dora=recipe.use_dora,
        answers=2 if recipe.objective == "dpo" else 1,
        distills=recipe.objective == "distill",
    )


def nearest_setting(
    model: Architecture, setup: TrainingSetup, capacity_bytes: int, devices: int = 1
) -> FittingSetting | None:
    """The first change that makes room, the least harmful first; None where nothing does.

    First what leaves the result alone: smaller micro-batches (same global batch), recomputed activations, the model
    divided over up to `devices` GPUs. Then what changes it: 8-bit moments, a method that trains less, a base model in
    4 bits, shorter samples.
    """
    for candidate in _candidates(setup, devices):
        total = estimate_memory(model, candidate).total_bytes
        if total <= capacity_bytes:
            return FittingSetting(changes=_changes(setup, candidate), total_bytes=total)
    return None


def _candidates(setup: TrainingSetup, devices: int) -> Iterator[TrainingSetup]:
    ladder = [setup]
    if not setup.checkpointing:
        ladder.append(replace(ladder[-1], checkpointing=True))
    divided = list(_divided(ladder[-1], devices))
    if setup.on_gpu and setup.optimizer != "paged_adamw_8bit":
        ladder.append(replace(ladder[-1], optimizer="paged_adamw_8bit"))
    if setup.trains_all:
        ladder.append(replace(ladder[-1], method=Method.LORA))
    if not setup.quantizes:
        ladder.append(replace(ladder[-1], method=Method.QLORA, sharding="none"))
    while ladder[-1].sequence_tokens // 2 >= SHORTEST_TOKENS:
        ladder.append(replace(ladder[-1], sequence_tokens=ladder[-1].sequence_tokens // 2))
    before = 1 if setup.checkpointing else 2
    for number, step in enumerate([*ladder[:before], *divided, *ladder[before:]]):
        for candidate in _smaller_batches(step):
            if number or candidate != setup:
                yield candidate


def _divided(setup: TrainingSetup, devices: int) -> Iterator[TrainingSetup]:
    """The model over more GPUs, with the global batch as it was. A 4-bit model and DoRA's adapter are not divided."""
    if not setup.on_gpu or setup.quantizes or setup.dora or setup.sharding != "none":
        return
    for count in SHARED_BY:
        times, rest = divmod(count, setup.devices)
        if not max(2, setup.devices) <= count <= devices or rest:
            continue
        shared = replace(setup, sharding="fsdp2", devices=count)
        if setup.accumulation % times == 0:
            yield replace(shared, accumulation=setup.accumulation // times)
        elif setup.batch_size % times == 0:
            yield replace(shared, batch_size=setup.batch_size // times)


def _smaller_batches(setup: TrainingSetup) -> Iterator[TrainingSetup]:
    """The batch, halved again and again with the global batch as it was."""
    yield setup
    batch, accumulation = setup.batch_size, setup.accumulation
    while batch > 1:
        factor = 2 if batch % 2 == 0 else batch
        batch, accumulation = batch // factor, accumulation * factor
        yield replace(setup, batch_size=batch, accumulation=accumulation)


def _changes(present: TrainingSetup, proposed: TrainingSetup) -> list[SettingChange]:
    names = {
        "method": "method",
        "batch_size": "batch_size",
        "accumulation": "gradient_accumulation_steps",
        "checkpointing": "gradient_checkpointing",
        "optimizer": "optimizer",
        "sequence_tokens": "max_seq_length",
        "sharding": "sharding",
        "devices": "num_gpus",
    }
    return [
        SettingChange(field=name, present=_text(getattr(present, field)), proposed=_text(getattr(proposed, field)))
        for field, name in names.items()
        if getattr(present, field) != getattr(proposed, field)
    ]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
