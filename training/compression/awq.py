"""AWQ (Lin et al., 2023): before the rounding, channels that meet large activations are scaled up, and the layer before
them down by as much.

What feeds what is the same in every model that the platform trains: a norm the projections after it, the values the
output projection (where there are as many value heads as query heads), the feed-forward layer's upper part its lower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training.compression.rounding import round_to_integers

if TYPE_CHECKING:
    import torch

    from training.compression.calibration import CalibratedLayer

STEPS = 20
"""Exponents tried between 0 (no scaling) and 1: the paper's grid."""
FED_BY = {
    "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attn.v_proj": ("self_attn.o_proj",),
    "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
    "mlp.up_proj": ("mlp.down_proj",),
}
"""The part before, and those whose inputs are its outputs."""


def scale_channels(layer: CalibratedLayer, bits: int, group_size: int) -> None:
    """Scale the layer's channels, in place, so that rounding loses least; what the layer computes stays the same."""
    import torch

    parts = dict(layer.module.named_modules())
    for before, after in FED_BY.items():
        if before not in parts or any(name not in layer.linears for name in after):
            continue
        feeding = parts[before]
        fed = [layer.linears[name] for name in after]
        statistics = layer.statistics[after[0]]
        if feeding.weight.shape[0] != fed[0].in_features:
            continue  # grouped-query attention: a value head feeds several places
        scales = _best_scales(fed, statistics.means, statistics.gram, bits, group_size)
        with torch.no_grad():
            feeding.weight.copy_(
                feeding.weight / (scales if feeding.weight.dim() == 1 else scales[:, None]).to(feeding.weight.dtype)
            )
            if getattr(feeding, "bias", None) is not None:
                feeding.bias.copy_(feeding.bias / scales.to(feeding.bias.dtype))
            for linear in fed:
                linear.weight.copy_(linear.weight * scales.to(linear.weight.dtype))


def _best_scales(
    fed: list[Any], means_i: torch.Tensor, gram_ii: torch.Tensor | None, bits: int, group_size: int
) -> torch.Tensor:
    """Of means^exponent, the scales with the least squared error of the outputs: tr(Δ G Δᵀ) over all parts."""
    import torch

    assert gram_ii is not None, "the layer was given something"
    best, least = torch.ones_like(means_i), float("inf")
    for step in range(STEPS):
        scales = means_i.clamp_min(1e-4) ** (step / STEPS)
        scales = scales / (scales.max() * scales.min()).sqrt()
        error = 0.0
        for linear in fed:
            weight = linear.weight.float()
            difference = round_to_integers(weight * scales, bits, group_size).weight() / scales - weight
            error += float(((difference @ gram_ii) * difference).sum())
        if error < least:
            best, least = scales, error
    return best
