"""A student of a finished model: who may be one, and how much nearer the training brought it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import InvalidRequestError
from contracts.training import CompressionFacts
from training.compression.compressing import CalibrationRows, mean_loss, weight_bytes
from training.compression.layers import layer_count
from training.conversations import read_conversations, tokenize, training_template
from training.fitting.architecture import read_architecture

if TYPE_CHECKING:
    from contracts.compression import CompressRequest

COMPARED_ROWS = 20
"""Training rows that both tokenizers must read alike, with their templates."""


def check_layers(parent: Path, count: int) -> None:
    """The parent has more layers than its student is to keep. Raises InvalidRequestError."""
    layers = layer_count(parent)
    if count >= layers:
        raise InvalidRequestError(
            "A student must have fewer layers than its parent",
            value=f"student_layers {count} of {layers}",
            allowed=f"1 to {layers - 1}",
            next_step="choose fewer layers, or name another base model as the student",
        )


def check_student(parent: Path, student: Path, dataset: Path) -> None:
    """The student reads as its parent does, and is no larger. Raises InvalidRequestError.

    Scores are compared word by word of the vocabulary, so both must have the same one, and the same chat template.
    """
    from transformers import AutoTokenizer

    large, small = read_architecture(parent), read_architecture(student)
    if large is not None and small is not None and small.parameters > large.parameters:
        raise InvalidRequestError(
            "The student is larger than its parent",
            value=f"{small.parameters / 1e6:,.0f} million weights, the parent has {large.parameters / 1e6:,.0f}",
            next_step="choose a smaller base model as the student",
        )
    ours, theirs = (AutoTokenizer.from_pretrained(folder, local_files_only=True) for folder in (parent, student))
    sizes = [None if shape is None else shape.vocabulary for shape in (large, small)]
    same = ours.get_vocab() == theirs.get_vocab() and sizes[0] == sizes[1]
    if same:
        rows = read_conversations(dataset / "train.parquet")[:COMPARED_ROWS]
        same = all(_reading(ours, row) == _reading(theirs, row) for row in rows)
    if not same:
        raise InvalidRequestError(
            "The student's tokenizer or chat template is not its parent's",
            value=f"{student} and {parent}",
            allowed="a base model of the same family, for example Qwen3-0.6B for Qwen3-8B",
            next_step="choose another student, or student_layers for one made of the parent",
        )


def _reading(tokenizer: Any, messages: list[dict[str, str]]) -> tuple[list[int], list[int]]:
    return tokenize(tokenizer, training_template(tokenizer), messages)


def distillation_facts(
    parent: Path, student: Path, output: Path, rows: CalibrationRows, request: CompressRequest, student_name: str
) -> CompressionFacts:
    """What the training did: the student's loss and its distance to the parent on held-out rows, before and after."""
    teacher, before = read_model(parent), read_model(student)
    parent_loss, divergence_before = mean_loss(teacher, rows), mean_divergence(teacher, before, rows)
    del before
    after = read_model(output)
    return CompressionFacts(
        method=request.compression,
        parent_job_id=request.parent_job_id,
        parent_bytes=weight_bytes(parent),
        compressed_bytes=weight_bytes(output),
        parent_loss=parent_loss,
        compressed_loss=mean_loss(after, rows),
        calibration_rows=0,
        student=student_name,
        divergence_before=divergence_before,
        divergence_after=mean_divergence(teacher, after, rows),
    )


def mean_divergence(parent: Any, model: Any, rows: CalibrationRows) -> float | None:
    """Mean KL(parent, model) a token that the assistant says, in nats; None where there are none."""
    import torch

    total, tokens = 0.0, 0
    with torch.no_grad():
        for ids, labels in zip(rows.loss_ids, rows.loss_labels, strict=True):
            places = [place for place, label in enumerate(labels[1:]) if label >= 0]
            if not places:
                continue
            batch = torch.tensor([ids], device=parent.device)
            wanted, found = (each(input_ids=batch).logits[0, places].float() for each in (parent, model))
            wanted, found = wanted.log_softmax(-1), found.log_softmax(-1)
            total += float((wanted.exp() * (wanted - found)).sum())
            tokens += len(places)
    return total / tokens if tokens else None


def read_model(folder: Path) -> Any:
    """The model, to be looked at."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype="auto",
        attn_implementation="sdpa",
        use_safetensors=True,
        local_files_only=True,
        **({"device_map": {"": 0}} if torch.cuda.is_available() else {}),
    ).eval()
