"""Time: from earlier jobs where there are any, else from operations."""

import pytest

from tests.training.fitting.test_memory import model, setup
from training.fitting.duration import START_SECONDS, estimate_time, flops_per_token


def estimate(**changes):
    values = {"rows": 1000, "tokens": 1_000_000, "epochs": 2.0, "earlier_speeds": [], "card": "NVIDIA H100 80GB HBM3"}
    return estimate_time(model(), setup(batch_size=4, accumulation=8), **{**values, **changes})


def test_operations_a_token_are_six_for_each_weight_and_eight_with_recomputing():
    weights = model().linear_parameters + 151_936 * 4096
    attention = 2 * 4096 * 4096 * 36
    assert flops_per_token(model(), setup("full", checkpointing=False)) == 3 * (2 * weights + attention)
    assert flops_per_token(model(), setup("full")) == 4 * (2 * weights + attention)
    assert flops_per_token(model(), setup("lora", checkpointing=False)) == 2 * (2 * weights + attention)


def test_earlier_jobs_say_more_than_operations():
    found = estimate(earlier_speeds=[9_000.0, 10_000.0, 11_000.0])
    assert (found.source, found.based_on, found.tokens, found.steps) == ("measured", 3, 2_000_000, 63)
    assert found.seconds == pytest.approx(200 + START_SECONDS)
    assert found.low_seconds < found.seconds < found.high_seconds


def test_without_a_measurement_the_interval_is_wide_and_says_why():
    found = estimate()
    assert (found.source, found.based_on) == ("model", 0)
    assert found.high_seconds > 3 * found.low_seconds


def test_two_cards_take_half_as_long():
    one = estimate_time(model(), setup(), rows=8, tokens=10**7, epochs=1, earlier_speeds=[], card="NVIDIA H100")
    two = estimate_time(
        model(), setup(devices=2), rows=8, tokens=10**7, epochs=1, earlier_speeds=[], card="NVIDIA H100"
    )
    assert two.tokens_per_second == pytest.approx(2 * one.tokens_per_second)
