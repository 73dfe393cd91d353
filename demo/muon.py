"""Muon in float32: momentum whose singular values are all brought near one.

torch.optim.Muon does the same sums in bfloat16, for which a CPU without AVX-512 has no instructions: there they cost a
hundred times what they cost in float32, and pretraining five times as long. The iteration and its coefficients are
those of Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial of degree five that lifts small singular values fastest."""
ITERATIONS = 5


def muon(matrices: Iterable[Any], learning_rate: float, weight_decay: float) -> Any:
    """A torch optimizer for matrices: Nesterov momentum, decoupled weight decay. Its step takes no closure."""
    import torch

    class Muon(torch.optim.Optimizer):  # type: ignore[misc]
        @torch.no_grad()  # type: ignore[untyped-decorator]
        def step(self) -> None:
            for group in self.param_groups:
                for matrix in group["params"]:
                    state = self.state[matrix]
                    if not state:
                        state["momentum"] = torch.zeros_like(matrix)
                    momentum = state["momentum"]
                    momentum.lerp_(matrix.grad, 1 - MOMENTUM)
                    direction = orthogonalized(matrix.grad.lerp(momentum, MOMENTUM))
                    rows, columns = matrix.shape
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(direction, alpha=-group["lr"] * math.sqrt(max(1, rows / columns)))

    return Muon(matrices, {"lr": learning_rate, "weight_decay": weight_decay})


def orthogonalized(matrix: Any) -> Any:
    """The matrix with its singular values between about 0.7 and 1.2, its singular vectors unchanged."""
    a, b, c = COEFFICIENTS
    is_tall = matrix.size(0) > matrix.size(1)
    found = matrix.mT if is_tall else matrix
    found = found / found.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = found @ found.mT
        found = a * found + (b * gram + c * gram @ gram) @ found
    return found.mT if is_tall else found
