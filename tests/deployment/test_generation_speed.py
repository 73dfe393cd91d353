"""Tokens a second of two models, asked in turns on real servers."""

import asyncio

import pytest

from deployment.ephemeral import running_server
from deployment.generation_speed import ANSWER_TOKENS, ROUNDS, ROUNDS_APART, _shares, ask_for, compare_speed
from deployment.specification import ServerSpec
from tests.model_fixtures import settings_for
from tests.tiny_model import TEXTS, make_tiny_model

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of 16 wide layers, and one of two."""
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    folder = tmp_path_factory.mktemp("models")
    small = make_tiny_model(folder / "small")
    config = Qwen3Config.from_pretrained(small)
    config.num_hidden_layers, config.layer_types, config.intermediate_size = 16, ["full_attention"] * 16, 2048
    Qwen3ForCausalLM(config).save_pretrained(folder / "large")
    AutoTokenizer.from_pretrained(small).save_pretrained(folder / "large")
    return folder / "large", small


def specs(models) -> tuple[ServerSpec, ServerSpec]:
    large, small = models
    return (
        ServerSpec(model_path=str(large), served_model_name="parent"),
        ServerSpec(model_path=str(small), served_model_name="compressed"),
    )


@pytest.mark.slow
def test_the_smaller_model_writes_more_tokens_a_second_in_every_round(models, tmp_path):
    seen = []
    found = compare_speed(
        *specs(models),
        TEXTS,
        settings_for("embedded"),
        tmp_path,
        seconds=0.3,
        concurrencies=(1, 2),
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert found.backend.value == "embedded"
    assert (found.together, found.rounds, found.answer_tokens) == (True, ROUNDS, ANSWER_TOKENS)
    assert [load.concurrency for load in found.loads] == [1, 2]
    for load in found.loads:
        assert load.compressed_tokens_per_second > load.parent_tokens_per_second > 0
        assert 1 < load.lowest_ratio <= load.ratio <= load.highest_ratio
    assert found.parent_memory_mb is not None
    assert found.compressed_memory_mb is not None
    assert found.parent_memory_mb > found.compressed_memory_mb > 10
    assert seen[-1] == (2 * ROUNDS, 2 * ROUNDS)


@pytest.mark.slow
def test_every_token_of_every_user_counts(models, tmp_path):
    _, small = specs(models)
    with running_server(small, settings_for("embedded"), tmp_path / "server.log") as endpoint:
        alone = asyncio.run(ask_for(endpoint.base_url, "compressed", TEXTS, 1, 0))
        eight = asyncio.run(ask_for(endpoint.base_url, "compressed", TEXTS, 8, 0))
    assert (alone.tokens, eight.tokens) == (ANSWER_TOKENS, 8 * ANSWER_TOKENS)
    assert eight.tokens_per_second == eight.tokens / eight.seconds


@pytest.mark.slow
def test_models_that_one_card_does_not_hold_are_measured_one_after_the_other(models, tmp_path, monkeypatch):
    from deployment import generation_speed

    monkeypatch.setattr(generation_speed, "_shares", lambda specs: None)
    found = compare_speed(*specs(models), TEXTS, settings_for("embedded"), tmp_path, seconds=0.1, concurrencies=(1,))
    assert (found.together, found.rounds) == (False, ROUNDS_APART)
    assert found.loads[0].ratio > 1
    assert found.parent_memory_mb is not None


class Card:
    """The driver's part that is asked, of one card."""

    def __init__(self, total: int) -> None:
        self.total = total

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, _handle: int) -> "Card":
        return self


@pytest.mark.parametrize(("total", "fits"), [(1000, True), (300, False)])
def test_a_card_is_shared_by_what_the_models_need(tmp_path, monkeypatch, total, fits):
    from contextlib import nullcontext

    from deployment import generation_speed

    monkeypatch.setattr(generation_speed, "_driver", lambda: nullcontext(Card(total)))
    made = []
    for name, size in (("parent", 200), ("compressed", 100)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(bytes(size))
        made.append(ServerSpec(model_path=str(tmp_path / name), served_model_name=name, gpu_ids=[0]))
    shares = _shares(made)
    if not fits:
        assert shares is None
        return
    assert shares is not None
    assert shares[0] == pytest.approx((250 + 262.5) / 1000)
    assert shares[1] == pytest.approx((125 + 262.5) / 1000)
    assert sum(share for share in shares if share is not None) == pytest.approx(0.9)


def test_without_cards_nothing_is_shared(models):
    assert _shares(specs(models)) == [None, None]
