"""Looking a base model up, and what is found out about it before a GPU is taken."""

import json
import struct

import pytest

from contracts.errors import InvalidRequestError
from training.base_model import find_base_model
from training.safetensors_files import sha256_of_weights, tensors_of


def write_safetensors(path, tensors):
    """A float32 safetensors file of {name: (shape, bytes)}."""
    header, offset = {}, 0
    for name, (shape, content) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(content for _, content in tensors.values()))


@pytest.fixture
def roots(tmp_path):
    folder = tmp_path / "models" / "Qwen" / "Tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    tensors = {
        "model.embed_tokens.weight": ([10, 4], bytes(160)),
        "model.layers.0.self_attn.q_proj.weight": ([8, 4], bytes(128)),
        "model.norm.weight": ([4], bytes(16)),
    }
    write_safetensors(folder / "model.safetensors", tensors)
    return [tmp_path / "models", tmp_path / "absent"]


def test_a_model_is_found_by_name_and_by_absolute_path(roots):
    folder = roots[0] / "Qwen" / "Tiny"
    assert find_base_model("Qwen/Tiny", roots) == folder
    assert find_base_model(str(folder), roots) == folder


def test_an_unknown_name_is_answered_with_the_models_there_are(roots):
    with pytest.raises(InvalidRequestError) as caught:
        find_base_model("Qwen/Tyni", roots)
    assert caught.value.allowed == "Qwen/Tiny"


def test_a_path_that_climbs_is_refused(roots):
    with pytest.raises(InvalidRequestError, match="must not climb"):
        find_base_model("Qwen/../Qwen/Tiny", roots)


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_is_not_whole_names_what_is_missing(roots, missing):
    (roots[0] / "Qwen" / "Tiny" / missing).unlink()
    with pytest.raises(InvalidRequestError) as caught:
        find_base_model("Qwen/Tiny", roots)
    assert missing.replace("model.", "*.") in caught.value.next_step


def test_equal_weights_have_equal_digests_however_they_are_cut_into_files(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    a, b = ([1], b"\1\2\3\4"), ([1], b"\5\6\7\x08")
    write_safetensors(one / "model.safetensors", {"b": b, "a": a})
    write_safetensors(two / "model-1.safetensors", {"a": a})
    write_safetensors(two / "model-2.safetensors", {"b": b})
    assert [tensor.name for tensor in tensors_of(one)] == ["a", "b"]
    assert sha256_of_weights(one) == sha256_of_weights(two)
    write_safetensors(two / "model-2.safetensors", {"b": ([1], b"\5\6\7\x09")})
    assert sha256_of_weights(one) != sha256_of_weights(two)
