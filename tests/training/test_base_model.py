"""Looking a base model up, and what is found out about it before a GPU is taken."""

import json
import struct

import pytest

from contracts.enums import Method
from contracts.errors import CapacityError, InvalidRequestError
from training.base_model import check_disk, checkpoint_bytes, find_base_model, trainable_parameters
from training.recipe import load_recipe
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


def test_trained_numbers_are_counted_from_the_shapes_in_the_files(roots):
    folder = roots[0] / "Qwen" / "Tiny"
    lora = load_recipe("demo-lora").model_copy(update={"lora_rank": 2})
    full = load_recipe("demo-full")
    assert trainable_parameters(folder, lora) == 2 * (8 + 4)
    assert trainable_parameters(folder, full) == 40 + 32 + 4
    assert checkpoint_bytes(folder, full) == 76 * 12
    assert full.method is Method.FULL


def test_a_disk_that_is_too_small_is_refused_before_the_job(roots, tmp_path):
    with pytest.raises(CapacityError, match="too small"):
        check_disk(tmp_path, roots[0] / "Qwen" / "Tiny", load_recipe("demo-lora"), 3, min_free_gb=1e9)


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
