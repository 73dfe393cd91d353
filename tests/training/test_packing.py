"""Packed rows: what a sample is answered does not depend on its neighbours.

tests/training/test_finetuning.py has the same for whole runs.
"""

import pytest

from tests.training.tiny_model import conversations, make_base_model
from training.conversations import IGNORED, tokenize_rows, training_template
from training.packing import make_collator, pack_rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two layers, so that a leak of the first would show in the second, and its tokenizer."""
    from transformers import AutoConfig, AutoTokenizer, Qwen3ForCausalLM, set_seed

    folder = make_base_model(tmp_path_factory.mktemp("base") / "tiny")
    config = AutoConfig.from_pretrained(folder)
    config.num_hidden_layers = 2
    config.layer_types = ["full_attention"] * 2
    set_seed(0)
    return Qwen3ForCausalLM(config).eval(), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def samples(model):
    from datasets import Dataset

    tokenizer = model[1]
    rows = tokenize_rows(tokenizer, training_template(tokenizer), conversations(24), 128)
    return Dataset.from_dict({"input_ids": rows.input_ids, "labels": rows.labels})


@pytest.fixture(scope="module")
def packed(samples):
    return pack_rows(samples, 128)


def test_every_sample_lies_whole_in_one_row(samples, packed):
    found = []
    for row in packed:
        assert len(row["input_ids"]) <= 128
        assert sum(row["seq_lengths"]) == len(row["input_ids"]) == len(row["labels"])
        start = 0
        for length in row["seq_lengths"]:
            found.append((row["input_ids"][start : start + length], row["labels"][start : start + length]))
            start += length
    assert len(packed) < len(samples) / 2
    assert sorted(found) == sorted((row["input_ids"], row["labels"]) for row in samples)


def test_a_packed_sample_is_answered_as_if_it_stood_alone(model, packed):
    import torch

    network, tokenizer = model
    batch = make_collator(tokenizer.pad_token_id)([packed[0], packed[len(packed) - 1]])
    assert "attention_mask" not in batch
    with torch.no_grad():
        together = network(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
        for number, row in enumerate((packed[0], packed[len(packed) - 1])):
            start = 0
            for length in row["seq_lengths"]:
                alone = network(input_ids=torch.tensor([row["input_ids"][start : start + length]])).logits[0]
                torch.testing.assert_close(together[number, start : start + length], alone, atol=2e-5, rtol=1e-4)
                start += length
            assert len(row["seq_lengths"]) > 1


def test_a_mask_that_lets_samples_see_each_other_would_be_noticed(model, packed):
    import torch

    network, tokenizer = model
    batch = make_collator(tokenizer.pad_token_id)([packed[0]])
    length = packed[0]["seq_lengths"][0]
    with torch.no_grad():
        apart = network(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
        mixed = network(input_ids=batch["input_ids"], use_cache=False).logits
    assert torch.allclose(apart[0, :length], mixed[0, :length], atol=2e-5)
    assert not torch.allclose(apart[0, length:], mixed[0, length:], atol=1e-2)


def test_loss_and_gradients_are_those_of_the_same_samples_padded(model, samples, packed):
    import torch

    network, tokenizer = model
    collate = make_collator(tokenizer.pad_token_id)
    found = []
    for rows in (list(samples), list(packed)):
        network.zero_grad()
        batch = collate(rows)
        learnt = int((batch["labels"] != IGNORED).sum())
        loss = network(**batch, use_cache=False, num_items_in_batch=learnt).loss
        loss.backward()
        gradient = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
        found.append((learnt, loss.item(), gradient))
    (tokens, loss, gradient), (packed_tokens, packed_loss, packed_gradient) = found
    assert tokens == packed_tokens
    assert packed_loss == pytest.approx(loss, rel=1e-5)
    assert torch.nn.functional.cosine_similarity(gradient, packed_gradient, dim=0).item() > 0.99999
    torch.testing.assert_close(packed_gradient.norm(), gradient.norm(), rtol=1e-3, atol=0)
