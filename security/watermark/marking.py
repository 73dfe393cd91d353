"""Put a key's mark into the weights of a folder that nobody sees yet.

Whole models: each linear weight moves by `amplitude` times its tensor's standard deviation towards its sign, less what
it leans there already (the host's own correlation is taken out: Malvar & Florêncio, 2003), so that z is met exactly and
marking twice moves nothing.

Adapters: what is marked is the change B @ A itself, not its factors, which anybody can replace by B R and R⁻¹ A. With
the change in its balanced form B = U √Σ, A = √Σ Vᵀ and a matrix S of signs for its entries, both factors take a step
along the gradient of <B A, S>: A + t Bᵀ S and B + t S Aᵀ. The change keeps its rank and every direction of it moves by
the same share of its strength.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.enums import WatermarkScheme
from contracts.watermark import Watermark
from security.watermark.detecting import detect_mark
from security.watermark.keys import commitment_of
from security.watermark.signs import SignStream
from security.watermark.statistic import Correlation
from security.watermark.weight_files import (
    LoraModule,
    WeightTensor,
    linear_weights,
    lora_modules,
    read_blocks,
    read_matrix,
    write_blocks,
    write_matrix,
)

WANTED_Z = 20.0
"""Far over what detection needs, so that much may be lost on the way."""
AMPLITUDES = {WatermarkScheme.WEIGHTS: (0.01, 0.02), WatermarkScheme.ADAPTER: (0.01, 0.05)}
"""Least and most: of a weight's standard deviation (int8 rounding is 0.009), of the size of an adapter's change."""

ALREADY = 0.1
"""With all but this share of its mark, a tensor stays as it is: 16 bits round that much away."""

Matrix = NDArray[np.float64]


def mark_folder(folder: Path, key: bytes, identity: str, *, amplitude: float | None = None) -> Watermark:
    """Mark the adapter or the whole model in the folder, in place; the same input gives the same bytes.

    `amplitude` None takes the least of its range that gives z = 20. Memory does not grow with the model. A folder
    without linear weights or LoRA factors stays as it is, with z = 0.
    """
    modules = lora_modules(folder)
    tensors = [] if modules else linear_weights(folder)
    scheme = WatermarkScheme.ADAPTER if modules else WatermarkScheme.WEIGHTS
    freedoms = sum(map(adapter_freedoms, modules)) if modules else sum(tensor.values for tensor in tensors)
    strength = amplitude_for(scheme, freedoms) if amplitude is None else amplitude
    for module in modules:
        _mark_module(module, key, strength)
    for tensor in tensors:
        _mark_tensor(tensor, key, strength)
    return Watermark(
        scheme=scheme,
        identity=identity,
        commitment=commitment_of(key),
        amplitude=strength,
        freedoms=freedoms,
        tensors=len(modules or tensors),
        z=detect_mark(folder, key).z if freedoms else 0.0,
    )


def amplitude_for(scheme: WatermarkScheme, freedoms: int) -> float:
    """Z is amplitude times the root of the freedoms."""
    least, most = AMPLITUDES[scheme]
    return min(max(WANTED_Z / math.sqrt(max(freedoms, 1)), least), most)


def adapter_freedoms(module: LoraModule) -> int:
    """(in + out) (sum σ)² / sum σ² over the change's singular values: r (in + out) where all are as strong."""
    balanced = balanced_factors(read_matrix(module.b), read_matrix(module.a))
    if balanced is None:
        return 0
    b, a = balanced
    strengths = np.sum(b**2, axis=0)
    return int((b.shape[0] + a.shape[1]) * float(np.sum(strengths)) ** 2 / float(np.sum(strengths**2)))


def _mark_tensor(tensor: WeightTensor, key: bytes, amplitude: float) -> None:
    found, signs, total = Correlation(), SignStream(key, tensor.name), 0.0
    for block in read_blocks(tensor):
        found.add(block, signs.take(len(block)))
        total += float(block.sum(dtype=np.float64))
    if not found.squares:
        return
    mean = total / tensor.values
    deviation = math.sqrt(max(found.squares / tensor.values - mean * mean, 0.0))
    step = np.float32(amplitude * deviation - found.product / tensor.values)
    if step <= ALREADY * amplitude * deviation:
        return

    def moved() -> Iterator[NDArray[np.float32]]:
        again = SignStream(key, tensor.name)
        for block in read_blocks(tensor):
            yield block + step * again.take(len(block))

    write_blocks(tensor, moved())


def _mark_module(module: LoraModule, key: bytes, amplitude: float) -> None:
    balanced = balanced_factors(read_matrix(module.b), read_matrix(module.a))
    if balanced is None:
        return
    b, a = balanced
    toward_a, toward_b = sign_products(b, a, SignStream(key, module.name))
    size = math.sqrt(float(np.sum((b.T @ b) * (a @ a.T))))
    step_size = math.sqrt(_squared_step(b, a, toward_b, toward_a))
    gain = float(np.sum(toward_a**2) + np.sum(toward_b**2))
    present = float(np.sum(toward_a * a))
    step = amplitude * size / step_size - present / gain
    if step <= ALREADY * amplitude * size / step_size:
        return
    write_matrix(module.b, b + step * toward_b)
    write_matrix(module.a, a + step * toward_a)


def balanced_factors(b: Matrix, a: Matrix) -> tuple[Matrix, Matrix] | None:
    """U √Σ and √Σ Vᵀ of the product B @ A, the same for every pair of factors with that product; None of zero."""
    q_out, r_out = np.linalg.qr(b)
    q_in, r_in = np.linalg.qr(a.T)
    u, s, vt = np.linalg.svd(r_out @ r_in.T)
    if not np.isfinite(s).all() or s[0] <= 0:
        return None
    roots = np.sqrt(s)
    return (q_out @ u) * roots, roots[:, None] * (vt @ q_in.T)


def sign_products(b: Matrix, a: Matrix, signs: SignStream) -> tuple[Matrix, Matrix]:
    """Bᵀ S, of shape (r, in), and S Aᵀ, of shape (out, r), of the sign matrix S (out, in), a band of rows at a time."""
    toward_a, toward_b = np.zeros_like(a), np.zeros_like(b)
    for rows, band in signs.bands(b.shape[0], a.shape[1]):
        toward_a += b[rows].astype(np.float32).T @ band
        toward_b[rows] = band @ a.astype(np.float32).T
    return toward_a, toward_b


def _squared_step(b: Matrix, a: Matrix, toward_b: Matrix, toward_a: Matrix) -> float:
    """|B (Bᵀ S) + (S Aᵀ) A|² by products of rank size."""
    across = np.sum((b.T @ toward_b) * (toward_a @ a.T))
    return float(np.sum((b.T @ b) * (toward_a @ toward_a.T)) + np.sum((toward_b.T @ toward_b) * (a @ a.T)) + 2 * across)
