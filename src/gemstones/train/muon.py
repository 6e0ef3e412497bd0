"""Muon beside AdamW, as one optimizer: momentum of matrices, made orthogonal, is their update (Jordan et al. 2024).

    M ← μM + G          momentum
    U = NS5(G + μM)     Nesterov's, through five iterations of Newton and Schulz: singular values of about 1
    W ← (1 − lr·decay)·W − lr·√max(1, rows/columns)·U

<https://kellerjordan.github.io/posts/muon/>, with the decoupled decay of Liu et al. (2025, arXiv:2502.16982). Where
Jordan's code writes the momentum as an average, M ← μM + (1 − μ)G, U is the same: it has no scale. Products are made in
the type of the weights, float32, where his are in bfloat16.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic a·x + b·x³ + c·x⁵, steepest at 0 among those that keep singular values within about 0.7 to 1.2."""
LEAST_NORM = 1e-7
"""A gradient of less is divided by this."""


def orthogonalised(matrix: Tensor) -> Tensor:
    """U·Vᵀ of the singular value decomposition of `matrix`, roughly: singular values of 0.7 to 1.2 instead of 1."""
    a, b, c = COEFFICIENTS
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / x.norm().clamp(min=LEAST_NORM)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.T


class MuonWithAdamW(torch.optim.Optimizer):
    """Groups with a `momentum` are matrices for Muon, the others AdamW's.

    The momentum is kept as `exp_avg`, of matrices the only state: a checkpoint of it has the names of AdamW's.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, betas: tuple[float, float], eps: float, lr: float = 0.0
    ) -> None:
        super().__init__(list(groups), {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})
        for group in self.param_groups:
            if "momentum" in group and any(parameter.dim() != 2 for parameter in group["params"]):
                raise ValueError("Muon's parameters are matrices")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if "momentum" in group:
                for parameter in parameters:
                    self._step_matrix(parameter, group)
            else:
                self._step_others(parameters, group)

    def _step_matrix(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, state, momentum = parameter.grad, self.state[parameter], group["momentum"]
        assert gradient is not None
        if "exp_avg" not in state:
            state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg"].mul_(momentum).add_(gradient)
        update = orthogonalised(gradient.add(state["exp_avg"], alpha=momentum))
        rows, columns = parameter.shape
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, rows / columns)))

    def _step_others(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros((), device=parameter.device)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters],  # type: ignore[misc]
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
