"""How long a training will take: from the speed of earlier jobs, else from its floating-point operations.

Operations a token (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1; Chowdhery et al. 2022,
"PaLM", appendix B, for attention and for what utilisation means): two for each weight on the way forward, two for the
gradient of what went in, two for the gradient of the weight where it is trained.
"""

import math
from collections.abc import Sequence

from contracts.fitting import TimeEstimate
from training.fitting.architecture import Architecture
from training.fitting.memory import TrainingSetup

PEAK_FLOPS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
}
"""Dense bfloat16 operations a second, by what the driver calls the card (the makers' data sheets)."""
UNKNOWN_CARD_FLOPS = 150e12
UTILISATION = 0.30
"""Assumed share of the peak: published runs of this kind reach 0.2 to 0.4 (0.406 the best for an 8B model with LoRA)."""
UTILISATION_FACTOR = 2.0
"""The interval of an estimate without a measurement: half to twice as long."""

CPU_FLOPS = 30e9
"""One core, float32, small matrices: the demo's steps ran at 34e9."""
CPU_FACTOR = 4.0

MEASURED_FACTOR = 1.25
"""The interval around earlier jobs of the same model and method: their samples and batches were others."""
START_SECONDS = 60.0
"""Reading the model and the rows, before the first step."""


def flops_per_token(model: Architecture, setup: TrainingSetup) -> float:
    """Floating-point operations for each trained token."""
    weights = model.linear_parameters + model.vocabulary * model.hidden
    forward = 2.0 * weights + 2.0 * setup.sequence_tokens * model.attention_width * model.layers  # causal: half
    passes = 3.0 if setup.trains_all else 2.0
    return forward * (passes + (1.0 if setup.checkpointing else 0.0))


def estimate_time(
    model: Architecture,
    setup: TrainingSetup,
    *,
    rows: int,
    tokens: int,
    epochs: float,
    earlier_speeds: Sequence[float],
    card: str | None,
) -> TimeEstimate:
    """Duration of `epochs` over `rows` samples of `tokens` in all.

    `earlier_speeds` are tokens a second of earlier jobs of this model, method and number of devices.
    """
    trained = round(tokens * epochs)
    steps = math.ceil(math.ceil(rows / (setup.batch_size * setup.devices)) / setup.accumulation * epochs)
    if earlier_speeds:
        ordered = sorted(earlier_speeds)
        speed = ordered[len(ordered) // 2]
        slowest, fastest = ordered[0] / MEASURED_FACTOR, ordered[-1] * MEASURED_FACTOR
    else:
        peak = CPU_FLOPS if not setup.on_gpu else UTILISATION * _peak(card)
        factor = UTILISATION_FACTOR if setup.on_gpu else CPU_FACTOR
        speed = peak * setup.devices / flops_per_token(model, setup)
        slowest, fastest = speed / factor, speed * factor
    return TimeEstimate(
        tokens=trained,
        steps=max(1, steps),
        tokens_per_second=speed,
        seconds=START_SECONDS + trained / speed,
        low_seconds=trained / fastest,
        high_seconds=START_SECONDS + trained / slowest,
        source="measured" if earlier_speeds else "model",
        based_on=len(earlier_speeds),
    )


def _peak(card: str | None) -> float:
    return next((flops for name, flops in PEAK_FLOPS.items() if card and name in card), UNKNOWN_CARD_FLOPS)
