"""Muon: momentum whose matrix updates are orthogonalised by a Newton-Schulz iteration (Jordan et al. 2024), with AdamW for the rest.

In: named parameters. Out: a torch optimizer. Convolutions count as matrices [out, in * k * k]; biases, norms and embeddings take AdamW.
It knows nothing of models or schedules: `lr` of each group is set from outside.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

# Quintic coefficients of Jordan et al.: steep at zero, so that five steps bring all singular values near one.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@torch.no_grad()
def orthogonalise(gradient: Tensor, *, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly (singular values in 0.7..1.2). gradient: [rows, columns]; computed in bfloat16."""
    a, b, c = COEFFICIENTS
    x = gradient.bfloat16()
    is_tall = x.size(0) > x.size(1)
    if is_tall:
        x = x.mT
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if is_tall else x).to(gradient.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two dimensions and more, AdamW (betas 0.9, 0.98) for vectors.

    An update of a matrix has root mean square 0.2 (Liu et al. 2025, "Muon is scalable"), so AdamW's learning rates carry over.
    """

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__([p for p in parameters if p.requires_grad], {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    update = self._matrix_update(parameter, state, group) if parameter.ndim >= 2 else self._vector_update(parameter, state)
                    if parameter.ndim >= 2 and group["weight_decay"]:
                        parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-group["lr"])

    @staticmethod
    def _matrix_update(parameter: Tensor, state: dict, group: dict) -> Tensor:
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
        ahead = parameter.grad.lerp(state["momentum"], group["momentum"])  # Nesterov
        update = orthogonalise(ahead.reshape(len(parameter), -1))
        return update.mul_(0.2 * max(update.shape) ** 0.5).view(parameter.shape)

    @staticmethod
    def _vector_update(parameter: Tensor, state: dict) -> Tensor:
        if not state:
            state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        state["step"] += 1
        state["mean"].lerp_(parameter.grad, 0.1)
        state["square"].lerp_(parameter.grad.square(), 0.02)
        mean = state["mean"] / (1 - 0.9 ** state["step"])
        square = state["square"] / (1 - 0.98 ** state["step"])
        return mean / (square.sqrt() + 1e-8)
