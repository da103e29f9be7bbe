"""AdaBreg for small networks on a CPU: as few passes over memory as there are.

Book: Frontiers, "Multilevel training".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bregtutorial.multilevel.flat import StackedRows
from bregtutorial.optim import AdaBreg, LinBreg
from bregtutorial.optim._base import call, trainable
from bregtutorial.optim._dual import write_prox


class FusedAdaBreg(AdaBreg):
    """The same step, where the moments and the dual are moved by torch's fused kernel for Adam.

    In a coarse step the optimizer takes as long as a pass through the network, if every operation reads and writes
    vectors that no cache holds.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step for every parameter that has a gradient."""
        loss = call(closure)
        for group in self._ready():
            params, grads = trainable(group)
            if not params:
                continue
            duals, states = self._duals(group, params), [self._moments(p) for p in params]
            m1, m2, steps = ([s[key] for s in states] for key in ("exp_avg", "exp_avg_sq", "step"))
            (beta1, beta2), lr, eps = group["betas"], group["lr"], group["eps"]
            torch._fused_adam_(
                duals, grads, m1, m2, [], self._counted(steps), lr=lr, beta1=beta1, beta2=beta2, eps=eps,
                weight_decay=0.0, amsgrad=False, maximize=False,
            )  # fmt: skip
            reg, lam, delta = group["reg"], group["lam"], group["delta"]
            for p, v in zip(params, duals, strict=True):
                if isinstance(reg, StackedRows):
                    reg.write_prox(p.detach(), v, lam, delta)
                else:
                    write_prox(p, v, reg=reg, lam=lam, delta=delta)
        return loss

    def _counted(self, steps: list[Tensor]) -> list[Tensor]:
        torch._foreach_add_(steps, 1.0)
        return steps


def fits(optimizer: LinBreg | AdaBreg, params: list[Tensor]) -> bool:
    """Whether the fused kernel takes these parameters and settings."""
    plain = all(
        p.device.type == "cpu" and type(p) in (Tensor, torch.nn.Parameter) and p.is_contiguous() for p in params
    )
    return type(optimizer) is AdaBreg and plain and not any(isinstance(g["lr"], Tensor) for g in optimizer.param_groups)
