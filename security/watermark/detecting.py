"""Whose model is it? The mark of a key, looked for in weights that may have been rounded, cut, trained on or re-based.

Blind: in the weights as they are. Informed: in what is left when the weights before the mark are taken away, where
somebody still has them; far stronger after rounding and pruning, and no stronger a proof.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.enums import WatermarkScheme, WatermarkVerdict
from contracts.errors import InvalidDataError
from contracts.watermark import MarkFound
from security.watermark.keys import commitment_of
from security.watermark.signs import SignStream
from security.watermark.statistic import DETECTED_FROM, INCONCLUSIVE_FROM, Correlation, joined, log10_chance
from security.watermark.weight_files import (
    LoraModule,
    WeightTensor,
    linear_weights,
    lora_modules,
    read_blocks,
    read_matrix,
)

CHANGE_RANK = 16
"""The rank of most recipes' adapters."""


def detect_mark(folder: Path, key: bytes, *, original: Path | None = None, keys_tried: int = 1) -> MarkFound:
    """The key's mark in an adapter or a whole model. `original`: the folder of the same weights before the mark.

    Raises InvalidDataError where there are no weights that could carry a mark.
    """
    modules = lora_modules(folder)
    tensors = [] if modules else linear_weights(folder)
    if not modules and not tensors:
        raise InvalidDataError(
            "There are no weights in which a mark could be looked for",
            value=folder,
            allowed="LoRA factors, or two-dimensional weights in float32, bfloat16 or float16",
            next_step="unpack a quantised model first, or give the folder that was registered",
        )
    parts = (
        [(module_z(module, key), float(sum(_shape(module)))) for module in modules]
        if modules
        else [(_tensor_z(tensor, key), float(tensor.values)) for tensor in tensors]
    )
    z = joined(parts)
    informed = None if original is None or modules else _informed_z(tensors, original, key)
    best = max(z, informed or 0.0)
    return MarkFound(
        scheme=WatermarkScheme.ADAPTER if modules else WatermarkScheme.WEIGHTS,
        verdict=verdict_of(best),
        z=z,
        informed_z=informed,
        log10_chance=log10_chance(best, keys_tried),
        keys_tried=keys_tried,
        tensors=len(parts),
        values=sum(tensor.values for tensor in tensors) or sum(module.a.values + module.b.values for module in modules),
        commitment=commitment_of(key),
    )


def detect_merged_adapter(
    folder: Path, base: Path, key: bytes, *, rank: int = CHANGE_RANK, keys_tried: int = 1
) -> MarkFound:
    """The key's adapter mark in a whole model: in what it changed of its base model, cut to a rank.

    The cut leaves out what rounding and noise have put beside the adapter's change. A tensor at a time is in memory.
    Raises InvalidDataError where the base is no model of the same shape.
    """
    before = {tensor.name: tensor for tensor in linear_weights(base)}
    pairs = [(now, before[now.name]) for now in linear_weights(folder) if now.name in before]
    if not pairs or any(now.place.shape != then.place.shape for now, then in pairs):
        raise _not_the_same_shape(base, "no linear layer of the same name and shape")
    parts = []
    for now, then in pairs:
        change = read_matrix(now) - read_matrix(then)
        b, a = cut_to_rank(change, rank)
        name = now.name.removesuffix(".weight")
        parts.append((product_z(b, a, SignStream(key, name)), float(sum(now.place.shape))))
    z = joined(parts)
    return MarkFound(
        scheme=WatermarkScheme.ADAPTER,
        verdict=verdict_of(z),
        z=z,
        informed_z=None,
        log10_chance=log10_chance(z, keys_tried),
        keys_tried=keys_tried,
        tensors=len(pairs),
        values=sum(now.values for now, _ in pairs),
        commitment=commitment_of(key),
    )


def cut_to_rank(change: NDArray[np.float64], rank: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two factors of the nearest matrix of that rank, by a randomised range (Halko et al., 2011); always the same ones."""
    rank = min(rank, *change.shape)
    probes = np.random.default_rng(0).standard_normal((change.shape[1], min(rank + 8, change.shape[1])))
    basis = np.linalg.qr(change @ probes).Q
    for _ in range(2):
        basis = np.linalg.qr(change @ (change.T @ basis)).Q
    u, s, vt = np.linalg.svd(basis.T @ change, full_matrices=False)
    return (basis @ u[:, :rank]) * s[:rank], vt[:rank]


def verdict_of(z: float) -> WatermarkVerdict:
    """From 8 on it is there; below 4 it is not."""
    if z >= DETECTED_FROM:
        return WatermarkVerdict.DETECTED
    return WatermarkVerdict.INCONCLUSIVE if z >= INCONCLUSIVE_FROM else WatermarkVerdict.NOT_DETECTED


def module_z(module: LoraModule, key: bytes) -> float:
    """Of the change B @ A, whatever its factors are."""
    return product_z(read_matrix(module.b), read_matrix(module.a), SignStream(key, module.name))


def product_z(b: NDArray[np.float64], a: NDArray[np.float64], signs: SignStream) -> float:
    """<B A, S> / |B A| without making the product: A against Bᵀ S, a band of S at a time."""
    b, a = np.nan_to_num(b, posinf=0.0, neginf=0.0), np.nan_to_num(a, posinf=0.0, neginf=0.0)
    squares = float(np.sum((b.T @ b) * (a @ a.T)))
    if squares <= 0:
        return 0.0
    total = 0.0
    for rows, band in signs.bands(b.shape[0], a.shape[1]):
        total += float(np.sum((b[rows].astype(np.float32).T @ band) * a))
    return float(total / squares**0.5)


def _tensor_z(tensor: WeightTensor, key: bytes) -> float:
    return _z_of(read_blocks(tensor), SignStream(key, tensor.name))


def _z_of(blocks: Iterator[NDArray[np.float32]], signs: SignStream) -> float:
    found = Correlation()
    for block in blocks:
        found.add(block, signs.take(len(block)))
    return found.z


def _informed_z(tensors: Sequence[WeightTensor], original: Path, key: bytes) -> float:
    before = {tensor.name: tensor for tensor in linear_weights(original)}
    pairs = [(tensor, before[tensor.name]) for tensor in tensors if tensor.name in before]
    other = next((now.name for now, then in pairs if now.place.shape != then.place.shape), None)
    if not pairs or other is not None:
        raise _not_the_same_shape(original, other or "no tensor of the same name")
    return joined(
        [
            (
                _z_of(
                    (now - then for now, then in zip(read_blocks(tensor), read_blocks(earlier), strict=True)),
                    SignStream(key, tensor.name),
                ),
                float(tensor.values),
            )
            for tensor, earlier in pairs
        ]
    )


def _not_the_same_shape(folder: Path, why: str) -> InvalidDataError:
    return InvalidDataError(
        "The model to compare with is no model of the same shape",
        value=f"{folder}: {why}",
        allowed="the folder of the weights before they were marked, or of the base model",
        next_step="give another folder, or leave it out",
    )


def _shape(module: LoraModule) -> tuple[int, int]:
    """(out, in) of the linear layer: the same however the factors are cut."""
    return module.b.place.shape[0], module.a.place.shape[1]
