"""Model folders of a few bytes, written without any library so that each can be wrong in one way."""

import json
import struct
from pathlib import Path
from typing import Any


def safetensors_bytes(header: Any, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A file with that header, which may be JSON text already."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def plain_weights(name: str = "w", values: int = 4) -> bytes:
    """One float32 vector."""
    header = {name: {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}
    return safetensors_bytes(header, bytes(4 * values))


def weights_saying(text: str) -> bytes:
    """Weights whose bytes are the text's: other words are other weights."""
    data = text.encode()
    return safetensors_bytes({"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}, data)


def plain_folder(folder: Path) -> Path:
    """The least that the gate lets through."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(plain_weights())
    return folder
