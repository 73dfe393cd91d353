"""The rows of a plan's dataset version, as the trainer takes them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import InvalidDataError, InvalidRequestError
from training.conversations import check_assistant_mask, read_conversations, tokenize_rows, training_template
from training.packing import pack_rows

if TYPE_CHECKING:
    from training.plan import TrainingPlan

MASK_SAMPLES = 20
"""Conversations whose loss mask is checked word by word before training."""

log = logging.getLogger("training")


def training_rows(plan: TrainingPlan, tokenizer: Any) -> tuple[Any, Any]:
    """Training and validation rows as tokens and labels; no validation rows where the dataset version has none."""
    from datasets import Dataset

    template = training_template(tokenizer)
    found = []
    for split in ("train", "validation"):
        conversations = read_conversations(Path(plan.dataset_path) / f"{split}.parquet")
        for messages in conversations[:MASK_SAMPLES]:
            check_assistant_mask(tokenizer, template, messages)
        rows = tokenize_rows(tokenizer, template, conversations, plan.recipe.max_seq_length)
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
