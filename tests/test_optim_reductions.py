"""Special settings in which the optimizers are old acquaintances, or can be followed by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from optim_table import draw
from torch import Tensor

from bregtutorial.optim import AdaBreg, LinBreg, ProxSGD
from bregtutorial.regularizers import L1, GroupL2, Regularizer, SparseGroupL2, Zero

each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def race(
    make_ours: Any, make_theirs: Any, dtype: torch.dtype, rates: Any = None, steps: int = 12
) -> tuple[Tensor, Tensor]:
    """Both optimizers from the same weights with the same gradients, some of them zero or tiny."""
    ends = []
    for make in (make_ours, make_theirs):
        w = torch.nn.Parameter(draw(7, 4, seed=0, dtype=dtype))
        opt = make([w])
        for k in range(steps):
            if rates is not None:
                opt.param_groups[0]["lr"] *= rates[k]
            g = draw(7, 4, seed=k + 1, dtype=dtype) * 10.0 ** (k % 5 - 3)
            w.grad = g * (g.abs() > 1e-4)
            opt.step()
        ends.append(w.detach())
    assert not torch.equal(ends[0], draw(7, 4, seed=0, dtype=dtype))
    return ends[0], ends[1]


@each_dtype
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize(
    ("reg", "lam"), [(Zero(), 7.0), (L1(), 0.0), (GroupL2("rows"), 0.0), (SparseGroupL2("columns"), 0.0)], ids=str
)
def test_without_j_linbreg_is_sgd_to_the_last_bit(
    reg: Regularizer, lam: float, foreach: bool, dtype: torch.dtype
) -> None:
    for delta in (1.0, 2.0, 0.5):  # powers of two: scaling by them rounds nothing
        ours, theirs = race(
            lambda p, d=delta: LinBreg(p, lr=0.1, reg=reg, lam=lam, delta=d, foreach=foreach),
            lambda p, d=delta: torch.optim.SGD(p, lr=0.1 * d, foreach=foreach),
            dtype,
        )
        assert torch.equal(ours, theirs)
    ours, theirs = race(
        lambda p: LinBreg(p, lr=0.1, reg=reg, lam=lam, delta=0.3), lambda p: torch.optim.SGD(p, lr=0.03), dtype
    )
    torch.testing.assert_close(ours, theirs)


@each_dtype
@pytest.mark.parametrize("foreach", [False, True])
def test_without_j_adabreg_is_adam_to_the_last_bit(foreach: bool, dtype: torch.dtype) -> None:
    for delta, betas, eps in ((1.0, (0.9, 0.999), 1e-8), (2.0, (0.5, 0.8), 1e-3)):
        shared: dict[str, Any] = {"betas": betas, "eps": eps, "foreach": foreach}
        ours, theirs = race(
            lambda p, d=delta, s=shared: AdaBreg(p, lr=0.1, reg=Zero(), delta=d, **s),
            lambda p, d=delta, s=shared: torch.optim.Adam(p, lr=0.1 * d, **s),
            dtype,
        )
        assert torch.equal(ours, theirs)


@each_dtype
def test_without_j_proxsgd_is_sgd_to_the_last_bit(dtype: torch.dtype) -> None:
    ours, theirs = race(
        lambda p: ProxSGD(p, lr=0.1, reg=Zero(), lam=3.0), lambda p: torch.optim.SGD(p, lr=0.1, foreach=False), dtype
    )
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "ours",
    [
        lambda p: LinBreg(p, lr=0.1, reg=Zero(), delta=0.3, momentum=0.9),
        lambda p: ProxSGD(p, lr=0.03, reg=Zero(), momentum=0.9),
    ],
    ids=["linbreg", "proxsgd"],
)
def test_without_j_momentum_is_sgd_with_a_smaller_rate(ours: Any) -> None:
    exact = race(ours, lambda p: torch.optim.SGD(p, lr=(1 - 0.9) * 0.03, momentum=0.9), torch.float64)
    torch.testing.assert_close(*exact, rtol=1e-12, atol=1e-13)
    # not the same as torch's dampening, whose first gradient counts in full
    damped = race(ours, lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.9, dampening=0.9), torch.float64)
    assert float((damped[0] - damped[1]).abs().max()) > 1e-5


def test_under_a_schedule_the_momentum_of_linbreg_lags_behind_and_that_of_proxsgd_does_not() -> None:
    def theirs(p: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(p, lr=(1 - 0.9) * 0.1, momentum=0.9)

    rates = [1.0] * 6 + [0.01] + [1.0] * 5
    a, b = race(lambda p: LinBreg(p, lr=0.1, reg=Zero(), momentum=0.9), theirs, torch.float64, rates)
    assert float((a - b).abs().max()) > 1e-2
    a, b = race(lambda p: ProxSGD(p, lr=0.1, reg=Zero(), momentum=0.9), theirs, torch.float64, rates)
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def constant(opt: Any, w: Tensor, g: Tensor, steps: int) -> list[Tensor]:
    history = []
    for _ in range(steps):
        w.grad = g.clone()
        opt.step()
        history.append(w.detach().clone())
    return history


def test_active_weights_move_as_in_sgd_whatever_lam_is() -> None:
    g = draw(40, seed=1)
    for lam in (0.0, 0.3, 5.0):
        w = torch.nn.Parameter(draw(40, seed=0).sign() * 3)
        before = w.detach().clone()
        after = constant(LinBreg([w], lr=0.01, lam=lam, delta=2.0), w, g, 1)[0]
        torch.testing.assert_close(after - before, -2.0 * 0.01 * g, rtol=0, atol=1e-13)
        shrunk = torch.nn.Parameter(before.clone())
        moved = constant(ProxSGD([shrunk], lr=0.01, lam=lam), shrunk, g, 1)[0] - before
        torch.testing.assert_close(moved, -0.01 * g - 0.01 * lam * before.sign(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("delta", [0.5, 1.0, 4.0])
def test_a_weight_wakes_when_it_has_gathered_more_than_lam(delta: float) -> None:
    g = torch.tensor([0.9, -0.37, 0.113, 0.0], dtype=torch.float64)
    w = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    history = torch.stack(constant(LinBreg([w], lr=0.1, lam=0.5, delta=delta), w, g, 60))
    for i, rate in enumerate(g.tolist()[:3]):
        wakes = math.floor(0.5 / (0.1 * abs(rate))) + 1
        alive = [bool(x) for x in history[:, i] != 0]
        assert alive == [k >= wakes for k in range(1, 61)]
        assert float(history[-1, i]) == pytest.approx(-math.copysign(delta * (60 * 0.1 * abs(rate) - 0.5), rate))
    assert not history[:, 3].any()


def test_under_adabreg_weights_wake_after_lam_over_lr_steps_whatever_the_gradients_size() -> None:
    g = torch.tensor([1e-3, -1.0, 1e4], dtype=torch.float64)
    w = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    history = torch.stack(constant(AdaBreg([w], lr=0.03, lam=0.2, eps=1e-12), w, g, 12))
    assert (history[:6] == 0).all()
    torch.testing.assert_close(
        history[6:], -g.sign() * torch.arange(0.01, 0.18, 0.03)[:, None].double(), rtol=0, atol=1e-8
    )


def test_momentum_only_delays_the_waking() -> None:
    g = torch.tensor([1.0], dtype=torch.float64)
    first = []
    for beta in (0.0, 0.9):
        w = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        history = constant(LinBreg([w], lr=0.1, lam=2.05, momentum=beta), w, g, 60)
        first.append(next(k for k, x in enumerate(history, start=1) if float(x) != 0))
    # the buffer gathers (1 - beta^k) lr g: in total beta / (1 - beta) = 9 steps are missing
    assert first == [21, next(k for k in range(60) if 0.1 * (k - 9 * (1 - 0.9**k)) > 2.05)]
    assert first[1] > first[0]
