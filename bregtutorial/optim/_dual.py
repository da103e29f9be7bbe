r"""The dual variable: weights are a function of it, :math:`w=\operatorname{prox}_{\delta\lambda J}(\delta v)`."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from bregtutorial.optim._base import Group, RegularizedOptimizer, check_numbers, use_foreach
from bregtutorial.regularizers import L1, Regularizer, Zero


def initial_dual(w: Tensor, reg: Regularizer, lam: float | Tensor, delta: float | Tensor) -> Tensor:
    r""":math:`v=\lambda p+w/\delta` with the smallest :math:`p\in\partial J(w)`: the prox of it is :math:`w` again."""
    return reg.subgradient(w).mul_(lam).add_(w / delta)


def write_prox(
    params: list[Tensor],
    duals: list[Tensor],
    *,
    reg: Regularizer,
    lam: float | Tensor,
    delta: float | Tensor,
    foreach: bool,
) -> None:
    r"""In place :math:`w\leftarrow\operatorname{prox}_{\delta\lambda J}(\delta v)`, never rebinding a parameter."""
    if foreach and isinstance(reg, (L1, Zero)) and not isinstance(lam, Tensor) and not isinstance(delta, Tensor):
        scaled = duals if delta == 1 else list(torch._foreach_mul(duals, delta))
        if isinstance(reg, L1):
            box = torch._foreach_clamp_min(scaled, -delta * lam)
            torch._foreach_clamp_max_(box, delta * lam)
            scaled = list(torch._foreach_sub(scaled, box))
        torch._foreach_copy_(params, scaled)
        return
    for p, v in zip(params, duals, strict=True):
        p.copy_(reg.prox(v if isinstance(delta, float | int) and delta == 1 else delta * v, delta * lam))


class DualOptimizer(RegularizedOptimizer):
    """Optimizers that step in the dual variable ``state[p]["dual"]`` and read the weights off it.

    The dual is built from the weights at a parameter's first step. From then on the weights are a function of the
    dual: an edit of the weights by hand (an average, a clipping, a loaded model) lasts until the next step, unless
    :meth:`reset_dual` follows it.
    """

    def _duals(self, group: Group, params: list[Tensor]) -> list[Tensor]:
        for p in params:
            if "dual" not in self.state[p]:
                self.state[p]["dual"] = initial_dual(p.detach(), group["reg"], group["lam"], group["delta"])
        return [self.state[p]["dual"] for p in params]

    @torch.no_grad()
    def reset_dual(self) -> None:
        r"""Rebuild every dual from the present weights: :math:`v\leftarrow\lambda p+w/\delta`, :math:`p\in\partial J(w)`.

        Forgets what zero weights have gathered. Momentum and moments stay.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if "dual" in self.state[p]:
                    self.state[p]["dual"].copy_(initial_dual(p, group["reg"], group["lam"], group["delta"]))

    @torch.no_grad()
    def apply_prox(self) -> None:
        r"""Let the weights follow at once, without a step: :math:`w\leftarrow\operatorname{prox}_{\delta\lambda J}(\delta v)`.

        For use after ``lam`` or ``delta`` of a group has changed, also for groups that get no gradient.
        """
        for group in self.param_groups:
            check_numbers(group)
            params = [p for p in group["params"] if "dual" in self.state[p]]
            self._write_prox(group, params, self._duals(group, params))

    @torch.no_grad()
    def set_lam(self, lam: float, *, group: int | str | None = None, keep: Literal["dual", "weights"] = "dual") -> None:
        r"""Change :math:`\lambda` and say what stays.

        Args:
            lam: new strength, >= 0.
            group: index or name of one group; default: every group whose strength is not 0.
            keep: ``"dual"`` keeps the evidence in :math:`v` and lets the weights follow by the prox. ``"weights"``
                keeps the weights and scales the subgradient in :math:`v`:
                :math:`v\leftarrow\tfrac{\lambda_{new}}{\lambda}(v-w/\delta)+w/\delta`, so that a zero weight stays as
                far from waking, relative to :math:`\lambda`, as it was.

        Raises:
            ValueError: if ``lam`` is negative, ``keep`` is unknown, or no such group exists.

        Book: Algorithms, "LinBreg, step by step".
        """
        check_numbers({"lam": lam})
        if keep not in ("dual", "weights"):
            raise ValueError(f"keep must be 'dual' or 'weights', got {keep!r}")
        for chosen in self._select(group):
            if keep == "weights":
                self._rescale_subgradients(chosen, lam)
            chosen["lam"] = lam
            if keep == "dual":
                params = [p for p in chosen["params"] if "dual" in self.state[p]]
                self._write_prox(chosen, params, self._duals(chosen, params))

    def _select(self, group: int | str | None) -> list[Group]:
        found = [
            g
            for i, g in enumerate(self.param_groups)
            if (group is None and g["lam"] != 0) or (group is not None and group in (i, g.get("name")))
        ]
        if not found:
            names = [g.get("name", i) for i, g in enumerate(self.param_groups)]
            wanted = "with lam other than 0; name one" if group is None else repr(group)
            raise ValueError(f"no param group {wanted}; there are {names}")
        return found

    def _rescale_subgradients(self, group: Group, lam: float) -> None:
        for p in group["params"]:
            if "dual" not in self.state[p]:
                continue
            v, shift = self.state[p]["dual"], p / group["delta"]
            if group["lam"] == 0:
                v.copy_(initial_dual(p, group["reg"], lam, group["delta"]))
            else:
                v.sub_(shift).mul_(lam / group["lam"]).add_(shift)

    def _write_prox(self, group: Group, params: list[Tensor], duals: list[Tensor]) -> None:
        settings: dict[str, Any] = {k: group[k] for k in ("reg", "lam", "delta")}
        write_prox(params, duals, **settings, foreach=use_foreach(group, params))
