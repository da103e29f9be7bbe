"""The map from duals to weights, w = prox of delta v at delta lam: what the theory says of any v."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim_table import CONV2D, MATRIX, REGS, draw, each_reg, start, violation
from torch import Tensor

from bregtutorial.optim import LinBreg
from bregtutorial.reference import members
from bregtutorial.regularizers import L1, GroupL2, L1NonNegative, Nuclear, SparseGroupL2

LAM = 0.4
each_delta = pytest.mark.parametrize("delta", [0.25, 1.0, 5.0])


def weights_of(v: Tensor, reg: Any, lam: float, delta: float) -> Tensor:
    """What the optimizer makes of a dual."""
    w = torch.nn.Parameter(torch.zeros_like(v))
    opt = LinBreg([w], lr=1.0, reg=reg, lam=lam, delta=delta)
    opt.state[w]["dual"] = v.clone()
    opt.apply_prox()
    return w.detach()


def elastic_net(w: Tensor, reg: Any, delta: float) -> Tensor:
    return LAM * reg.value(w) + w.square().sum() / (2 * delta)


def conjugate(v: Tensor, reg: Any, delta: float) -> Tensor:
    """Largest <v, u> minus elastic net: half the squared distance of delta v from the dual ball, over delta."""
    if reg.name == "l1":
        return delta / 2 * (v.abs() - LAM).clamp_min(0).square().sum()
    if reg.name == "l1_non_negative":
        return delta / 2 * (v - LAM).clamp_min(0).square().sum()
    if reg.name == "nuclear":
        return delta / 2 * (torch.linalg.svdvals(v.flatten(1)) - LAM).clamp_min(0).square().sum()
    if reg.name == "zero":
        return delta / 2 * v.square().sum()
    rho, total = getattr(reg, "l1_ratio", 0.0), v.new_zeros(())
    for g in members(tuple(v.shape), reg.groups):
        length = (v[g].abs() - LAM * rho).clamp_min(0).square().sum().sqrt()
        total = total + (length - LAM * (1 - rho) * v[g].numel() ** 0.5).clamp_min(0).square()
    return delta / 2 * total


def bregman(to: Tensor, frm: Tensor, v: Tensor, reg: Any, delta: float) -> Tensor:
    """Distance from ``frm``, where ``v`` is a subgradient of the elastic net, to ``to``."""
    return elastic_net(to, reg, delta) - elastic_net(frm, reg, delta) - (v * (to - frm)).sum()


@each_reg
@each_delta
def test_dual_minus_weights_over_delta_is_a_subgradient(reg: Any, delta: float) -> None:
    v = draw(*CONV2D, seed=2)
    w = weights_of(v, reg, LAM, delta)
    assert violation(reg, (v - w / delta) / LAM, w) < 1e-8


@each_reg
def test_delta_scales_the_weights_of_a_dual_and_leaves_the_support(reg: Any) -> None:
    v = draw(*CONV2D, seed=3)
    one = weights_of(v, reg, LAM, 1.0)
    for delta in (0.25, 5.0):
        torch.testing.assert_close(weights_of(v, reg, LAM, delta), delta * one, rtol=1e-10, atol=1e-12)


@each_reg
@each_delta
def test_fenchel_young_holds_with_equality_and_strictly_elsewhere(reg: Any, delta: float) -> None:
    v = draw(*CONV2D, seed=4)
    w = weights_of(v, reg, LAM, delta)
    gap = elastic_net(w, reg, delta) + conjugate(v, reg, delta) - (v * w).sum()
    assert abs(float(gap)) < 1e-10
    other = start(reg) + 0.1
    assert float(elastic_net(other, reg, delta) + conjugate(v, reg, delta) - (v * other).sum()) > 1e-2


@each_reg
@each_delta
def test_weights_are_the_gradient_of_the_conjugate(reg: Any, delta: float) -> None:
    v = draw(*CONV2D, seed=5).requires_grad_()
    conjugate(v, reg, delta).backward()
    torch.testing.assert_close(weights_of(v.detach(), reg, LAM, delta), v.grad, rtol=1e-9, atol=1e-9)


def test_what_is_active_is_read_off_the_dual() -> None:
    v = draw(*CONV2D, seed=6)
    v[0] *= 0.1
    v[:, 1] *= 0.1
    assert torch.equal(weights_of(v, L1(), LAM, 2.0) != 0, v.abs() > LAM)
    assert torch.equal(weights_of(v, L1NonNegative(), LAM, 2.0) != 0, v > LAM)
    for groups in ("rows", "columns", "kernels"):
        w = weights_of(v, GroupL2(groups), LAM, 2.0)
        alive = [bool((w[g] != 0).any()) for g in members(CONV2D, groups)]
        assert alive == [float(v[g].norm()) > LAM * v[g].numel() ** 0.5 for g in members(CONV2D, groups)]
        assert 0 < sum(alive) < len(alive)
        sparse = weights_of(v, SparseGroupL2(groups), LAM, 2.0)
        assert not ((sparse != 0) & (v.abs() <= LAM / 2)).any()
    matrix = draw(*MATRIX, seed=6)
    rank = int(torch.linalg.matrix_rank(weights_of(matrix, Nuclear(), 2.0, 1.0)))
    assert rank == int((torch.linalg.svdvals(matrix) > 2.0).sum())
    assert 0 < rank < 5


@each_reg
@each_delta
def test_the_map_is_monotone_and_delta_lipschitz(reg: Any, delta: float) -> None:
    for seed in range(5):
        v, u = draw(*CONV2D, seed=seed), draw(*CONV2D, seed=seed + 30)
        dw = weights_of(v, reg, LAM, delta) - weights_of(u, reg, LAM, delta)
        assert float(((v - u) * dw).sum()) >= float(dw.square().sum()) / delta - 1e-10
        assert float(dw.norm()) <= delta * float((v - u).norm()) + 1e-10
        symmetric = ((v - u) * dw).sum() - dw.square().sum() / delta  # <p - q, dw>, of J alone
        assert float(symmetric) >= -1e-10


@each_reg
@each_delta
def test_distances_agree_in_both_spaces_and_in_three_points(reg: Any, delta: float) -> None:
    v0, v1, goal = draw(*CONV2D, seed=7), draw(*CONV2D, seed=8), start(reg)
    w0, w1 = weights_of(v0, reg, LAM, delta), weights_of(v1, reg, LAM, delta)
    dual = conjugate(v0, reg, delta) - conjugate(v1, reg, delta) - (w1 * (v0 - v1)).sum()
    torch.testing.assert_close(bregman(w1, w0, v0, reg, delta), dual, rtol=1e-9, atol=1e-9)
    left = bregman(goal, w1, v1, reg, delta) - bregman(goal, w0, v0, reg, delta) + bregman(w1, w0, v0, reg, delta)
    torch.testing.assert_close(left, ((v1 - v0) * (w1 - goal)).sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lam", [0.0, 0.1, 1.0, 30.0])
@each_reg
def test_weights_to_dual_and_back_moves_them_by_rounding_only(reg: Any, lam: float, dtype: torch.dtype) -> None:
    for delta in (0.5, 1.0, 4.0):
        w = torch.nn.Parameter(start(reg, dtype=dtype))
        before, zeros = w.detach().clone(), w.detach() == 0
        opt = LinBreg([w], lr=0.1, reg=reg, lam=lam, delta=delta)
        w.grad = torch.zeros_like(w)
        opt.step()  # a zero gradient: only the dual is built, and the prox of it taken
        # v is lam p + w / delta with |p| at most the root of a group's size: it is rounded to that size
        size = delta * lam * 12**0.5 + float(before.abs().max())
        digits = 64 if reg.name == "nuclear" else 4
        assert float((w.detach() - before).abs().max()) <= digits * torch.finfo(dtype).eps * size
        if reg.name != "nuclear":
            assert not w.detach()[zeros].any()


def test_a_weight_below_the_digits_of_the_threshold_is_lost() -> None:
    w = torch.nn.Parameter(torch.tensor([1e-9, 0.5]))
    opt = LinBreg([w], lr=0.1, lam=0.1)
    w.grad = torch.zeros(2)
    opt.step()
    assert w.detach().tolist() == pytest.approx([0.0, 0.5], abs=1e-8)
    assert float(w.detach()[0]) == 0.0


def test_the_regularizers_here_are_all_there_are() -> None:
    assert {r.name for r in REGS} == {"l1", "l1_non_negative", "group_l2", "sparse_group_l2", "nuclear", "zero"}
