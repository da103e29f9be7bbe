"""The theorems of the chapter "Convergence": each inequality holds, and fails when a constant is better than it can be.

Means over noise are exact: the noise takes 2n values, and a step is made with each of them.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from quadratics import (
    DELTA,
    LAM,
    NOISES,
    ROUND,
    SIGMA,
    SPARSE,
    STARTS,
    Pair,
    Problem,
    duals_around,
    mean,
    noisy_steps,
    vector,
)
from torch import Tensor

import bregtutorial as bt
from bregtutorial import certificates as cert


def decay_gaps(problem: Problem, factor: float, start: Tensor, claimed: float = 1.0) -> list[float]:
    lr = factor / (DELTA * problem.smooth)
    settings = {"lr": lr, "delta": DELTA, "smoothness": claimed * problem.smooth}
    path = problem.path(lr, 60, start)
    return [cert.loss_decay_gap((problem.loss(a[0]), problem.loss(b[0])), a, b, **settings) for a, b in pairwise(path)]


@pytest.mark.parametrize("factor", [1.0, 1.9, 1.99, 2.05])
@pytest.mark.parametrize("start", STARTS, ids=["sparse", "dense"])
def test_theorem_2_holds_at_every_step_also_above_the_bound(factor: float, start: Tensor) -> None:
    assert min(decay_gaps(SPARSE, factor, start)) >= -1e-12


@pytest.mark.parametrize("factor", [1.0, 1.9, 1.99])
def test_theorem_2_is_false_for_one_percent_less_smoothness(factor: float) -> None:
    assert max(map(abs, decay_gaps(ROUND, factor, STARTS[1]))) < 1e-12  # attained
    assert min(decay_gaps(ROUND, factor, STARTS[1], claimed=0.99)) < -1e-3


@pytest.mark.parametrize(("factor", "decays"), [(1.99, True), (2.05, False)])
def test_theorem_2_bounds_the_step(factor: float, decays: bool) -> None:
    losses = [ROUND.loss(w) for w, _ in ROUND.path(factor / (DELTA * ROUND.smooth), 40, STARTS[1])]
    assert all(b <= a for a, b in pairwise(losses)) == decays


def mean_decay_gap(problem: Problem, here: Pair, ahead: list[Pair], lr: float, c: float, noise: float) -> float:
    """Right minus left side of Theorem 2 with a coefficient (2 - delta tau L - c) and `noise` * delta tau sigma^2."""
    settings = {"lr": lr, "delta": DELTA, "smoothness": problem.smooth + c / (DELTA * lr)}
    loss = problem.loss(here[0])
    gap = mean(lambda pair: cert.loss_decay_gap((loss, problem.loss(pair[0])), here, pair, **settings), ahead)
    return gap + noise * DELTA * lr * SIGMA**2


@pytest.mark.parametrize("c", [0.1, 0.5, 0.9])
def test_theorem_2_holds_in_the_mean(c: float) -> None:
    for here, ahead, lr in noisy_steps(SPARSE, lambda k: 1 / (DELTA * SPARSE.smooth), 60):
        assert mean_decay_gap(SPARSE, here, ahead, lr, c, 1 / (2 * c)) >= -1e-12
        assert mean_decay_gap(SPARSE, here, ahead, lr, 0.0, 1.0) >= -1e-12  # a second form


def test_theorem_2_has_no_room_for_one_percent_less_noise() -> None:
    """Both forms are attained without regularizer: the paper's at the minimiser for c = 1, the second everywhere."""
    lr, goal = 0.8 / (DELTA * ROUND.smooth), ROUND.start(ROUND.target)
    ahead = [ROUND.step(goal, lr, noise) for noise in NOISES]
    for c, noise in ((1.0, 0.5), (0.0, 1.0)):
        assert abs(mean_decay_gap(ROUND, goal, ahead, lr, c, noise)) < 1e-12
        assert mean_decay_gap(ROUND, goal, ahead, lr, c, 0.99 * noise) < -1e-4


def test_corollary_3_the_moves_of_all_steps_have_a_finite_sum_and_the_bound_is_attained() -> None:
    for problem, attained in ((SPARSE, False), (ROUND, True)):
        lr = 0.5 / (DELTA * problem.smooth)
        total, coefficient = 0.0, (2 - DELTA * lr * problem.smooth) / (2 * DELTA)
        for (w, v), (w_new, v_new) in pairwise(problem.path(lr, 200, STARTS[0])):
            squared = float((w_new - w).square().sum())
            total += float(((v_new - v) * (w_new - w)).sum()) - squared / DELTA + coefficient * squared
        assert total <= lr * problem.loss(STARTS[0]) * (1 + 1e-12)
        assert (total > 0.99 * lr * problem.loss(STARTS[0])) == attained


def test_convex_losses_fall_like_one_over_k() -> None:
    for start in STARTS:
        lr = 1 / (DELTA * SPARSE.smooth)
        path = SPARSE.path(lr, 200, start)
        for k, pair in enumerate(path[1:], start=1):
            assert SPARSE.loss(pair[0]) <= SPARSE.distance(path[0]) / (lr * k) + 1e-12


def test_one_over_k_is_attained_by_a_sleeper_up_to_one_percent() -> None:
    """Loss |w - 1|, rounded below eps: the weight sleeps until the bound has come down to its loss."""
    eps, lam, v = 0.01, 100.0, -100.0
    lr, k = eps / DELTA, 0
    first = 2 * lam + 1 / (2 * DELTA)
    loss, ratio = 1 - eps / 2, 0.0
    while v <= lam:  # w = 0, the slope is -1
        v, k = v + lr, k + 1
        ratio = loss / (first / (lr * k)) if v <= lam else ratio
    assert 0.99 < ratio <= 1


def test_theorem_6_holds_in_the_mean_for_decaying_steps() -> None:
    """Its constant mu / 4 is not sharp: the chapter's proof has mu - delta tau L^2 / 2 >= 3 mu / 4."""
    first = SPARSE.mu / (2 * DELTA * SPARSE.smooth**2)
    for p in (0.6, 1.0):
        for here, ahead, lr in noisy_steps(SPARSE, lambda k, p=p: first / (k + 1) ** p, 60):
            distances = SPARSE.distance(here), mean(SPARSE.distance, ahead)
            error = mean(lambda pair: float((pair[0] - SPARSE.target).square().sum()), ahead)
            moved = mean(lambda pair, w=here[0]: float((pair[0] - w).square().sum()), ahead)
            for mu in (SPARSE.mu, 3 * SPARSE.mu):
                gap = cert.norm_descent_gap(distances, error, lr=lr, mu=mu, sigma=SIGMA, squared_move=moved)
                assert gap >= -1e-12


def sharp_norm_gap(problem: Problem, lr: float, claimed: float = 1.0) -> float:
    """Theorem 6 without noise and with mu - delta tau L^2 / 2 for mu / 4."""
    here = problem.start(STARTS[1])
    after = problem.step(here, lr)
    constant = claimed * (problem.mu - DELTA * lr * problem.smooth**2 / 2)
    error = float((after[0] - problem.target).square().sum())
    return cert.norm_descent_gap((problem.distance(here), problem.distance(after)), error, lr=lr, mu=4 * constant)


def test_theorem_6_sharp_constant_is_attained_by_small_steps_and_at_the_largest() -> None:
    small, largest = 1e-3 / (DELTA * ROUND.smooth), 2 * ROUND.mu / (DELTA * ROUND.smooth**2)
    assert sharp_norm_gap(ROUND, small) >= 0
    assert sharp_norm_gap(ROUND, small, claimed=1.01) < 0
    assert abs(sharp_norm_gap(ROUND, largest)) < 1e-12
    far = ROUND.path(1.01 * largest, 1, STARTS[1])
    assert ROUND.distance(far[1]) > ROUND.distance(far[0])


def test_corollary_10_the_norm_bounds_the_distance_and_the_bound_is_attained() -> None:
    for w, v in duals_around(SPARSE, 400):
        error = w - SPARSE.target
        bound = 2 * LAM * float(error.abs().sum()) + float(error.square().sum()) / (2 * DELTA)
        assert SPARSE.distance((w, v)) <= bound + 1e-12
    asleep = STARTS[0], -LAM * SPARSE.target.sign()
    steep = float(SPARSE.target.abs().sum())
    attained = 2 * LAM * steep + float(SPARSE.target.square().sum()) / (2 * DELTA)
    assert SPARSE.distance(asleep) == pytest.approx(attained, rel=1e-12)


def test_a5_follows_from_a4_for_the_one_norm_and_nu_is_attained() -> None:
    ratios = [SPARSE.loss(w) / SPARSE.distance((w, v)) for w, v in duals_around(SPARSE, 4000)]
    assert min(ratios) >= SPARSE.nu
    one = Problem(torch.ones(1, 1, dtype=torch.float64), vector(0.8))
    assert one.loss(vector(0)) / one.distance((vector(0), vector(-LAM))) == pytest.approx(one.nu, rel=1e-12)


@pytest.mark.parametrize("factor", [0.25, 1.0, 2.0])
def test_theorem_11_contracts_in_the_mean(factor: float) -> None:
    """Not sharp: for tau <= 1 / (delta L) the chapter's proof has the factor 1 - tau nu, and half of the noise."""
    settings = {"nu": SPARSE.nu, "delta": DELTA, "smoothness": SPARSE.smooth, "sigma": SIGMA}
    for rate in (factor * SPARSE.nu / (4 * DELTA**2 * SPARSE.smooth**2), min(factor, 1) / (DELTA * SPARSE.smooth)):
        for here, ahead, lr in noisy_steps(SPARSE, lambda k, rate=rate: rate, 60):
            before, after = SPARSE.distance(here), mean(SPARSE.distance, ahead)
            assert cert.contraction_gap((before, after), lr=lr, **settings) >= -1e-12
            assert after <= (1 - lr * SPARSE.nu) * before + DELTA * (lr * SIGMA) ** 2 / 2 + 1e-12


def test_theorem_11_sharp_form_for_quadratic_losses_is_attained() -> None:
    """1 - tau nu (2 - delta tau L), and half of the theorem's noise: equalities for one curvature and J = 0."""
    for factor in (0.1, 1.0, 1.9):
        for problem in (SPARSE, ROUND):
            lr = factor / (DELTA * problem.smooth)
            contraction = lr * problem.nu * (2 - DELTA * lr * problem.smooth)
            noise = DELTA * (lr * SIGMA) ** 2 / 2
            here = problem.start(STARTS[1])
            before = problem.distance(here)
            after = mean(problem.distance, [problem.step(here, lr, noise) for noise in NOISES])
            gap = (1 - contraction) * before + noise - after
            assert gap >= -1e-12
            if problem is ROUND:
                assert gap < 1e-12
                assert gap - 0.01 * contraction * before < -1e-4
                assert gap - 0.01 * noise < -1e-6


def test_corollary_12_one_over_k_with_the_best_constant() -> None:
    """The recursion d <- (1 - tau nu) d + delta (tau sigma)^2 / 2 with tau = 2 / (nu (k + k0)), as an equation."""
    nu, start = SPARSE.nu, 3.0
    shift = math.ceil(2 * DELTA * SPARSE.smooth / nu)
    best = 2 * DELTA * SIGMA**2 / nu**2
    for d0 in (0.0, start):
        d, bound = d0, max(shift * d0, best)
        for k in range(20000):
            assert d <= bound / (k + shift) * (1 + 1e-12)
            lr = 2 / (nu * (k + shift))
            d = (1 - lr * nu) * d + DELTA * (lr * SIGMA) ** 2 / 2
        assert d > 0.99 * best / (20000 + shift)


def test_corollary_12_needs_a_large_factor() -> None:
    """With tau = c / k and c too small the distance falls like a smaller power of k; here 1/2."""
    w, ends = 1.0, []
    for k in range(1, 4 * 10**4 + 1):
        w *= 1 - 0.25 / k  # J = 0, mu = 1, c mu delta = 1/4: the squared error falls like k^(-1/2)
        if k in (10**4, 4 * 10**4):
            ends.append(w**2)
    assert math.log(ends[1] / ends[0]) / math.log(4) == pytest.approx(-0.5, abs=1e-4)


def test_example_1_ends_where_the_gradient_is_not_zero() -> None:
    w = torch.nn.Parameter(vector(1.0))
    opt = bt.LinBreg([w], lr=0.1, reg=bt.L1NonNegative(), lam=0.0, delta=DELTA)  # J: 0 on w >= 0, else infinite
    history = []
    for _ in range(40):
        w.grad = 2 * (w.detach() + 1)
        opt.step()
        history.append(w.item())
    assert 0.0 in history[: math.ceil(1.0 / (2 * DELTA * 0.1))]  # as many steps as the chapter's proof allows
    assert history[-1] == 0.0
    assert w.grad is not None
    assert w.grad.item() == 2.0
    assert float(bt.L1NonNegative().value(vector(-1.0))) == math.inf


def test_the_gaps_count_the_noise_as_the_theorems_do() -> None:
    assert cert.norm_descent_gap((1.0, 1.0), 0.0, lr=0.5, mu=1.0, sigma=2.0, squared_move=3.0) == 3.25
    assert cert.contraction_gap((0.0, 0.0), lr=0.5, nu=1.0, delta=2.0, smoothness=1.0, sigma=3.0) == 4.5
