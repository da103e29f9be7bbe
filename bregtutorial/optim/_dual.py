r"""The dual variable: weights are a function of it, :math:`w=\operatorname{prox}_{\delta\lambda J}(\delta v)`."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from bregtutorial.optim._base import Group, RegularizedOptimizer, check_numbers, scratch
from bregtutorial.regularizers import L1, Regularizer, Zero


def initial_dual(w: Tensor, reg: Regularizer, lam: float | Tensor, delta: float | Tensor) -> Tensor:
    r""":math:`v=\lambda p+w/\delta` with the smallest :math:`p\in\partial J(w)`; its prox is :math:`w`, rounded."""
    return lam * reg.subgradient(w) + w / delta


def write_prox(p: Tensor, v: Tensor, *, reg: Regularizer, lam: float | Tensor, delta: float | Tensor) -> None:
    r"""In place :math:`w\leftarrow\operatorname{prox}_{\delta\lambda J}(\delta v)`, never rebinding the parameter."""
    scaled = v if not isinstance(delta, Tensor) and delta == 1 else delta * v
    t, room = _threshold(v, delta * lam), scratch(p)
    if type(reg) is L1 and room is not None:
        # soft(), with the projection on the box in p for a moment, unless p is what it is a projection of
        torch.sub(scaled, torch.clamp(scaled, -t, t, out=None if p is v else room), out=room)
    else:
        p.copy_(reg.prox(scaled, t))


def foreach_write_prox(
    params: list[Tensor], duals: list[Tensor], *, reg: Regularizer, lam: float | Tensor, delta: float | Tensor
) -> None:
    """:func:`write_prox` on lists, by multi-tensor kernels where there are some."""
    if type(reg) not in (L1, Zero) or isinstance(lam, Tensor) or isinstance(delta, Tensor):
        for p, v in zip(params, duals, strict=True):
            write_prox(p, v, reg=reg, lam=lam, delta=delta)
        return
    scaled = duals if delta == 1 else list(torch._foreach_mul(duals, delta))
    box = _foreach_box(scaled, delta * lam) if type(reg) is L1 else []
    if params is not scaled:
        torch._foreach_copy_(params, scaled)
    if box:
        torch._foreach_sub_(params, box)


def _threshold(v: Tensor, t: float | Tensor) -> Any:
    # in a compiled step a tensor: numbers given to clamp() are constants, compiled anew for every value of a schedule
    return v.new_zeros(()) + t if torch.compiler.is_compiling() else t


def _foreach_box(vs: list[Tensor], t: float) -> list[Tensor]:
    """Each tensor projected on the box [-t, t]."""
    if torch.compiler.is_compiling():
        box = torch._foreach_minimum(vs, [v.new_zeros(()) + t for v in vs])
        return list(torch._foreach_maximum(box, [v.new_zeros(()) - t for v in vs]))
    box = torch._foreach_clamp_min(vs, -t)
    torch._foreach_clamp_max_(box, t)
    return list(box)


def descend(x: Tensor, move: Tensor, lr: float | Tensor) -> None:
    """In place ``x -= lr * move``."""
    if isinstance(lr, Tensor) or torch.compiler.is_compiling():
        # as alpha, a compiled step would be compiled anew for every value that a schedule gives lr
        x.sub_(lr * move)
    else:
        x.sub_(move, alpha=lr)


def foreach_descend(xs: list[Tensor], moves: list[Tensor], lr: float | Tensor) -> None:
    """:func:`descend` on lists, by multi-tensor kernels."""
    if isinstance(lr, Tensor) or torch.compiler.is_compiling():
        moves, lr = [lr * g for g in moves], 1.0
    torch._foreach_sub_(xs, moves, alpha=lr)


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
        r"""Rebuild every dual from the present weights.

        Sets :math:`v\leftarrow\lambda p+w/\delta` with :math:`p\in\partial J(w)`. Forgets what zero weights have
        gathered. Momentum and moments stay.
        """
        for group in self.param_groups:
            for p in self._started(group):
                self.state[p]["dual"].copy_(initial_dual(p, group["reg"], group["lam"], group["delta"]))

    @torch.no_grad()
    def apply_prox(self) -> None:
        r"""Let the weights follow the duals at once, without a step.

        Sets :math:`w\leftarrow\operatorname{prox}_{\delta\lambda J}(\delta v)`. For use after ``lam`` or ``delta`` of a
        group has changed, also for groups that get no gradient.
        """
        for group in self.param_groups:
            check_numbers(group)
            self._write_prox(group)

    @torch.no_grad()
    def set_lam(self, lam: float, *, group: int | str | None = None, keep: Literal["dual", "weights"] = "dual") -> None:
        r"""Change :math:`\lambda` and say what stays.

        Args:
            lam: new strength, >= 0.
            group: index or name of one group; default: every group whose strength is not 0. All of these get the same
                number: where strengths differ, name each group.
            keep: ``"dual"`` keeps the evidence in :math:`v` and lets the weights follow by the prox. ``"weights"``
                keeps the weights and scales the subgradient in :math:`v`:
                :math:`v\leftarrow\tfrac{\lambda_{new}}{\lambda}(v-w/\delta)+w/\delta`, so that a zero weight stays as
                far from waking, relative to :math:`\lambda`, as it was. Call :meth:`apply_prox` first if it was
                changed by hand or by a schedule since the last step.

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
                self._write_prox(chosen)

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
        for p in self._started(group):
            v, shift = self.state[p]["dual"], p / group["delta"]
            if group["lam"] == 0:
                v.copy_(initial_dual(p, group["reg"], lam, group["delta"]))
            else:
                v.sub_(shift).mul_(lam / group["lam"]).add_(shift)

    def _started(self, group: Group) -> list[Tensor]:
        # get, not []: asking must not leave an empty entry in the state
        return [p for p in group["params"] if "dual" in self.state.get(p, {})]

    def _write_prox(self, group: Group) -> None:
        params = self._started(group)
        settings: dict[str, Any] = {k: group[k] for k in ("reg", "lam", "delta")}
        for p, v in zip(params, self._duals(group, params), strict=True):
            write_prox(p, v, **settings)
