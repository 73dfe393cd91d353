"""GPTQ (Frantar et al., 2022): round one column after the other, each error made up for by the columns after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.compression.rounding import Rounded, scales_of

if TYPE_CHECKING:
    import torch

DAMPING = 0.01
"""Share of the mean diagonal that is added to it, so that the inverse exists: the paper's."""


def round_with_gptq(weight_oi: torch.Tensor, gram_ii: torch.Tensor, bits: int, group_size: int) -> Rounded:
    """Codes whose product with inputs of this Gram matrix is nearest to the weight's own.

    Columns are taken in their order; a group's scales are set when its first column is reached, from what the weights
    have become by then.
    """
    import torch

    weight = weight_oi.float().clone()
    outputs, inputs = weight.shape
    limit = 2 ** (bits - 1) - 1
    hessian = gram_ii.float().clone()
    unused = hessian.diagonal() == 0
    hessian.diagonal()[unused] = 1
    weight[:, unused] = 0
    hessian.diagonal().add_(DAMPING * hessian.diagonal().mean())
    # Cholesky factor of the inverse: its rows say how a column's error is spread over those after it
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True)
    codes = torch.zeros(outputs, inputs, dtype=torch.int8, device=weight.device)
    scales = torch.zeros(outputs, inputs // group_size, device=weight.device)
    for first in range(0, inputs, group_size):
        end = first + group_size
        scale = scales_of(weight[:, first:end], bits, None)
        scales[:, first // group_size] = scale[:, 0]
        errors = torch.zeros(outputs, group_size, device=weight.device)
        for column in range(first, end):
            code = (weight[:, column] / scale[:, 0]).round().clamp(-limit, limit)
            codes[:, column] = code.to(torch.int8)
            error = (weight[:, column] - code * scale[:, 0]) / inverse[column, column]
            weight[:, column:end] -= error[:, None] * inverse[column, column:end]
            errors[:, column - first] = error
        weight[:, end:] -= errors @ inverse[first:end, end:]
    return Rounded(codes, scales)
