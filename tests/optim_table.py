"""The tables that the tests of regularizers and optimizers run over, and the slow twin of every fast thing in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from bregtutorial import reference
from bregtutorial.optim import AdaBreg, LinBreg, ProxSGD
from bregtutorial.regularizers import L1, GroupL2, L1NonNegative, Nuclear, Regularizer, SparseGroupL2, Zero

MATRIX, CONV2D, CONV3D = (5, 7), (4, 3, 3, 2), (3, 4, 2, 2, 3)
_GROUPED = [(g, s) for g in ("filters", "inputs", "kernels") for s in (MATRIX, CONV2D, CONV3D)]
_GROUPED.remove(("kernels", MATRIX))
PAIRS: list[tuple[Any, tuple[int, ...]]] = [
    *[(reg, s) for reg in (L1(), L1NonNegative(), Zero()) for s in ((), (6,), MATRIX, CONV2D, CONV3D)],
    *[(reg(g, *rest), s) for reg, rest in ((GroupL2, ()), (SparseGroupL2, (0.3,))) for g, s in _GROUPED],
    *[(Nuclear(), s) for s in (MATRIX, (7, 3), CONV2D, CONV3D)],
]
each_reg_and_shape = pytest.mark.parametrize(("reg", "shape"), PAIRS, ids=lambda x: str(x).replace(" ", ""))


def slow_prox(reg: Any) -> reference.Prox:
    """The prox of ``reg`` from :mod:`bregtutorial.reference`."""
    return {
        "l1": lambda: reference.shrink,
        "l1_non_negative": lambda: reference.prox_non_negative,
        "group_l2": lambda: partial(reference.prox_group, groups=reg.groups),
        "sparse_group_l2": lambda: partial(reference.prox_sparse_group, groups=reg.groups, l1_ratio=reg.l1_ratio),
        "nuclear": lambda: reference.prox_nuclear,
        "zero": lambda: lambda v, t: v,
    }[reg.name]()


def _alternate(v: Tensor, t: float, groups: str, l1_ratio: float) -> Tensor:
    # the dual ball is the sum of a box and a group ball: project on both in turn, from a bad start, to convergence
    ball = torch.ones_like(v)
    for _ in range(300):
        box = reference.project_box(v - ball, t * l1_ratio)
        ball = reference.project_group_ball(v - box, t * (1 - l1_ratio), groups)
    return box + ball


def dual_projection(reg: Any) -> Callable[[Tensor, float], Tensor]:
    """Projection on t times the subdifferential at 0, without any prox."""
    return {
        "l1": lambda: reference.project_box,
        "l1_non_negative": lambda: lambda v, t: torch.minimum(v, torch.tensor(t, dtype=v.dtype)),
        "group_l2": lambda: partial(reference.project_group_ball, groups=reg.groups),
        "sparse_group_l2": lambda: partial(_alternate, groups=reg.groups, l1_ratio=reg.l1_ratio),
        "nuclear": lambda: reference.project_spectral_ball,
        "zero": lambda: lambda v, t: torch.zeros_like(v),
    }[reg.name]()


def draw(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers from a generator of their own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def point(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Numbers of many sizes, with zeros and, where there are groups, a zero group of each kind."""
    v = draw(*shape, seed=seed) * (1 + 3 * draw(*shape, seed=seed + 1).abs())
    if v.ndim:
        v.flatten()[1::4] = 0
        v[0] = 0
    if v.ndim > 1:
        v[:, 1] = 0
    return v


def feasible(reg: Regularizer, w: Tensor) -> Tensor:
    """Weights that ``reg`` allows."""
    return w.abs() if reg.name == "l1_non_negative" else w


def violation(reg: Any, p: Tensor, w: Tensor) -> float:
    """How far ``p`` is from the subdifferential of J at ``w``, by the case distinctions of the definition."""
    worst = [0.0]
    if reg.name == "zero":
        worst.append(float(p.abs().max()))
    elif reg.name in ("l1", "l1_non_negative"):
        for x, y in zip(w.flatten().tolist(), p.flatten().tolist(), strict=True):
            at_zero = y - 1 if reg.name == "l1_non_negative" else abs(y) - 1
            worst.append(at_zero if x == 0 else abs(y - (1 if x > 0 else -1)))
    elif reg.name == "nuclear":
        sigma = torch.linalg.svdvals(w.flatten(1))
        worst += [float(torch.linalg.matrix_norm(p.flatten(1), 2)) - 1, float((sigma.sum() - (p * w).sum()).abs())]
    else:
        rho = getattr(reg, "l1_ratio", 0.0)
        for g in reference.members(tuple(w.shape), reg.groups):
            size, length = (1 - rho) * w[g].numel() ** 0.5, float(w[g].norm())
            if length == 0:
                worst.append(float(reference.shrink(p[g], rho).norm()) - size)
                continue
            rest = p[g] - size * w[g] / length
            gap = torch.where(w[g] == 0, rest.abs() - rho, (rest - rho * w[g].sign()).abs())
            worst.append(float(gap.max()))
    return max(worst)


def objective(reg: Regularizer, u: Tensor, v: Tensor, t: float) -> float:
    """What the prox minimises over ``u``."""
    return float(t * reg.value(u) + (u - v).square().sum() / 2)


@dataclass(frozen=True)
class Case:
    """An optimizer with settings."""

    desc: str
    cls: Any
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, params: Any, **more: Any) -> Any:
        return self.cls(params, **{"lr": 0.1, "lam": 0.15, **self.options, **more})

    def __str__(self) -> str:
        return self.desc


CASES = [
    Case("linbreg", LinBreg),
    Case("linbreg_momentum_delta", LinBreg, {"momentum": 0.9, "delta": 0.5}),
    Case("linbreg_delta_maximize", LinBreg, {"delta": 3.0, "maximize": True}),
    Case("adabreg", AdaBreg),
    Case("adabreg_delta_betas_maximize", AdaBreg, {"delta": 0.5, "betas": (0.7, 0.9), "eps": 1e-3, "maximize": True}),
    Case("proxsgd", ProxSGD, {"lam": 1.5}),
    Case("proxsgd_momentum_maximize", ProxSGD, {"lam": 1.5, "momentum": 0.8, "maximize": True}),
]
DUAL_CASES = [c for c in CASES if c.cls is not ProxSGD]
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_dual_case = pytest.mark.parametrize("case", DUAL_CASES, ids=str)
# one regularizer of every kind, on a weight that has all kinds of groups
REGS = [L1(), L1NonNegative(), GroupL2("filters"), GroupL2("kernels"), SparseGroupL2("inputs"), Nuclear(), Zero()]
each_reg = pytest.mark.parametrize("reg", REGS, ids=lambda r: str(r).replace(" ", ""))


def start(reg: Regularizer, shape: tuple[int, ...] = CONV2D, dtype: torch.dtype = torch.float64) -> Tensor:
    """Weights with zeros in them that ``reg`` allows."""
    w = reg.prox(draw(*shape, seed=1, dtype=dtype), 0.3)
    return w.abs() if reg.name == "l1_non_negative" else w


def slow_run(opt: Any, w: Tensor, grads: list[Tensor]) -> Iterator[dict[str, Tensor]]:
    """Weights and state after each step, by the functions of :mod:`bregtutorial.reference` alone."""
    o = opt.param_groups[0]
    sign = -1 if o["maximize"] else 1
    fixed: dict[str, Any] = {"lr": o["lr"], "lam": o["lam"], "prox": slow_prox(o["reg"])}
    m, m1, m2 = (torch.zeros_like(w) for _ in range(3))
    v = torch.zeros_like(w)
    if not isinstance(opt, ProxSGD):
        v = o["lam"] * o["reg"].subgradient(w) + w / o["delta"]
        fixed["delta"] = o["delta"]
    for k, g in enumerate(grads, start=1):
        g = sign * g
        if isinstance(opt, AdaBreg):
            w, v, m1, m2 = reference.adabreg_step(v, m1, m2, k, g, betas=o["betas"], eps=o["eps"], **fixed)
            yield {"w": w, "dual": v, "exp_avg": m1, "exp_avg_sq": m2, "step": torch.tensor(float(k))}
        elif isinstance(opt, ProxSGD):
            m = o["momentum"] * m + (1 - o["momentum"]) * g
            w = reference.proxsgd_step(w, m, **fixed)
            yield {"w": w, "momentum_buffer": m} if o["momentum"] else {"w": w}
        elif o["momentum"]:
            w, v, m = reference.momentum_step(v, m, g, momentum=o["momentum"], **fixed)
            yield {"w": w, "dual": v, "momentum_buffer": m}
        else:
            w, v = reference.linbreg_step(v, g, **fixed)
            yield {"w": w, "dual": v}


def one_step(case: Any, w: Tensor, g: Tensor, **options: Any) -> Tensor:
    """Where one step from ``w`` with gradient ``g`` leads."""
    p = torch.nn.Parameter(w.clone())
    opt = case([p], **options)
    p.grad = g.clone()
    opt.step()
    return p.detach()
