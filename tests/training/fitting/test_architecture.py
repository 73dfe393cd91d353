"""Shapes are read from a model's configuration, and add up to the model's own numbers."""

import json

import pytest

from tests.training.fitting.qwen3 import PUBLISHED_BILLIONS, QWEN3
from training.fitting.architecture import architecture_of, read_architecture


@pytest.mark.parametrize("size", QWEN3)
def test_parameters_of_qwen3_are_the_published_ones(size):
    model = architecture_of(QWEN3[size])
    assert model is not None
    total, without_embeddings = PUBLISHED_BILLIONS[size]
    assert round(model.parameters / 1e9, 1) == total
    assert (model.parameters - model.embedding_parameters) / 1e9 == pytest.approx(without_embeddings, rel=0.01)


def test_eight_billion_are_counted_to_the_last():
    model = architecture_of(QWEN3["8B"])
    assert model is not None
    assert model.parameters == 8_190_735_360


@pytest.mark.parametrize(
    "change",
    [{"hidden_size": None}, {"num_experts": 128}, {"num_hidden_layers": 0}, {"intermediate_size": "large"}],
)
def test_another_kind_of_model_is_not_estimated(change):
    assert architecture_of({**QWEN3["8B"], **change}) is None


def test_a_folder_without_a_readable_configuration_has_no_shapes(tmp_path):
    assert read_architecture(tmp_path) is None
    (tmp_path / "config.json").write_text("[1]")
    assert read_architecture(tmp_path) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["qwen3", "llama", "qwen2"])
def test_the_shapes_add_up_to_what_transformers_builds(kind, tmp_path):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {
        "vocab_size": 300, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 96, "tie_word_embeddings": kind == "qwen2",
    }  # fmt: skip
    config = AutoConfig.for_model(kind, **sizes)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(config)
    model = read_architecture(tmp_path)
    assert model is not None
    assert model.parameters == sum(parameter.numel() for parameter in built.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT 0.21 asks for the old name
def test_an_adapter_has_as_many_numbers_as_peft_makes():
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = {**QWEN3["0.6B"], "num_hidden_layers": 2}
    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(AutoConfig.for_model(**shape))
        adapted = get_peft_model(built, LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    model = architecture_of(shape)
    assert model is not None
    trained = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    assert model.adapter_parameters(16) == trained
