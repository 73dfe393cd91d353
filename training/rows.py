"""The rows of a plan's dataset version, as the trainer takes them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import InvalidDataError, InvalidRequestError
from training.conversations import check_assistant_mask, check_prompt, read_conversations, training_template
from training.packing import pack_rows
from training.preferences import read_preferences
from training.tokenized_cache import cached_rows

if TYPE_CHECKING:
    from training.plan import TrainingPlan
    from training.recipe import Recipe

MASK_SAMPLES = 20
"""Conversations whose loss mask is checked word by word before training."""

log = logging.getLogger("training")


def check_dataset(folder: Path, recipe: Recipe, tokenizer: Any) -> None:
    """The dataset version has what the recipe's objective learns from. Raises InvalidDataError, InvalidRequestError."""
    if recipe.objective == "dpo":
        pairs = read_preferences(folder / "train.parquet")
        if not pairs:
            raise InvalidDataError("The dataset version has no preference pairs to learn from", value=folder)
        check_prompt(tokenizer, tokenizer.chat_template, pairs[0]["prompt"], pairs[0]["chosen"][0])
        return
    conversations = read_conversations(folder / "train.parquet")
    if not conversations:
        raise InvalidDataError("The dataset version has no training rows", value=folder)
    check_assistant_mask(tokenizer, training_template(tokenizer), conversations[0])


def training_rows(plan: TrainingPlan, tokenizer: Any) -> tuple[Any, Any]:
    """Training and validation rows of the plan's objective; None for validation rows that are not there."""
    return preference_rows(plan) if plan.recipe.objective == "dpo" else conversation_rows(plan, tokenizer)


def preference_rows(plan: TrainingPlan) -> tuple[Any, Any]:
    """Training and validation pairs; no validation pairs where the dataset version has none."""
    from datasets import Dataset

    train, validation = (
        read_preferences(Path(plan.dataset_path) / f"{split}.parquet") for split in ("train", "validation")
    )
    if not train:
        raise InvalidDataError("The dataset version has no preference pairs to learn from", value=plan.dataset_path)
    return Dataset.from_list(train), Dataset.from_list(validation) if validation else None


def conversation_rows(plan: TrainingPlan, tokenizer: Any) -> tuple[Any, Any]:
    """Training and validation rows as tokens and labels; no validation rows where the dataset version has none."""
    from datasets import Dataset

    template = training_template(tokenizer)
    cache_dir = None if plan.cache_dir is None else Path(plan.cache_dir)
    found = []
    for split in ("train", "validation"):
        path = Path(plan.dataset_path) / f"{split}.parquet"
        conversations = read_conversations(path)
        for messages in conversations[:MASK_SAMPLES]:
            check_assistant_mask(tokenizer, template, messages)
        rows = cached_rows(path, conversations, tokenizer, template, plan.recipe.max_seq_length, cache_dir)
        if rows.cut:
            log.warning(
                "%s: %d of %d rows are longer than max_seq_length %d and were cut, %d of them had nothing left to learn",
                split,
                rows.cut,
                len(conversations),
                plan.recipe.max_seq_length,
                rows.dropped,
            )
        if conversations and not rows.input_ids:
            raise InvalidRequestError(
                f"Nothing is left to learn in the {split} split after cutting",
                value=f"max_seq_length {plan.recipe.max_seq_length}",
                next_step="choose a larger max_seq_length",
            )
        found.append(rows)
    train, validation = found
    if not train.input_ids:
        raise InvalidDataError("The dataset version has no training rows", value=plan.dataset_path)
    made: list[Any] = [
        Dataset.from_dict({"input_ids": rows.input_ids, "labels": rows.labels}) if rows.input_ids else None
        for rows in (train, validation)
    ]
    if plan.recipe.packing:
        # Validation rows stay apart: their loss is the mean over batches, and is to mean the same with and without.
        made[0] = pack_rows(made[0], plan.recipe.max_seq_length)
        log.info("packed %d samples into %d rows", len(train.input_ids), len(made[0]))
    return made[0], made[1]
