"""The fast optimizers against their slow twins after every step, state included; multi-tensor kernels against loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim_table import CONV2D, Case, draw, each_case, each_reg, slow_run, start
from torch import Tensor

from bregtutorial.optim import LinBreg, ProxSGD
from bregtutorial.regularizers import L1, GroupL2, Regularizer, SparseGroupL2, Zero


@each_case
@each_reg
def test_every_step_is_the_step_of_the_book(case: Case, reg: Regularizer) -> None:
    w = torch.nn.Parameter(start(reg))
    opt = case([w], reg=reg)
    grads = [draw(*CONV2D, seed=k) for k in range(8)]
    for g, expected in zip(grads, slow_run(opt, w.detach().clone(), grads), strict=True):
        w.grad = g.clone()
        opt.step()
        found = {"w": w.detach(), **opt.state[w]}
        assert found.keys() == expected.keys()
        for key in found:
            # float64; not bitwise: the fast code scales and subtracts in one rounding
            torch.testing.assert_close(
                found[key].double(), expected[key].double(), rtol=1e-9, atol=1e-10, msg=lambda m, key=key: f"{key}: {m}"
            )
        assert torch.equal(w.grad, g)
    assert not torch.equal(w.detach(), start(reg))


@pytest.mark.parametrize("reg", [L1(), Zero()], ids=str)
@pytest.mark.parametrize(
    "case",
    [
        Case("linbreg", LinBreg, {"delta": 2.0}),
        Case("momentum", LinBreg, {"momentum": 0.5}),
        Case("proxsgd", ProxSGD, {"momentum": 0.5}),
    ],
    ids=str,
)
def test_where_arithmetic_is_exact_both_agree_to_the_last_bit(case: Case, reg: Regularizer) -> None:
    def dyadic(seed: int) -> Tensor:  # multiples of 1/64, so that nothing is ever rounded
        return (draw(6, 5, seed=seed) * 64).round() / 64

    w = torch.nn.Parameter(dyadic(99))
    opt = case([w], reg=reg, lr=0.25, lam=0.125)
    grads = [dyadic(k) for k in range(8)]
    for g, expected in zip(grads, slow_run(opt, w.detach().clone(), grads), strict=True):
        w.grad = g
        opt.step()
        for key, found in {"w": w.detach(), **opt.state[w]}.items():
            assert torch.equal(found, expected[key]), key


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reg", [L1(), Zero(), GroupL2("rows"), SparseGroupL2("columns")], ids=str)
@each_case
def test_multi_tensor_kernels_are_the_loop_to_the_last_bit(case: Case, reg: Regularizer, dtype: torch.dtype) -> None:
    shapes: list[tuple[int, ...]] = [(6, 5), (0, 5), (3, 2, 2), (1, 7)]
    shapes += [(), (4,)] if reg.name in ("l1", "zero") else []
    runs = []
    for foreach in (True, False):
        params = [torch.nn.Parameter(draw(*s, seed=i, dtype=dtype)) for i, s in enumerate(shapes)]
        opt = case(params, reg=reg, foreach=foreach)
        for k in range(7):
            for i, p in enumerate(params):
                p.grad = None if k == 3 and i == 0 else draw(*p.shape, seed=20 * k + i, dtype=dtype)
            opt.step()
        opt.zero_grad()
        opt.step()  # nothing has a gradient: the kernels must not see an empty list
        runs.append([(p.detach(), opt.state[p]) for p in params])
    for (p, state), (q, other) in zip(*runs, strict=True):
        assert torch.equal(p, q)
        assert state.keys() == other.keys()
        assert all(torch.equal(state[key], other[key]) for key in state)


def test_a_subclass_of_l1_keeps_its_own_prox_under_foreach() -> None:
    class Half(L1):
        def prox(self, v: Tensor, t: float | Tensor) -> Tensor:
            return v / 2

    w = torch.nn.Parameter(torch.tensor([0.5, 0.0]))
    opt: Any = LinBreg([w], lr=0.1, lam=1.0, reg=Half(), foreach=True)
    w.grad = torch.tensor([0.0, 1.0])
    opt.step()
    assert w.detach().tolist() == pytest.approx([0.75, -0.05])


def test_a_subgradient_that_returns_its_argument_does_no_harm() -> None:
    class Square(Zero):  # w is the gradient of |w|^2 / 2
        def subgradient(self, w: Tensor) -> Tensor:
            return w

    w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    opt = LinBreg([w], lr=0.1, lam=3.0, reg=Square())
    w.grad = torch.zeros(2)
    opt.step()
    assert opt.state[w]["dual"].tolist() == [4.0, 8.0]
