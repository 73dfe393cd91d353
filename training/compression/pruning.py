"""Weights and neurons that are missed least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from training.compression.calibration import CalibratedLayer

NEURON_MULTIPLE = 32
"""Neurons left are a multiple of it: kernels want such sizes."""


def zero_weights(weight_oi: torch.Tensor, norms_i: torch.Tensor | None, sparsity: float, *, two_of_four: bool) -> Any:
    """The weight with the share `sparsity` of each row at zero: the least by |w|, or by |w| · ‖x‖ (Wanda, Sun 2023).

    With `two_of_four`, two of each four weights that stand side by side.
    """
    scores = weight_oi.float().abs()
    if norms_i is not None:
        scores = scores * norms_i
    if two_of_four:
        outputs, inputs = weight_oi.shape
        grouped = scores.reshape(outputs, inputs // 4, 4)
        kept = grouped.argsort(2).argsort(2) >= 2
        return weight_oi * kept.reshape(outputs, inputs)
    dropped = int(weight_oi.shape[1] * sparsity)
    kept = scores.argsort(1).argsort(1) >= dropped
    return weight_oi * kept


def neurons_to_keep(width: int, sparsity: float) -> int:
    """How many neurons of a feed-forward layer stay: a multiple of 32, one multiple at least."""
    return max(NEURON_MULTIPLE, round(width * (1 - sparsity) / NEURON_MULTIPLE) * NEURON_MULTIPLE)


def take_out_neurons(layer: CalibratedLayer, keep: int) -> None:
    """Keep the neurons whose share in the layer's output is largest: ‖x‖ of the neuron times ‖column of down_proj‖."""
    import torch

    down, up, gate = (layer.linears[f"mlp.{name}_proj"] for name in ("down", "up", "gate"))
    scores = layer.statistics["mlp.down_proj"].norms * down.weight.float().norm(dim=0)
    kept = scores.topk(keep).indices.sort().values
    with torch.no_grad():
        for linear in (up, gate):
            linear.weight = torch.nn.Parameter(linear.weight[kept].clone())
            linear.out_features = keep
        down.weight = torch.nn.Parameter(down.weight[:, kept].clone())
        down.in_features = keep
