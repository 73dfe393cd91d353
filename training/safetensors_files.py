"""What safetensors files hold, read without a tensor library: an 8-byte length, a JSON header, the bytes."""

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor of a file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    size_bytes: int


def tensors_of(folder: Path) -> list[TensorEntry]:
    """Every tensor of the folder's safetensors files, by name."""
    found = [entry for path in sorted(folder.glob("*.safetensors")) for entry in _entries(path)]
    return sorted(found, key=lambda entry: entry.name)


def sha256_of_weights(folder: Path) -> str:
    """Digest over names, types, shapes and bytes of the tensors: equal for equal weights, however they are sharded."""
    digest = hashlib.sha256()
    for entry in tensors_of(folder):
        digest.update(f"{entry.name}\0{entry.dtype}\0{entry.shape}\0".encode())
        with entry.path.open("rb") as stream:
            stream.seek(entry.offset)
            left = entry.size_bytes
            while left:
                chunk = stream.read(min(left, CHUNK_BYTES))
                if not chunk:
                    raise EOFError(f"{entry.path} ends inside the tensor {entry.name}")
                digest.update(chunk)
                left -= len(chunk)
    return digest.hexdigest()


def _entries(path: Path) -> Iterator[TensorEntry]:
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        yield TensorEntry(name, entry["dtype"], tuple(entry["shape"]), path, 8 + length + begin, end - begin)
