"""Make a model smaller: a folder in, a folder that vLLM serves and what it cost out."""

from __future__ import annotations

import json
import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.enums import CompressionMethod
from contracts.errors import InvalidDataError, InvalidRequestError
from contracts.record import Record
from contracts.training import CompressionFacts
from storage.files import folder_written_whole, write_json_atomically
from training.compression.awq import scale_channels
from training.compression.calibration import CalibratedLayer, calibrated_layers, plain_layers
from training.compression.gptq import round_with_gptq
from training.compression.pruning import neurons_to_keep, take_out_neurons, zero_weights
from training.compression.rounding import Rounded, pack_int4, round_to_fp8, round_to_integers

if TYPE_CHECKING:
    import torch

    from contracts.compression import CompressRequest

BITS = {CompressionMethod.INT8: 8, CompressionMethod.GPTQ: 4, CompressionMethod.AWQ: 4}
LONGEST_ROW_TOKENS = 2048
"""Of calibration and of the loss before and after."""
LOSS_ROWS = 256
"""Rows of which the loss is the mean, at most."""

log = logging.getLogger("compression")

OnProgress = Callable[[str, int, int], None]


class CalibrationRows(Record):
    """Token ids and labels of real rows."""

    calibration: list[list[int]]
    """What activations are looked at with."""
    loss_ids: list[list[int]]
    loss_labels: list[list[int]]
    """What the loss before and after is measured on."""


def calibration_rows(dataset: Path, tokenizer: Any, request: CompressRequest) -> CalibrationRows:
    """Rows of the parent's dataset version: a seeded choice of training rows, and the first validation rows."""
    from training.conversations import read_conversations, tokenize_rows, training_template

    template = training_template(tokenizer)
    train = read_conversations(dataset / "train.parquet")
    chosen = random.Random(request.seed).sample(train, min(request.calibration_rows, len(train)))  # noqa: S311
    tokenized = tokenize_rows(tokenizer, template, chosen, LONGEST_ROW_TOKENS)
    if not tokenized.input_ids:
        raise InvalidDataError("The dataset version has no rows to calibrate with", value=dataset)
    judged = tokenized
    if (dataset / "validation.parquet").exists():
        validation = read_conversations(dataset / "validation.parquet")[:LOSS_ROWS]
        if validation:
            judged = tokenize_rows(tokenizer, template, validation, LONGEST_ROW_TOKENS)
    return CalibrationRows(
        calibration=tokenized.input_ids, loss_ids=judged.input_ids[:LOSS_ROWS], loss_labels=judged.labels[:LOSS_ROWS]
    )


def check_model(folder: Path, request: CompressRequest) -> None:
    """The model's sizes suit the method. Raises InvalidRequestError."""
    if request.compression is CompressionMethod.DISTILL:
        return  # a model of its own: training/compression/distilling.py checks it
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    inputs = {
        "hidden_size": config["hidden_size"],
        "intermediate_size": config["intermediate_size"],
        "attention width": config["num_attention_heads"]
        * config.get("head_dim", config["hidden_size"] // config["num_attention_heads"]),
    }
    size = request.group_size if request.compression in {CompressionMethod.GPTQ, CompressionMethod.AWQ} else 1
    unsuited = {name: width for name, width in inputs.items() if width % size}
    if unsuited:
        raise InvalidRequestError(
            "The model's layers cannot be cut into groups of this size",
            value=f"group_size {size}; {', '.join(f'{name} {width}' for name, width in unsuited.items())}",
            allowed="a size that divides them all, for example 32 or 64",
            next_step="choose another group_size",
        )
    if request.compression is CompressionMethod.NEURONS:
        width = inputs["intermediate_size"]
        if neurons_to_keep(width, request.sparsity) >= width:
            raise InvalidRequestError(
                "Neurons are taken out in multiples of 32, and none is left to be taken out",
                value=f"sparsity {request.sparsity:g} of {width} neurons",
                next_step="choose a larger sparsity",
            )


def merge_adapter(base: Path, adapter: Path, target: Path) -> None:
    """The base model with the adapter in its weights, as a folder that is whole or absent."""
    if target.exists():
        return
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto", use_safetensors=True, local_files_only=True)
    with torch.no_grad():
        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    with folder_written_whole(target) as folder:
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(base, local_files_only=True).save_pretrained(folder)


def compress(
    parent: Path, output: Path, rows: CalibrationRows, request: CompressRequest, on_progress: OnProgress
) -> CompressionFacts:
    """Write the compressed model of the folder `parent` to `output`, whole or not at all."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        parent,
        dtype="auto",
        attn_implementation="sdpa",
        use_safetensors=True,
        local_files_only=True,
        **({"device_map": {"": 0}} if torch.cuda.is_available() else {}),
    )
    model.eval()
    before = mean_loss(model, rows)
    count = len(model.model.layers)
    changed = _Changes()
    layers = calibrated_layers(model, rows.calibration) if request.compression.calibrates else plain_layers(model)
    rounded: dict[str, Rounded] = {}
    keep = neurons_to_keep(model.config.intermediate_size, request.sparsity)
    for number, layer in enumerate(layers, start=1):
        rounded.update(_compress_layer(layer, request, changed, keep=keep))
        on_progress("compressing", number, count)
    if request.compression is CompressionMethod.NEURONS:
        model.config.intermediate_size = keep
    after = mean_loss(model, rows)
    if output.exists():  # an attempt that was killed after this point
        shutil.rmtree(output)
    with folder_written_whole(output) as folder:
        AutoTokenizer.from_pretrained(parent, local_files_only=True).save_pretrained(folder)
        if rounded:
            _save_quantized(model, rounded, folder, request)
        else:
            model.save_pretrained(folder)
    return CompressionFacts(
        method=request.compression,
        parent_job_id=request.parent_job_id,
        parent_bytes=weight_bytes(parent),
        compressed_bytes=weight_bytes(output),
        relative_error=changed.relative_error,
        zero_share=changed.zero_share,
        parent_loss=before,
        compressed_loss=after,
        calibration_rows=len(rows.calibration) if request.compression.calibrates else 0,
    )


def weight_bytes(folder: Path) -> int:
    """Size of a model's weights on the disk."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def mean_loss(model: Any, rows: CalibrationRows) -> float | None:
    """Mean loss a token over the rows' labels; None where there are none."""
    import torch

    total, tokens = 0.0, 0
    with torch.no_grad():
        for ids, labels in zip(rows.loss_ids, rows.loss_labels, strict=True):
            learnt = sum(label >= 0 for label in labels[1:])
            if not learnt:
                continue
            loss = model(
                input_ids=torch.tensor([ids], device=model.device), labels=torch.tensor([labels], device=model.device)
            ).loss
            total += float(loss) * learnt
            tokens += learnt
    return total / tokens if tokens else None


class _Changes:
    """Sums over the compressed layers."""

    def __init__(self) -> None:
        self._squared_error = self._squared = 0.0
        self._zeros = self._weights = 0

    def add(self, before: torch.Tensor, after: torch.Tensor) -> None:
        self._squared_error += float((before.float() - after.float()).square().sum())
        self._squared += float(before.float().square().sum())
        self._zeros += int((after == 0).sum())
        self._weights += after.numel()

    def add_removed(self, before: torch.Tensor, after: torch.Tensor) -> None:
        """What was taken out counts as an error and as zeros."""
        total, left = float(before.float().square().sum()), float(after.float().square().sum())
        self._squared_error += total - left
        self._squared += total
        self._zeros += before.numel() - after.numel()
        self._weights += before.numel()

    @property
    def relative_error(self) -> float:
        return float((self._squared_error / self._squared) ** 0.5) if self._squared else 0.0

    @property
    def zero_share(self) -> float:
        return self._zeros / self._weights if self._weights else 0.0


def _compress_layer(
    layer: CalibratedLayer, request: CompressRequest, changed: _Changes, *, keep: int
) -> dict[str, Rounded]:
    """Compress the layer in place; its rounded weights by their full names."""
    import torch

    method = request.compression
    if method is CompressionMethod.NEURONS:
        before = {name: linear.weight.detach() for name, linear in layer.linears.items()}
        take_out_neurons(layer, keep)
        for name, weight in before.items():
            changed.add_removed(weight, layer.linears[name].weight.detach())
        return {}
    if method is CompressionMethod.AWQ:
        scale_channels(layer, BITS[method], request.group_size)
    rounded: dict[str, Rounded] = {}
    for name, linear in layer.linears.items():
        weight = linear.weight.detach()
        statistics = layer.statistics.get(name)
        if method.zeroes:
            norms = None if statistics is None or method is CompressionMethod.MAGNITUDE else statistics.norms
            new = zero_weights(weight, norms, request.sparsity, two_of_four=request.two_of_four)
        else:
            found = _round(weight, None if statistics is None else statistics.gram, request)
            rounded[f"{layer.name}.{name}"] = found
            new = found.weight()
        changed.add(weight, new)
        with torch.no_grad():
            linear.weight.copy_(new.to(weight.dtype))
    return rounded


def _round(weight: torch.Tensor, gram: torch.Tensor | None, request: CompressRequest) -> Rounded:
    match request.compression:
        case CompressionMethod.INT8:
            return round_to_integers(weight, BITS[CompressionMethod.INT8])
        case CompressionMethod.FP8:
            return round_to_fp8(weight)
        case CompressionMethod.AWQ:
            return round_to_integers(weight, BITS[CompressionMethod.AWQ], request.group_size)
        case _:
            assert gram is not None, "GPTQ calibrates"
            return round_with_gptq(weight, gram, BITS[CompressionMethod.GPTQ], request.group_size)


def _save_quantized(model: Any, rounded: dict[str, Rounded], folder: Path, request: CompressRequest) -> None:
    """Weights, configuration and scheme in the format of compressed-tensors."""
    import torch
    from huggingface_hub import save_torch_state_dict

    four_bits = request.compression in {CompressionMethod.GPTQ, CompressionMethod.AWQ}
    # what is left besides the codes: vLLM's kernels for few bits compute in bfloat16
    model.to(torch.bfloat16)
    tied = set(getattr(model, "_tied_weights_keys", None) or []) if model.config.tie_word_embeddings else set()
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if name.removesuffix(".weight") not in rounded and name not in tied
    }
    for name, found in rounded.items():
        codes = found.codes_oi.cpu()
        if four_bits:
            tensors[f"{name}.weight_packed"] = pack_int4(codes)
            tensors[f"{name}.weight_scale"] = found.scales_og.cpu().to(torch.bfloat16)
            tensors[f"{name}.weight_shape"] = torch.tensor(codes.shape, dtype=torch.int64)
        else:
            tensors[f"{name}.weight"] = codes
            tensors[f"{name}.weight_scale"] = found.scales_og.cpu()
    save_torch_state_dict(tensors, folder)
    model.config.save_pretrained(folder)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "bfloat16"
    config["quantization_config"] = quantization_config(request)
    write_json_atomically(folder / "config.json", config)


def quantization_config(request: CompressRequest) -> dict[str, Any]:
    """The scheme as compressed-tensors writes it: every linear layer but the head."""
    kind = "float" if request.compression is CompressionMethod.FP8 else "int"
    four_bits = request.compression in {CompressionMethod.GPTQ, CompressionMethod.AWQ}
    weights = {
        "num_bits": 4 if four_bits else 8,
        "type": kind,
        "symmetric": True,
        "strategy": "group" if four_bits else "channel",
        "group_size": request.group_size if four_bits else None,
        "dynamic": False,
    }
    activations = {"num_bits": 8, "type": kind, "symmetric": True, "strategy": "token", "dynamic": True}
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized" if four_bits else f"{kind}-quantized",
        "quantization_status": "compressed",
        "ignore": ["lm_head"],
        "kv_cache_scheme": None,
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": weights,
                "input_activations": None if four_bits else activations,
                "output_activations": None,
            }
        },
    }
