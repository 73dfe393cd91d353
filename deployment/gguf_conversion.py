"""Qwen3 models and their PEFT LoRA adapters as GGUF files, for the embedded server.

The `gguf` package writes the format but knows no model; this knows exactly one architecture and refuses the rest.
"""

import hashlib
import json
import math
import mmap
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFType, GGUFWriter, TokenType, get_tensor_name_map

from contracts.errors import InvalidRequestError
from contracts.record import JsonObject
from storage.files import fsync_path

CONVERTER_VERSION = "1"
ARCHITECTURE = "qwen3"

# Pre-tokenisation rules by the name llama.cpp knows them by.
_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_DTYPES: dict[str, Any] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One weight as it lies in a safetensors file; bfloat16 as its raw 16 bits."""

    name: str
    dtype: str
    array: Any


def converted_model(model_path: Path, cache_dir: Path) -> Path:
    """The model's GGUF file, written on first use. Raises InvalidRequestError for what is no plain Qwen3 model."""
    target = cache_dir / f"model-{_folder_key(model_path, _WEIGHTS_OF_MODEL)}.gguf"
    if not target.is_file():
        _write_whole(target, lambda path: _write_model(model_path, path))
    return target


def converted_adapter(adapter_path: Path, cache_dir: Path) -> Path:
    """The adapter's GGUF file, written on first use. Raises InvalidRequestError for anything but plain LoRA."""
    target = cache_dir / f"lora-{_folder_key(adapter_path, _WEIGHTS_OF_ADAPTER)}.gguf"
    if not target.is_file():
        _write_whole(target, lambda path: _write_adapter(adapter_path, path))
    return target


_WEIGHTS_OF_MODEL = "model*.safetensors"
_WEIGHTS_OF_ADAPTER = "adapter_model.safetensors"


def _folder_key(folder: Path, weights: str) -> str:
    """Content of the small files; size and time of the weights, whose folders are never written twice."""
    digest = hashlib.sha256(f"{CONVERTER_VERSION}\0{folder.resolve()}\n".encode())
    for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.jinja")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    for path in sorted(folder.glob(weights)):
        status = path.stat()
        digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def _write_whole(target: Path, write: Any) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        write(temporary)
        fsync_path(temporary)
        temporary.replace(target)
        fsync_path(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _read_json(path: Path) -> JsonObject:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidRequestError(
            "A model folder lacks a file", value=path, next_step="give the folder that transformers saved"
        ) from error
    assert isinstance(value, dict)
    return value


def read_safetensors(path: Path) -> Iterator[Tensor]:
    """The tensors of one file, as views of the mapped file."""
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    header_bytes = int.from_bytes(mapped[:8], "little")
    header = json.loads(mapped[8 : 8 + header_bytes])
    start = 8 + header_bytes
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype = _DTYPES.get(entry["dtype"])
        if dtype is None:
            raise InvalidRequestError(
                f"The tensor {name} has a number type that the embedded server does not take",
                value=entry["dtype"],
                allowed=", ".join(_DTYPES),
                next_step="serve this model with vLLM (model_server_backend=vllm)",
            )
        first, last = entry["data_offsets"]
        flat = np.frombuffer(mapped, dtype=dtype, count=(last - first) // dtype.itemsize, offset=start + first)
        yield Tensor(name, entry["dtype"], flat.reshape(entry["shape"]))


def _as_float32(tensor: Tensor) -> Any:
    if tensor.dtype == "BF16":
        return (tensor.array.astype(np.uint32) << 16).view(np.float32)
    return tensor.array.astype(np.float32)


def _add(writer: GGUFWriter, name: str, tensor: Tensor) -> None:
    # llama.cpp multiplies by one-dimensional weights (norms) in single precision only
    if tensor.array.ndim == 1:
        writer.add_tensor(name, _as_float32(tensor))
    elif tensor.dtype == "BF16":
        writer.add_tensor(name, np.ascontiguousarray(tensor.array).view(np.uint8), raw_dtype=GGMLQuantizationType.BF16)
    else:
        writer.add_tensor(name, np.ascontiguousarray(tensor.array))


def _finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _unsupported(what: str, value: object, allowed: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"The embedded server cannot serve {what}",
        value=value,
        allowed=allowed,
        next_step="serve this model with vLLM (TUNEWAY_MODEL_SERVER_BACKEND=vllm)",
    )


def _write_model(folder: Path, target: Path) -> None:
    config: dict[str, Any] = _read_json(folder / "config.json")
    if config.get("model_type") != ARCHITECTURE:
        raise _unsupported("a model of this architecture", config.get("model_type"), ARCHITECTURE)
    if config.get("quantization_config"):
        raise _unsupported("quantised safetensors", config["quantization_config"], "float32, float16, bfloat16")
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10000.0)}
    if rope.get("rope_type", "default") != "default" or config.get("rope_scaling"):
        raise _unsupported("a model with scaled rotary positions", rope, "rope_type default")
    if config.get("use_sliding_window"):
        raise _unsupported("sliding window attention", True, "full attention")
    writer = GGUFWriter(target, ARCHITECTURE)
    writer.add_type(GGUFType.MODEL)
    writer.add_name(folder.name)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    _add_tokenizer(writer, folder, int(config["vocab_size"]))
    names = get_tensor_name_map(MODEL_ARCH.QWEN3, config["num_hidden_layers"])
    files = sorted(folder.glob(_WEIGHTS_OF_MODEL))
    if not files:
        raise _unsupported("a folder without safetensors weights", folder, "model*.safetensors")
    tied = bool(config.get("tie_word_embeddings"))
    for file in files:
        for tensor in read_safetensors(file):
            if tensor.name == "lm_head.weight" and tied:
                continue
            name = names.get_name(tensor.name, try_suffixes=(".weight", ".bias"))
            if name is None:
                raise _unsupported("a model with this tensor", tensor.name, "tensors of a Qwen3 model")
            _add(writer, name, tensor)
    _finish(writer)


def _split_name(pre_tokenizer: dict[str, Any] | None) -> str:
    """llama.cpp's name of the rule by which text is cut before byte-pair encoding."""
    parts = (pre_tokenizer or {}).get("pretokenizers", [pre_tokenizer] if pre_tokenizer else [])
    for part in parts:
        if part["type"] == "Split":
            pattern = part["pattern"].get("Regex")
            if pattern == _QWEN2_SPLIT:
                return "qwen2"
            if pattern == _LLAMA3_SPLIT:
                return "llama-bpe"
            raise _unsupported("a tokenizer with this split rule", pattern, "the rules of Qwen2/Qwen3, Llama 3, GPT-2")
        if part["type"] == "ByteLevel" and part.get("use_regex", True):
            return "gpt-2"
    raise _unsupported("a tokenizer that does not split text first", pre_tokenizer, "byte-level BPE")


def normalises_to_nfc(model_path: Path) -> bool:
    """The tokenizer composes letters first (NFC), which llama.cpp does not."""
    normalizer: Any = _read_json(model_path / "tokenizer.json").get("normalizer")
    return bool(normalizer) and normalizer.get("type") == "NFC"


def _add_tokenizer(writer: GGUFWriter, folder: Path, vocab_size: int) -> None:
    tokenizer: dict[str, Any] = _read_json(folder / "tokenizer.json")
    settings: dict[str, Any] = _read_json(folder / "tokenizer_config.json")
    model = tokenizer["model"]
    if model["type"] != "BPE":
        raise _unsupported("a tokenizer of this kind", model["type"], "byte-level BPE")
    tokens = {index: text for text, index in model["vocab"].items()}
    added = {entry["id"]: entry for entry in tokenizer.get("added_tokens", [])}
    texts, types = [], []
    for index in range(vocab_size):
        if index in added:
            texts.append(added[index]["content"])
            types.append(TokenType.CONTROL if added[index]["special"] else TokenType.USER_DEFINED)
        elif index in tokens:
            texts.append(tokens[index])
            types.append(TokenType.NORMAL)
        else:
            texts.append(f"[PAD{index}]")
            types.append(TokenType.UNUSED)
    ids = {text: index for index, text in enumerate(texts)}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_split_name(tokenizer.get("pre_tokenizer")))
    writer.add_token_list(texts)
    writer.add_token_types(types)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]])
    end_of_turn = _token_text(settings.get("eos_token"))
    if end_of_turn is None or end_of_turn not in ids:
        raise _unsupported("a tokenizer without an end token", end_of_turn, "tokenizer_config.json with eos_token")
    writer.add_eos_token_id(ids[end_of_turn])
    padding = _token_text(settings.get("pad_token"))
    if padding is not None and padding in ids:
        writer.add_pad_token_id(ids[padding])
    writer.add_add_bos_token(bool(settings.get("add_bos_token", False)))
    template = folder / "chat_template.jinja"
    text = template.read_text(encoding="utf-8") if template.is_file() else settings.get("chat_template")
    if not isinstance(text, str):
        raise _unsupported("a model without a chat template", folder, "chat_template.jinja or tokenizer_config.json")
    # The marks say which tokens training may learn from; they print nothing, and llama.cpp does not know them.
    writer.add_chat_template(
        re.sub(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}", r"{%\1 if true \2%}{%\1 endif \2%}", text)
    )


def _token_text(token: object) -> str | None:
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None


_LORA_NAME = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight$")


def _write_adapter(folder: Path, target: Path) -> None:
    config: dict[str, Any] = _read_json(folder / "adapter_config.json")
    for option in ("use_dora", "modules_to_save", "alpha_pattern", "trainable_token_indices", "lora_bias"):
        if config.get(option):
            raise _unsupported(f"an adapter with {option}", config[option], "plain LoRA and rsLoRA")
    rank, alpha = int(config["r"]), float(config["lora_alpha"])
    if config.get("use_rslora"):
        if config.get("rank_pattern"):
            raise _unsupported("rsLoRA with ranks by module", config["rank_pattern"], "one rank")
        alpha *= math.sqrt(rank)  # llama.cpp scales by alpha / r, rsLoRA means alpha / sqrt(r)
    writer = GGUFWriter(target, ARCHITECTURE)
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    tensors = list(read_safetensors(folder / _WEIGHTS_OF_ADAPTER))
    layers = 1 + max((int(found[1]) for t in tensors if (found := re.search(r"\.layers\.(\d+)\.", t.name))), default=0)
    names = get_tensor_name_map(MODEL_ARCH.QWEN3, layers)
    for tensor in tensors:
        found = _LORA_NAME.match(tensor.name)
        name = found and names.get_name(f"{found['module']}.weight", try_suffixes=(".weight",))
        if not found or not name:
            raise _unsupported("an adapter with this tensor", tensor.name, "lora_A and lora_B of a Qwen3 model")
        writer.add_tensor(f"{name}.lora_{found['side'].lower()}", np.ascontiguousarray(_as_float32(tensor)))
    _finish(writer)
