"""The exact flow against its definition, and LinBreg against the flow: sparse regression with a known truth."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch

import bregtutorial as bt
from bregtutorial.inverse_scale_space import Array, ScaleSpacePath, inverse_scale_space

pytest.importorskip("scipy")
from scipy.optimize import linprog

Problem = tuple[Array, Array, Array]


def problem(m: int, n: int, values: list[float], noise: float, seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m, n)) / m**0.5
    truth = np.zeros(n)
    truth[rng.choice(n, len(values), replace=False)] = values
    return A, A @ truth + noise * rng.standard_normal(m), truth


NOISY = problem(40, 80, [2, -1.5, 1.2, -0.8], 0.05, seed=8)
CLEAN = problem(30, 60, [2, -1.5, 1], 0.0, seed=4)
TALL = problem(50, 12, [1, -1, 2, -2, 0.5], 0.3, seed=3)
PROBLEMS = {"noisy": NOISY, "clean": CLEAN, "tall": TALL}
PATHS = {name: inverse_scale_space(A, f) for name, (A, f, _) in PROBLEMS.items()}
each_problem = pytest.mark.parametrize("name", PROBLEMS)


def linbreg(A: Array, f: Array, *, lr: float, lam: float, delta: float, steps: int, each: Callable = lambda k, w, v: 0):
    """LinBreg on the problem; `each` sees step, weights and dual after every step."""
    At, ft = torch.from_numpy(A), torch.from_numpy(f)
    w = torch.nn.Parameter(torch.zeros(A.shape[1], dtype=torch.float64))
    opt = bt.LinBreg([w], lr=lr, lam=lam, delta=delta)
    for k in range(1, steps + 1):
        w.grad = At.T @ (At @ w.detach() - ft)
        opt.step()
        each(k, w.detach().numpy(), opt.state[w]["dual"].numpy())
    return w.detach().numpy().copy()


def loss(A: Array, f: Array, w: Array) -> float:
    return float(np.square(A @ w - f).sum()) / 2


@each_problem
def test_the_path_starts_at_zero_and_first_moves_when_the_largest_correlation_has_gathered_one(name: str) -> None:
    (A, f, _), path = PROBLEMS[name], PATHS[name]
    assert path.times[0] == 0
    assert not path.weights[0].any()
    assert path.times[1] == pytest.approx(1 / np.abs(A.T @ f).max(), rel=1e-12)
    assert np.count_nonzero(path.weights[1]) == 1
    assert (np.diff(path.times) > 0).all()


@each_problem
def test_p_is_a_subgradient_at_all_times_and_moves_with_the_gradient(name: str) -> None:
    (A, f, _), path = PROBLEMS[name], PATHS[name]
    for start, end in pairwise(path.times):
        for share in (0.0, 0.3, 0.999):
            w, p = path.at(start + share * (end - start))
            assert np.abs(p).max() <= 1 + 1e-9
            assert p @ w == pytest.approx(np.abs(w).sum(), rel=1e-9)
        (w, p), (_, q) = path.at(start), path.at(end)
        np.testing.assert_allclose((q - p) / (end - start), A.T @ (f - A @ w), atol=2e-9 * np.abs(A.T @ f).max())


@each_problem
def test_the_residual_falls_at_every_event_and_ends_where_the_gradient_vanishes(name: str) -> None:
    (A, f, _), path = PROBLEMS[name], PATHS[name]
    residuals = [np.linalg.norm(f - A @ w) for w in path.weights]
    assert all(b < a for a, b in pairwise(residuals))
    assert np.abs(A.T @ (f - A @ path.weights[-1])).max() <= 1e-9 * np.abs(A.T @ f).max()


@each_problem
def test_the_distance_to_the_truth_falls_while_the_truth_fits_better(name: str) -> None:
    (A, f, truth), path = PROBLEMS[name], PATHS[name]
    distances = [np.abs(truth).sum() - p @ truth for p in path.subgradients]
    assert min(distances) >= -1e-9
    for k, (start, end) in enumerate(pairwise(path.times)):
        most = (end - start) * (loss(A, f, truth) - loss(A, f, path.weights[k]))
        assert distances[k + 1] - distances[k] <= most + 1e-9


def test_orthonormal_columns_give_a_hard_threshold_and_the_lasso_a_soft_one() -> None:
    A, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 8)))
    c = np.array([3.0, -2.0, 1.5, -1.0, 0.6, 0.3, -0.2, 0.1])
    path = inverse_scale_space(A, A @ c)
    np.testing.assert_allclose(path.times[1:], 1 / np.abs(c), rtol=1e-9)
    for t in (0.2, 0.4, 0.9, 1.2, 4.0, 20.0):
        np.testing.assert_allclose(path.at(t)[0], np.where(np.abs(c) >= 1 / t, c, 0), atol=1e-12)


def test_orthonormal_columns_linbreg_reaches_the_full_size_at_the_rate_delta() -> None:
    c, lam, delta, lr, t = np.array([3.0, -1.0, 0.2]), 0.5, 2.0, 1e-3, 1.7
    w = linbreg(np.eye(3), c, lr=lr, lam=lam, delta=delta, steps=int(t / lr))
    predicted = c * (1 - np.exp(-delta * np.maximum(t - lam / np.abs(c), 0)))
    np.testing.assert_allclose(w, predicted, atol=5e-3)
    assert w[2] == 0


def test_linbreg_approaches_the_exact_path_as_delta_grows() -> None:
    A, f, _ = NOISY
    path, rate = PATHS["noisy"], np.linalg.norm(A, 2) ** 2
    middles = (path.times[:6] + path.times[1:7]) / 2
    worst, median = [], []
    for delta in (10, 100, 300):
        lr, gaps = 0.9 / (delta * rate), []

        def compare(k: int, w: Array, v: Array, lr: float = lr, gaps: list[float] = gaps) -> None:
            if len(gaps) < len(middles) and k * lr >= middles[len(gaps)]:
                gaps.append(float(np.linalg.norm(w - path.at(middles[len(gaps)])[0])))

        linbreg(A, f, lr=lr, lam=1.0, delta=delta, steps=int(middles[-1] / lr) + 2, each=compare)
        worst.append(max(gaps))
        median.append(np.median(gaps))
    assert worst[0] > 0.5
    assert worst[0] > 3 * worst[1] > 9 * worst[2]
    assert median[2] < 1e-8


def test_the_dual_of_linbreg_never_leaves_the_range_of_the_transposed_matrix() -> None:
    A, f, _ = CLEAN
    off = np.eye(60) - np.linalg.pinv(A) @ A
    seen = []
    linbreg(A, f, lr=0.1, lam=1.0, delta=1.0, steps=300, each=lambda k, w, v: seen.append(np.abs(off @ v).max()))
    assert max(seen) < 1e-12


def basis_pursuit(A: Array, f: Array) -> Array:
    n = A.shape[1]
    parts = linprog(np.ones(2 * n), A_eq=np.hstack([A, -A]), b_eq=f).x
    return parts[:n] - parts[n:]


def test_the_end_of_the_flow_is_basis_pursuit_and_of_linbreg_too_if_lam_is_large() -> None:
    A, f, truth = CLEAN
    goal, rate = basis_pursuit(A, f), np.linalg.norm(A, 2) ** 2
    np.testing.assert_allclose(goal, truth, atol=1e-9)
    np.testing.assert_allclose(PATHS["clean"].weights[-1], goal, atol=1e-9)
    large = linbreg(A, f, lr=1 / rate, lam=20.0, delta=1.0, steps=500)
    np.testing.assert_allclose(large, goal, atol=1e-9)
    small = linbreg(A, f, lr=1 / rate, lam=0.3, delta=1.0, steps=5000)
    assert np.linalg.norm(A @ small - f) < 1e-6  # it solves the equations, by another solution
    assert np.abs(small).sum() > 1.2 * np.abs(goal).sum()


def test_the_limit_minimises_the_elastic_net_among_all_solutions() -> None:
    A, f, _ = CLEAN
    kernel = np.linalg.svd(A)[2][30:]
    w = linbreg(A, f, lr=1 / np.linalg.norm(A, 2) ** 2, lam=0.3, delta=1.0, steps=4_000)

    def value(u: Array) -> float:
        return float(0.3 * np.abs(u).sum() + u @ u / 2)

    assert np.linalg.norm(A @ w - f) < 1e-9
    for size in (1e-3, 1.0):
        for direction in np.random.default_rng(1).standard_normal((50, 30)):
            step = size * direction @ kernel
            assert value(w + step) >= value(w) + step @ step / 2 - 1e-7  # strong convexity, from the minimiser on


def test_stopped_early_the_flow_is_least_squares_on_the_true_support_and_at_the_end_it_fits_noise() -> None:
    A, f, truth = NOISY
    path, support = PATHS["noisy"], truth != 0
    oracle = np.zeros_like(truth)
    oracle[support] = np.linalg.lstsq(A[:, support], f, rcond=None)[0]
    errors = np.linalg.norm(path.weights - truth, axis=1)
    best = path.weights[errors.argmin()]
    np.testing.assert_allclose(best, oracle, atol=1e-12)
    noise = 0.05 * 40**0.5
    stop = next(k for k, w in enumerate(path.weights) if np.linalg.norm(A @ w - f) <= noise)
    assert stop == errors.argmin()  # the discrepancy principle finds it here
    assert np.count_nonzero(path.weights[-1]) == 40
    assert errors[-1] > 3 * errors.min()


def test_a_late_stop_changes_nothing_before_it() -> None:
    A, f, _ = NOISY
    whole, part = PATHS["noisy"], inverse_scale_space(A, f, until=7.0)
    k = len(part.times)
    assert 1 < k < len(whole.times)
    assert part.times[-1] <= 7.0 < whole.times[k]
    np.testing.assert_array_equal(part.weights, whole.weights[:k])


def test_no_data_no_path_and_twin_columns_share() -> None:
    nothing = inverse_scale_space(np.ones((3, 2)), np.zeros(3))
    assert nothing.times.tolist() == [0.0]
    A = np.array([[1.0, 1.0], [0.0, 0.0]])
    twins = inverse_scale_space(A, np.array([2.0, 0.0]))
    assert twins.times.tolist() == [0.0, 0.5]
    assert twins.weights[-1].sum() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("A", "f", "until", "message"),
    [
        (np.ones(3), np.ones(3), 1.0, r"A must have the shape \(m, n\) and f the shape \(m,\), got \(3,\)"),
        (np.ones((3, 2)), np.ones(2), 1.0, r"got \(3, 2\) and \(2,\)"),
        (np.ones((1, 1)), [np.nan], 1.0, "must be finite"),
        (np.ones((1, 1)), [1.0], -1.0, r"until must be a time >= 0, got -1.0"),
    ],
)
def test_errors_name_the_argument(A: Array, f: Array, until: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inverse_scale_space(A, f, until=until)


@pytest.mark.parametrize("t", [-1.0, np.nan])
def test_there_is_no_time_before_zero(t: float) -> None:
    path: ScaleSpacePath = PATHS["clean"]
    with pytest.raises(ValueError, match="t must be >= 0"):
        path.at(t)
