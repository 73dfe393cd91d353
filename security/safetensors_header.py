"""The header of a safetensors file, believed only after every promise of it is checked.

The format: eight bytes of length (little-endian), a JSON object {name: {dtype, shape, data_offsets}}, the bytes of the
tensors. It can hold no code; a false header can still make a reader take memory that is not there, read the same bytes
as two tensors, or carry what nobody sees between them.
"""

import json
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import InvalidDataError

MAX_HEADER_BYTES = 100_000_000
"""The safetensors library's own limit."""
MAX_NAME_LENGTH = 512
MAX_DIMENSIONS = 8
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
"""Bits of one value of each type."""


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """One tensor of a file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """Byte of the file at which it begins."""
    size_bytes: int

    @property
    def values(self) -> int:
        """How many numbers it holds."""
        return _product(self.shape)


def read_safetensors_header(path: Path) -> list[TensorPlace]:
    """The file's tensors in the order of their bytes. Raises InvalidDataError naming the first thing that is wrong."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            start = stream.read(8)
            if len(start) < 8:
                raise _refused(path, "it ends within the length of its header", f"{size} bytes")
            (length,) = struct.unpack("<Q", start)
            if length > MAX_HEADER_BYTES or length > size - 8:
                raise _refused(path, "the header is longer than the file, or than allowed", f"{length} of {size} bytes")
            text = stream.read(length)
    except OSError as error:
        raise _refused(path, "it cannot be read", error.strerror) from error
    return _places(path, _parsed(path, text), 8 + length, size - 8 - length)


def unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads(object_pairs_hook=)`: two readers would take different ones of two equal keys. Raises ValueError."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:100]!r} stands twice in one object")
        found[key] = value
    return found


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    if not text.startswith(b"{"):
        raise _refused(path, "the header does not begin with {", repr(text[:16]))
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _refused(path, "the header is no JSON object with every key once", str(error)[:200]) from error
    assert isinstance(header, dict), "a text that begins with { and is JSON is an object"
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _refused(path, "__metadata__ is not made of texts", str(metadata)[:100])
    return header


def _places(path: Path, header: dict[str, Any], data_begin: int, data_bytes: int) -> list[TensorPlace]:
    places = sorted(
        (_place(path, name, entry, data_begin) for name, entry in header.items()),
        key=lambda place: (place.begin, place.size_bytes),
    )
    if not places:
        raise _refused(path, "it holds no tensor", "an empty header")
    reached = data_begin
    for place in places:
        if place.begin != reached:
            what = "lies over the one before it" if place.begin < reached else "leaves a gap before it"
            raise _refused(path, f"the tensor {place.name[:100]} {what}", f"byte {place.begin}, expected {reached}")
        reached += place.size_bytes
    if reached != data_begin + data_bytes:
        what = (
            "bytes follow that belong to no tensor"
            if reached < data_begin + data_bytes
            else "the last bytes are missing"
        )
        raise _refused(path, what, f"{data_bytes} bytes of data, {reached - data_begin} in tensors")
    return places


def _place(path: Path, name: str, entry: Any, data_begin: int) -> TensorPlace:
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise _refused(path, "a tensor's name is empty, too long or not printable", repr(name[:100]))
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _refused(path, f"the entry of {name} has not exactly dtype, shape and data_offsets", str(entry)[:100])
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise _refused(path, f"{name} has a type that the format does not know", str(dtype)[:100])
    if not _whole_numbers(shape) or len(shape) > MAX_DIMENSIONS:
        raise _refused(path, f"the shape of {name} is no list of at most {MAX_DIMENSIONS} sizes", str(shape)[:100])
    if not _whole_numbers(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _refused(path, f"data_offsets of {name} are no two ordered places", str(offsets)[:100])
    begin, end = offsets
    if (end - begin) * 8 != _product(shape) * BITS[dtype]:
        raise _refused(
            path,
            f"{name} takes other bytes than its shape and type need",
            f"{end - begin} bytes for {dtype} {shape}",
        )
    return TensorPlace(name, dtype, tuple(shape), data_begin + begin, end - begin)


def _whole_numbers(value: Any) -> bool:
    """Sizes as JSON writes them; more than any disk holds is none."""
    return isinstance(value, list) and all(type(number) is int and 0 <= number < 2**63 for number in value)


def _product(shape: Iterable[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _refused(path: Path, why: str, value: object) -> InvalidDataError:
    return InvalidDataError(
        f"The weights file {path.name} is not whole and plain safetensors: {why}",
        value=f"{value} ({path})",
        allowed="tensors one after another, without gaps, overlaps or bytes behind them",
        next_step="copy the file again from where it came, and do not use it as it is",
    )
