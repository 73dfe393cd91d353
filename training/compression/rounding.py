"""Grids onto which weights are rounded, and how they are packed: the formats of compressed-tensors.

Shapes: o outputs, i inputs, g groups of inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FP8_LARGEST = 448.0
"""Of E4M3."""
SMALLEST_SCALE = 1e-8
"""A row of zeros has a scale too."""
CODES_PER_WORD = 8
"""4-bit codes in an int32."""


@dataclass(frozen=True, slots=True)
class Rounded:
    """A weight matrix on its grid."""

    codes_oi: torch.Tensor
    """int8, or float8_e4m3fn."""
    scales_og: torch.Tensor
    """float32; one group where a row has one scale."""

    def weight(self) -> torch.Tensor:
        """What the codes stand for, float32."""
        outputs, inputs = self.codes_oi.shape
        groups = self.scales_og.shape[1]
        codes = self.codes_oi.float().reshape(outputs, groups, inputs // groups)
        return (codes * self.scales_og[:, :, None]).reshape(outputs, inputs)


def scales_of(weight_oi: torch.Tensor, bits: int, group_size: int | None) -> torch.Tensor:
    """Scales that reach the largest weight of each group, or of each row."""
    outputs, inputs = weight_oi.shape
    groups = 1 if group_size is None else inputs // group_size
    largest = weight_oi.float().reshape(outputs, groups, inputs // groups).abs().amax(2)
    return (largest / (2 ** (bits - 1) - 1)).clamp_min(SMALLEST_SCALE)


def round_to_integers(weight_oi: torch.Tensor, bits: int, group_size: int | None = None) -> Rounded:
    """To the nearest of 2^bits - 1 values on both sides of zero."""
    import torch

    outputs, inputs = weight_oi.shape
    scales = scales_of(weight_oi, bits, group_size)
    groups = scales.shape[1]
    limit = 2 ** (bits - 1) - 1
    codes = (weight_oi.float().reshape(outputs, groups, inputs // groups) / scales[:, :, None]).round()
    return Rounded(codes.clamp(-limit, limit).reshape(outputs, inputs).to(torch.int8), scales)


def round_to_fp8(weight_oi: torch.Tensor) -> Rounded:
    """To the nearest value of E4M3, a scale a row."""
    import torch

    scales = (weight_oi.float().abs().amax(1, keepdim=True) / FP8_LARGEST).clamp_min(SMALLEST_SCALE)
    codes = (weight_oi.float() / scales).clamp(-FP8_LARGEST, FP8_LARGEST).to(torch.float8_e4m3fn)
    return Rounded(codes, scales)


def pack_int4(codes_oi: torch.Tensor) -> torch.Tensor:
    """Eight codes in an int32, the first in its lowest bits; stored as code + 8."""
    import torch

    outputs, inputs = codes_oi.shape
    unsigned = (codes_oi.to(torch.int64) + 8).reshape(outputs, inputs // CODES_PER_WORD, CODES_PER_WORD)
    places = torch.arange(CODES_PER_WORD, device=codes_oi.device) * 4
    words = (unsigned << places).sum(2)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
