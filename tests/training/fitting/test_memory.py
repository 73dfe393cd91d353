"""The sum of a run's memory: parts that can be computed by hand, and what makes it smaller."""

from dataclasses import replace

import pytest

from contracts.enums import Method
from contracts.fitting import MemoryPart
from tests.training.fitting.qwen3 import QWEN3
from training.fitting import memory
from training.fitting.architecture import architecture_of
from training.fitting.memory import TrainingSetup, estimate_memory, nf4_bytes

GB = 1_000_000_000


def model(size="8B"):
    found = architecture_of(QWEN3[size])
    assert found is not None
    return found


def setup(method="lora", **changes):
    values = TrainingSetup(
        method=Method(method), on_gpu=True, weight_bytes=2, batch_size=1, accumulation=1, sequence_tokens=4096,
        lora_rank=16, checkpointing=True, optimizer="adamw_torch_fused", autocast=True,
    )  # fmt: skip
    return replace(values, **changes)


def total_gb(wanted, size="8B"):
    return estimate_memory(model(size), wanted).total_bytes / GB


def test_weights_gradients_and_moments_are_those_of_the_arithmetic():
    parts = estimate_memory(model(), setup("full", accumulation=2)).parts
    count = 8_190_735_360
    assert parts[MemoryPart.WEIGHTS] == 2 * count
    assert parts[MemoryPart.GRADIENTS] == 2 * count
    assert parts[MemoryPart.OPTIMIZER] == 2 * 2 * count


def test_four_bit_weights_carry_a_hundredth_of_a_byte_of_constants():
    # Dettmers et al. 2023: 0.127 bits a weight with double quantisation
    assert (nf4_bytes(10**9) * 8 / 10**9) - 4 == pytest.approx(0.127, abs=0.001)


def test_eight_billion_weights_in_four_bits_take_six_gigabytes():
    # 6.95 billion in 4.127 bits, 1.24 billion of embeddings in 16
    weights = estimate_memory(model(), setup("qlora")).parts[MemoryPart.WEIGHTS]
    assert weights / GB == pytest.approx(6.95 * 4.127 / 8 + 1.24 * 2 + 43.6e6 * 4 / GB, rel=0.01)


def test_only_methods_that_fit_one_card_of_80_gb_are_said_to():
    assert total_gb(setup("lora")) < 80
    assert total_gb(setup("qlora"), "32B") < 80
    assert total_gb(setup("full"), "14B") > 80
    assert total_gb(setup("full"), "32B") > 80


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 2},
        {"sequence_tokens": 2048},
        {"method": Method.QLORA},
        {"optimizer": "paged_adamw_8bit"},
        {"sharding": "zero2", "devices": 8},
        {"sharding": "zero3", "devices": 8},
        {"sharding": "fsdp2", "devices": 8},
    ],
)
def test_each_saving_saves(change):
    moves_optimizer = {"optimizer", "sharding"} & set(change)
    base = setup("full" if moves_optimizer else "lora", batch_size=4)
    assert estimate_memory(model(), replace(base, **change)).total_bytes < estimate_memory(model(), base).total_bytes


def test_recomputing_saves_most_of_the_activations():
    kept = estimate_memory(model(), setup(checkpointing=False)).parts[MemoryPart.ACTIVATIONS]
    recomputed = estimate_memory(model(), setup(checkpointing=True)).parts[MemoryPart.ACTIVATIONS]
    assert recomputed < kept / 8


def test_attention_without_padding_grows_with_the_length_and_not_with_its_square():
    short, long = (
        estimate_memory(model(), setup(sequence_tokens=tokens, checkpointing=False)).parts[MemoryPart.ACTIVATIONS]
        for tokens in (4096, 8192)
    )
    assert long / short == pytest.approx(2, rel=0.01)


def test_the_parts_sum_to_the_total_and_none_is_negative():
    for method in ("full", "lora", "qlora"):
        for devices, sharding in ((1, "none"), (2, "none"), (8, "zero2"), (8, "fsdp2")):
            estimate = estimate_memory(model(), setup(method, devices=devices, sharding=sharding, masked=True))
            assert sum(estimate.parts.values()) == estimate.total_bytes
            assert min(estimate.parts.values()) > 0
            assert estimate.peak in {"loss", "backward", "step"}


def test_whole_logits_on_a_cpu_are_three_float32_copies():
    on_cpu = setup(on_gpu=False, weight_bytes=4, autocast=False, sequence_tokens=512)
    assert estimate_memory(model("0.6B"), on_cpu).parts[MemoryPart.LOGITS] == 3 * 4 * 512 * 151_936


def test_float32_weights_divided_over_eight_take_two_bytes_each_in_every_part():
    # FSDP2: weights, gradients and two moments in float32, an eighth each
    parts = estimate_memory(model(), setup("full", weight_bytes=4, devices=8, sharding="fsdp2", accumulation=2)).parts
    held = parts[MemoryPart.WEIGHTS] + parts[MemoryPart.GRADIENTS] + parts[MemoryPart.OPTIMIZER]
    assert held / 8_190_735_360 == pytest.approx(16 / 8, rel=1e-6)


def test_zero_2_holds_bfloat16_weights_whole_and_the_rest_by_parts():
    parts = estimate_memory(model(), setup("full", weight_bytes=4, devices=8, sharding="zero2", accumulation=2)).parts
    count = 8_190_735_360
    assert parts[MemoryPart.WEIGHTS] == 2 * count
    assert parts[MemoryPart.GRADIENTS] / count == pytest.approx(2 / 8, rel=1e-6)
    assert parts[MemoryPart.OPTIMIZER] / count == pytest.approx(12 / 8, rel=1e-6)


@pytest.mark.slow
def test_moments_in_8_bits_take_what_the_plan_says():
    """bitsandbytes' own state, of a weight with many numbers and of one whose last block is not full."""
    import torch
    from bitsandbytes.optim import AdamW8bit

    weights = [torch.nn.Parameter(torch.randn(size)) for size in (1_000_000, 100_100)]
    optimizer = AdamW8bit(weights)
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    optimizer.step()
    held = sum(
        value.nbytes
        for state in optimizer.state.values()
        for name, value in state.items()
        if isinstance(value, torch.Tensor) and not name.startswith("qmap")  # the tables are shared by all weights
    )
    assert memory._optimizer(1_100_100, setup("full", optimizer="paged_adamw_8bit")) == pytest.approx(held, rel=0.001)
