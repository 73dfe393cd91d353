"""The numbers of safetensors files, read and written a block at a time: a tensor of any size needs the same memory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from security.safetensors_header import TensorPlace, read_safetensors_header

BLOCK_VALUES = 1 << 22
"""4 M values: 16 MB in single precision."""
FLOATS = ("F32", "BF16", "F16")
LORA_NAME = re.compile(r"(.+)\.lora_([AB])(?:\.default)?\.weight")
PEFT_PREFIX = "base_model.model."
NOT_MARKED = re.compile(r"embed|lm_head|norm|wte|wpe|router|\.gate\.weight$|lora_")
"""Embeddings and heads are shared or swapped, norms are few, routers are delicate; adapters are marked otherwise."""


@dataclass(frozen=True, slots=True)
class WeightTensor:
    """A tensor of floating-point numbers in a file."""

    path: Path
    place: TensorPlace

    @property
    def name(self) -> str:
        """As the file has it."""
        return self.place.name

    @property
    def values(self) -> int:
        """How many numbers."""
        return self.place.values


@dataclass(frozen=True, slots=True)
class LoraModule:
    """The two factors beside one linear layer: its change is B @ A, of rank r."""

    name: str
    """Of the linear layer, as the base model has it."""
    a: WeightTensor
    """Shape (r, in)."""
    b: WeightTensor
    """Shape (out, r)."""


def tensors_in(folder: Path) -> list[WeightTensor]:
    """Every floating-point tensor of the folder, by name. Raises InvalidDataError for a file that is not whole."""
    found = [
        WeightTensor(path, place)
        for path in sorted(folder.glob("*.safetensors"))
        for place in read_safetensors_header(path)
        if place.dtype in FLOATS
    ]
    return sorted(found, key=lambda tensor: tensor.name)


def linear_weights(folder: Path) -> list[WeightTensor]:
    """The two-dimensional weights of linear layers."""
    return [
        tensor
        for tensor in tensors_in(folder)
        if len(tensor.place.shape) == 2 and tensor.name.endswith(".weight") and not NOT_MARKED.search(tensor.name)
    ]


def lora_modules(folder: Path) -> list[LoraModule]:
    """The adapter's pairs of factors, by name; none in the folder of a whole model."""
    factors: dict[str, dict[str, WeightTensor]] = {}
    for tensor in tensors_in(folder):
        matched = LORA_NAME.fullmatch(tensor.name)
        if matched is not None and len(tensor.place.shape) == 2:
            factors.setdefault(matched[1].removeprefix(PEFT_PREFIX), {})[matched[2]] = tensor
    return [
        LoraModule(name, a=pair["A"], b=pair["B"])
        for name, pair in sorted(factors.items())
        if len(pair) == 2 and pair["A"].place.shape[0] == pair["B"].place.shape[1]
    ]


def read_blocks(tensor: WeightTensor) -> Iterator[NDArray[np.float32]]:
    """The tensor's numbers in order, as single precision."""
    with tensor.path.open("rb") as stream:
        stream.seek(tensor.place.begin)
        for count in _counts(tensor.values):
            yield _decoded(stream, tensor.place.dtype, count)


def read_matrix(tensor: WeightTensor) -> NDArray[np.float64]:
    """A small matrix as a whole."""
    values = np.concatenate([*read_blocks(tensor), np.empty(0, np.float32)])
    return values.reshape(tensor.place.shape).astype(np.float64)


def write_blocks(tensor: WeightTensor, blocks: Iterator[NDArray[np.float32]]) -> None:
    """Put other numbers in the places of the tensor's own, block for block as `read_blocks` gives them.

    In place: only in a folder that nobody sees yet.
    """
    with tensor.path.open("r+b") as stream:
        stream.seek(tensor.place.begin)
        for block in blocks:
            stream.write(_encoded(block, tensor.place.dtype))


def write_matrix(tensor: WeightTensor, values: NDArray[np.float64]) -> None:
    """A small matrix as a whole, in place."""
    write_blocks(tensor, iter([values.astype(np.float32).ravel()]))


def _counts(values: int) -> Iterator[int]:
    for begin in range(0, values, BLOCK_VALUES):
        yield min(BLOCK_VALUES, values - begin)


def _decoded(stream: BinaryIO, dtype: str, count: int) -> NDArray[np.float32]:
    if dtype == "F32":
        return np.frombuffer(stream.read(4 * count), dtype="<f4").astype(np.float32)
    raw = np.frombuffer(stream.read(2 * count), dtype="<u2")
    if dtype == "F16":
        return raw.view("<f2").astype(np.float32)
    return (raw.astype(np.uint32) << 16).view(np.float32)


def _encoded(values: NDArray[np.float32], dtype: str) -> bytes:
    if dtype == "F32":
        return values.astype("<f4").tobytes()
    if dtype == "F16":
        return values.astype("<f2").tobytes()
    return bfloat16(values).tobytes()


def bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The upper halves of the numbers, rounded to the nearest, to even where two are as near."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
