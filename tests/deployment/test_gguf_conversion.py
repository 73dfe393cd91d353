"""Models and adapters as GGUF files."""

import json
import shutil

import numpy as np
import pytest

from contracts.errors import InvalidRequestError
from deployment.gguf_conversion import converted_adapter, converted_model
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.slow


def tensors_of(path):
    from gguf import GGUFReader

    return {tensor.name: tensor for tensor in GGUFReader(path).tensors}


def with_config(folder, target, file: str, **changes: object):
    shutil.copytree(folder, target)
    path = target / file
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    return target


def test_weights_of_16_bits_are_kept_bit_by_bit_and_norms_become_single_precision(tmp_path):
    import torch
    from gguf import GGMLQuantizationType
    from transformers import AutoModelForCausalLM

    folder = make_tiny_model(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tensors = tensors_of(converted_model(folder, tmp_path / "cache"))
    query = tensors["blk.1.attn_q.weight"]
    assert query.tensor_type is GGMLQuantizationType.BF16
    expected = model.model.layers[1].self_attn.q_proj.weight.detach().view(torch.uint16).numpy()
    assert np.array_equal(np.asarray(query.data).view(np.uint16).reshape(expected.shape), expected)
    norm = tensors["blk.0.attn_q_norm.weight"]
    assert norm.tensor_type is GGMLQuantizationType.F32
    assert np.array_equal(norm.data, model.model.layers[0].self_attn.q_norm.weight.detach().float().numpy())


def test_a_conversion_is_done_once(tiny_models, tmp_path):
    first = converted_model(tiny_models.base, tmp_path)
    written = first.stat().st_mtime_ns
    assert converted_model(tiny_models.base, tmp_path) == first
    assert first.stat().st_mtime_ns == written
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "llama"}, "architecture"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}}, "rotary"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantised"),
        ({"use_sliding_window": True}, "sliding window"),
    ],
)
def test_a_model_that_would_be_served_wrongly_is_refused(tiny_models, tmp_path, changes, said):
    folder = with_config(tiny_models.base, tmp_path / "model", "config.json", **changes)
    with pytest.raises(InvalidRequestError, match=said):
        converted_model(folder, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("option", ["use_dora", "modules_to_save", "alpha_pattern"])
def test_an_adapter_that_would_be_served_wrongly_is_refused(tiny_models, tmp_path, option):
    folder = with_config(tiny_models.adapter, tmp_path / "adapter", "adapter_config.json", **{option: {"x": 1}})
    with pytest.raises(InvalidRequestError, match=option):
        converted_adapter(folder, tmp_path / "cache")


def test_rslora_is_scaled_by_the_root_of_its_rank(tiny_models, tmp_path):
    from gguf import GGUFReader

    folder = with_config(tiny_models.adapter, tmp_path / "adapter", "adapter_config.json", use_rslora=True)
    field = GGUFReader(converted_adapter(folder, tmp_path / "cache")).get_field("adapter.lora.alpha")
    assert field is not None
    assert float(field.contents()) == pytest.approx(16 * 8**0.5)


def test_a_tokenizer_with_an_unknown_split_is_refused(tiny_models, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_models.base, folder)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": r"\s+"}
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(InvalidRequestError, match="split rule"):
        converted_model(folder, tmp_path / "cache")
