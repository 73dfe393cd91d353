"""A batch without padding teaches what its samples teach in padded rows."""

from types import SimpleNamespace

import pytest

from tests.training.tiny_model import conversations, make_base_model
from training.conversations import IGNORED, tokenize_rows, training_template
from training.packing import make_collator, pack_rows, samples_of
from training.recipe import load_recipe
from training.sample_attention import (
    BY_SAMPLE,
    layout_of,
    learnt_positions_only,
    register_attention,
    takes_samples_apart,
)

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT asks transformers by its old name
slow = pytest.mark.slow
QWEN3 = SimpleNamespace(model_type="qwen3", layer_types=["full_attention", "full_attention"])


@pytest.mark.parametrize(
    ("config", "recipe", "taken"),
    [
        (QWEN3, {}, True),
        (QWEN3, {"packing": True}, True),
        (SimpleNamespace(model_type="llama"), {}, True),
        (SimpleNamespace(model_type="qwen2", layer_types=["full_attention", "sliding_attention"]), {}, False),
        (SimpleNamespace(model_type="mistral"), {}, False),
        (SimpleNamespace(model_type="gemma2"), {}, False),
        (SimpleNamespace(model_type="qwen3_moe"), {}, False),
        (QWEN3, {"objective": "dpo"}, False),
        (QWEN3, {"sharding": "fsdp2"}, False),
        (QWEN3, {"sharding": "zero2"}, False),
    ],
)
def test_only_models_and_runs_known_to_be_safe_are_trained_so(config, recipe, taken):
    assert takes_samples_apart(config, load_recipe("demo-full").model_copy(update=recipe)) is taken


@slow
def test_samples_lie_under_each_other_with_at_most_half_of_the_places_empty():
    import torch

    lengths = [3, 1, 8, 5, 2, 4]
    layout = layout_of(torch.cat([torch.arange(length) for length in lengths])[None])
    assert layout.shapes == [(2, 8), (2, 4), (1, 2), (1, 1)]
    assert len(layout.tokens) == 27
    assert torch.equal(layout.tokens[layout.slots], torch.arange(sum(lengths)))
    # the sample of eight tokens, then that of five and three empty places, which repeat the first token
    assert layout.tokens[:16].tolist() == [*range(4, 12), *range(12, 17), 0, 0, 0]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    from datasets import Dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(make_base_model(tmp_path_factory.mktemp("base") / "tiny"))
    several = conversations(24)
    several[5] = [several[5][0], {"role": "assistant", "content": "네. " * 40}]
    rows = tokenize_rows(tokenizer, training_template(tokenizer), several, 128)
    return Dataset.from_dict({"input_ids": rows.input_ids, "labels": rows.labels}), tokenizer


def network(family: str, attention: str, tokenizer):
    """Three layers, so that a leak of the first would show in the others; the same numbers each time."""
    from transformers import AutoConfig, AutoModelForCausalLM, set_seed

    register_attention()
    numbers = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 96, "max_position_embeddings": 512,
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    set_seed(0)
    config = AutoConfig.for_model(family, **numbers)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention)


def with_adapter(model):
    from peft import LoraConfig, get_peft_model
    from transformers import set_seed

    set_seed(0)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:  # zeros at first, which would leave the A side without a gradient
            parameter.data.normal_(std=0.05)
    return adapted


def loss_and_gradients(model, batch, learnt):
    import torch

    found = model(**batch, use_cache=False, num_items_in_batch=learnt)
    found.loss.backward()
    moved = {name: part.grad for name, part in model.named_parameters() if part.requires_grad}
    assert all(gradient is not None and torch.count_nonzero(gradient) for gradient in moved.values())
    return found, {name: gradient.clone() for name, gradient in moved.items()}


@slow
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("method", ["full", "lora", "checkpointing"])
@pytest.mark.parametrize("family", ["qwen3", "qwen2", "llama"])
def test_loss_and_gradients_are_those_of_padded_rows(samples, family, method, packed):
    import torch

    rows, tokenizer = samples
    if packed:
        rows = pack_rows(rows, 128)
    found = []
    for attention in ("sdpa", BY_SAMPLE):
        model = network(family, attention, tokenizer)
        model = with_adapter(model) if method == "lora" else model
        if method == "checkpointing":
            model.activation_checkpointing_enable({"use_reentrant": False})
        model.train()
        batch = make_collator(tokenizer.pad_token_id, in_one_row=attention == BY_SAMPLE)(list(rows))
        learnt = int((batch["labels"] != IGNORED).sum())
        if attention == BY_SAMPLE:
            batch = learnt_positions_only(batch)
        found.append((*loss_and_gradients(model, batch, learnt), learnt))
    (plain, expected, learnt), (here, gradients, learnt_here) = found
    assert learnt_here == learnt
    # nothing is computed for padding or for what is not learnt
    assert here.logits.shape[:2] == (1, learnt)
    assert here.loss.item() == pytest.approx(plain.loss.item(), rel=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)


@slow
def test_the_comparison_would_notice_samples_that_see_each_other(samples):
    rows, tokenizer = samples
    model = network("qwen3", BY_SAMPLE, tokenizer)
    batch = learnt_positions_only(make_collator(tokenizer.pad_token_id, in_one_row=True)(list(rows)))
    apart = model(**batch, use_cache=False).loss.item()
    together = model(**{**batch, "layout": None}, use_cache=False).loss.item()
    assert together != pytest.approx(apart, rel=1e-4)


@slow
@pytest.mark.parametrize("in_one_row", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_a_batch_comes_apart_into_its_samples(samples, in_one_row, packed):
    rows, tokenizer = samples
    batch = make_collator(tokenizer.pad_token_id, in_one_row=in_one_row)(list(pack_rows(rows, 128) if packed else rows))
    found = sorted((one["input_ids"][0].tolist(), one["labels"][0].tolist()) for one in samples_of(batch))
    assert found == sorted((row["input_ids"], row["labels"]) for row in rows)
