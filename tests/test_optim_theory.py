"""The convergence theory, step by step on losses where every constant is known; and where it stops to hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import torch
from optim_table import draw
from torch import Tensor

from bregtutorial.optim import AdaBreg, LinBreg, ProxSGD
from bregtutorial.regularizers import L1, GroupL2, L1NonNegative, Nuclear, Regularizer, SparseGroupL2


@dataclass(frozen=True)
class Loss:
    """A loss with its smoothness constant L and, where it is convex, a minimiser."""

    f: Callable[[Tensor], Tensor]
    smooth: float
    goal: Tensor | None = None


SHAPE = (6, 4)
A = draw(16, 24, seed=5)
GOAL = draw(*SHAPE, seed=6) * (draw(*SHAPE, seed=7) > 0.3)
HESSIAN = A.T @ A
QUADRATIC = Loss(
    lambda w: (A @ (w - GOAL).flatten()).square().sum() / 2, float(torch.linalg.eigvalsh(HESSIAN)[-1]), GOAL
)
ISOTROPIC = Loss(lambda w: 1.5 * (w - GOAL).square().sum(), 3.0, GOAL)
NON_CONVEX = Loss(lambda w: (1 + (2 * w + GOAL).sin()).sum(), 4.0)
LOSSES = {"quadratic": QUADRATIC, "isotropic": ISOTROPIC, "non_convex": NON_CONVEX}
REGS = [L1(), GroupL2("rows"), SparseGroupL2("columns"), Nuclear()]


@dataclass(frozen=True)
class Point:
    """An iterate: weights, dual, loss, and the subgradient of lam J."""

    w: Tensor
    v: Tensor
    loss: float
    p: Tensor


def iterate(loss: Loss, reg: Regularizer, tau: float, delta: float, steps: int, lam: float = 0.5) -> list[Point]:
    w = torch.nn.Parameter(reg.prox(draw(*SHAPE, seed=8), 0.5))
    opt = LinBreg([w], lr=tau, lam=lam, delta=delta, reg=reg)
    points = []
    for _ in range(steps):
        opt.zero_grad()
        value = loss.f(w)
        value.backward()
        before = w.detach().clone()
        opt.step()
        v = opt.state[w]["dual"] + tau * w.grad  # the dual that belongs to the weights before the step
        points.append(Point(before, v, float(value.detach()), v - before / delta))
    return points


def decay_gaps(points: list[Point], constant: float, tau: float) -> list[float]:
    """Left minus right side of Theorem 2 without noise: not positive where it holds."""
    return [
        b.loss + float(((b.p - a.p) * (b.w - a.w)).sum()) / tau + constant * float((b.w - a.w).square().sum()) - a.loss
        for a, b in pairwise(points)
    ]


@pytest.mark.parametrize("delta", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("factor", [1.0, 1.9, 1.99])
@pytest.mark.parametrize("reg", REGS, ids=lambda r: r.name)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_theorem_2_every_step_lowers_the_loss_by_at_least_the_distances(
    loss: Loss, reg: Regularizer, factor: float, delta: float
) -> None:
    tau = factor / (delta * loss.smooth)
    points = iterate(loss, reg, tau, delta, 60)
    gaps = decay_gaps(points, (2 - loss.smooth * delta * tau) / (2 * delta * tau), tau)
    assert max(gaps) <= 1e-10 * points[0].loss
    assert all(b.loss <= a.loss + 1e-12 for a, b in pairwise(points))
    assert points[-1].loss < 0.99 * points[0].loss


def test_theorem_2_has_no_room_for_a_larger_constant() -> None:
    tau = 1.5 / ISOTROPIC.smooth
    constant = (2 - ISOTROPIC.smooth * tau) / (2 * tau)
    points = iterate(ISOTROPIC, L1(), tau, 1.0, 20)
    assert max(map(abs, decay_gaps(points, constant, tau))) < 1e-10  # curvature L in every direction: an equality
    assert max(decay_gaps(points, 1.01 * constant, tau)) > 1e-3


def test_theorem_2_fails_for_rates_above_its_bound() -> None:
    for factor, decays in ((1.99, True), (2.05, False)):
        points = iterate(ISOTROPIC, L1(), factor / ISOTROPIC.smooth, 1.0, 40)
        assert all(b.loss <= a.loss + 1e-12 for a, b in pairwise(points)) == decays


def distance(to: Tensor, point: Point, reg: Regularizer, delta: float, lam: float = 0.5) -> float:
    """Bregman distance of the elastic net: Lemma 13 for one-homogeneous J."""
    j = lam * float(reg.value(to)) - float((point.p * to).sum())
    return float((to - point.w).square().sum()) / (2 * delta) + j


@pytest.mark.parametrize("reg", REGS, ids=lambda r: r.name)
@pytest.mark.parametrize("loss", [QUADRATIC, ISOTROPIC], ids=["quadratic", "isotropic"])
def test_convex_losses_approach_the_minimiser_in_distance_and_the_minimum_like_one_over_k(loss: Loss, reg: Any) -> None:
    for delta in (0.5, 2.0):
        tau = 1 / (delta * loss.smooth)
        points = iterate(loss, reg, tau, delta, 80)
        assert loss.goal is not None
        distances = [distance(loss.goal, p, reg, delta) for p in points]
        assert min(distances) >= -1e-12
        assert all(b <= a + 1e-10 for a, b in pairwise(distances))
        for k, p in enumerate(points[1:], start=1):
            assert p.loss <= distances[0] / (tau * k) + 1e-10


def test_theorem_11_the_distance_shrinks_by_a_factor_once_the_signs_are_right() -> None:
    h, delta = torch.linspace(0.5, 2.0, 24, dtype=torch.float64).reshape(SHAPE), 2.0
    nu = 0.5 * delta
    tau = nu / (4 * delta**2 * 2.0**2)
    goal = draw(*SHAPE, seed=6)
    w = torch.nn.Parameter(goal.sign() * (goal.abs() + 1))
    opt = LinBreg([w], lr=tau, lam=0.5, delta=delta)
    distances = []
    for _ in range(300):
        w.grad = h * (w.detach() - goal)
        before = w.detach().clone()
        opt.step()
        v = opt.state[w]["dual"] + tau * w.grad
        distances.append(distance(goal, Point(before, v, 0.0, v - before / delta), L1(), delta))
    ratios = [b / a for a, b in pairwise(distances)]
    assert max(ratios) <= 1 - tau * nu * (1 - 2 * tau * delta**2 * 2.0**2 / nu) + 1e-12
    assert max(ratios) > 1 - 3 * tau * nu  # the bound could not be much better: the true factor is (1 - tau nu)^2
    assert distances[-1] < 1e-3 * distances[0]


def test_example_1_stops_at_the_edge_of_the_domain_where_the_gradient_is_not_zero() -> None:
    w = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    opt = LinBreg([w], lr=0.1, reg=L1NonNegative(), lam=0.0)  # J is 0 for w >= 0, infinite at the minimiser -1
    for _ in range(30):
        opt.zero_grad()
        (w + 1).square().sum().backward()
        opt.step()
    assert w.item() == 0.0
    assert float(w.grad) == 2.0
    assert float(opt.state[w]["dual"]) < -3  # it will never come back


def test_weights_at_rest_while_a_dual_still_drifts_and_no_bias_in_the_limit() -> None:
    goal = torch.tensor([0.5, 0.375], dtype=torch.float64)
    ends = {}
    for name, make in {"linbreg": LinBreg, "proxsgd": ProxSGD}.items():
        w = torch.nn.Parameter(torch.tensor([0.5, 0.0], dtype=torch.float64))
        opt: Any = make([w], lr=0.125, lam=0.25)
        history = []
        for _ in range(400):
            w.grad = w.detach() - goal
            opt.step()
            history.append(w.detach().clone())
        ends[name] = history
    resting = [w.tolist() == [0.5, 0.0] for w in ends["linbreg"]]
    assert resting == [k < 5 for k in range(400)]  # awake after lam / (lr 0.375) = 5.3 steps
    torch.testing.assert_close(ends["linbreg"][-1], goal)  # a critical point of the loss alone
    torch.testing.assert_close(ends["proxsgd"][-1], goal - 0.25)  # the Lasso's solution: shrunk


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.7, 0.9)], ids=str)
def test_no_step_of_adabreg_is_longer_than_cauchy_schwarz_allows_and_some_are_that_long(
    betas: tuple[float, float],
) -> None:
    bound = (1 - betas[0]) / ((1 - betas[1]) * (1 - betas[0] ** 2 / betas[1])) ** 0.5
    assert betas != (0.9, 0.999) or bound == pytest.approx(7.27, abs=5e-3)
    w = torch.nn.Parameter(torch.zeros(50, dtype=torch.float64))
    opt = AdaBreg([w], lr=1.0, lam=0.2, betas=betas, eps=1e-30)
    generator = torch.Generator().manual_seed(0)
    longest = 0.0
    for k in range(9060):
        # a long silence, then gradients that grow by beta2 / beta1 a step; before it and beside it, heavy tails
        g = torch.randn(50, generator=generator, dtype=torch.float64) ** 5 if k % 10 == 0 else torch.zeros(50).double()
        g[0] = 0.0 if k < 9000 else (betas[1] / betas[0]) ** (k - 9000)
        before = opt.state[w]["dual"].clone() if k else torch.zeros_like(w)
        w.grad = g
        opt.step()
        longest = max(longest, float((opt.state[w]["dual"] - before).abs().max()))
    assert 0.99 * bound <= longest <= bound * (1 + 1e-9)
