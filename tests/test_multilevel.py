"""Coarse steps on the small network are the steps of the full network with its dead rows masked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from masked_twin import CASES, Case, MaskedTwin, assert_close, batches, everything, loss_of, make, train
from torch import Tensor, nn

import bregtutorial as bt


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def twins(case: Case, m: float | None, **options: Any) -> tuple[bt.Multilevel, MaskedTwin]:
    ml = bt.Multilevel(*make(case, **options), m, break_even=1.0)
    return ml, MaskedTwin(*make(case, **options), math.inf if m is None else m, case.hidden, case.seen)


def alive(model: nn.Module) -> Tensor:
    """Of every row of every weight, whether it is not zero."""
    return torch.cat([(p != 0).flatten(1).any(1) for p in model.parameters() if p.ndim > 1])


@pytest.mark.parametrize("options", [{}, {"momentum": 0.8, "delta": 1.5}], ids=["plain", "momentum"])
@pytest.mark.parametrize("name", CASES)
def test_coarse_steps_are_those_of_the_masked_network(name: str, options: dict[str, Any]) -> None:
    ml, twin = twins(CASES[name], 6, **options)
    before, woke = None, 0
    for x, y in batches(CASES[name], 22):
        fine = ml.network is ml.model
        small, full = train(ml, x, y), train(twin, x, y)
        torch.testing.assert_close(small, full, rtol=0, atol=1e-11)
        assert_close(everything(ml.model, ml.optimizer), everything(twin.model, twin.optimizer))
        now = alive(ml.model)
        woke += 0 if before is None or not fine else int((now & ~before).sum())
        before = now
    assert woke, "no row woke up: this tests little"
    assert sum(p.numel() for p in ml.network.parameters()) < 0.95 * sum(p.numel() for p in ml.model.parameters())


@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_without_end_it_trains_the_rows_that_the_first_step_left_alive(name: str) -> None:
    ml, twin = twins(CASES[name], None, momentum=0.8)
    first = None
    for x, y in batches(CASES[name], 25):
        train(ml, x, y), train(twin, x, y)
        assert_close(everything(ml.model, ml.optimizer), everything(twin.model, twin.optimizer))
        first = alive(ml.model) if first is None else first
        assert not (alive(ml.model) & ~first).any()
    assert (ml.fine_steps, ml.all_steps) == (1, 25)


@pytest.mark.parametrize("options", [{"momentum": 0.8}, {"kind": bt.AdaBreg, "lr": 0.01}], ids=["LinBreg", "AdaBreg"])
def test_without_coarse_steps_it_is_the_optimizer_itself_bit_for_bit(options: dict[str, Any]) -> None:
    case = CASES["padded"]
    ml = bt.Multilevel(*make(case, **options), 0)
    plain = MaskedTwin(*make(case, **options), 0, (), ())
    for x, y in batches(case, 5):
        train(ml, x, y), train(plain, x, y)
        assert ml.network is ml.model
    a, b = everything(ml.model, ml.optimizer), everything(plain.model, plain.optimizer)
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("options", [{"momentum": 0.8}, {"kind": bt.AdaBreg, "lr": 0.01}], ids=["LinBreg", "AdaBreg"])
@pytest.mark.parametrize("name", ["autoencoder", "resnet"])
def test_what_rests_keeps_its_bits(name: str, options: dict[str, Any]) -> None:
    ml, twin = twins(CASES[name], 5, **options)  # of the twin only the bookkeeping
    for step, (x, y) in enumerate(batches(CASES[name], 18)):
        twin.model, twin.params, twin.optimizer = ml.model, dict(ml.model.named_parameters()), ml.optimizer
        train(ml, x, y)
        ml.sync()
        if step % 6 == 0:
            rests = twin.rests()
            kept = {n: [t[r].clone() for t in twin.tensors(n)] for n, r in rests.items()}
            assert any(r.any() for r in rests.values())
        for n, r in rests.items():
            assert all(torch.equal(t[r], old) for t, old in zip(twin.tensors(n), kept[n], strict=True)), n


def test_a_row_that_dies_on_the_coarse_level_may_return_there() -> None:
    case = CASES["mlp"]
    ml, _ = twins(case, 6)
    died = returned = 0
    start = before = torch.tensor([])
    for step, (x, y) in enumerate(batches(case, 40)):
        train(ml, x, y)
        ml.sync()
        now = alive(ml.model)
        if step % 7 == 0:
            start = now
        else:
            assert not (now & ~start).any(), "only dense steps wake rows"
            died += int((before & ~now).sum())
            returned += int((now & ~before).sum())
        before = now
    assert died
    assert returned


def test_the_small_network_is_small_and_speaks_to_the_outside_as_the_full_one_does() -> None:
    case = CASES["autoencoder"]
    ml, _ = twins(case, 3)
    x, y = next(batches(case, 1))
    train(ml, x, y)
    rows = [int((ml.model[i].weight != 0).any(1).sum()) for i in (1, 3, 5, 7)]
    inputs = [16, *(n + 3 for n in rows[:-1])]  # behind live inputs: the constant, and twice nothing
    weights = [p for p in ml.network.parameters() if p.ndim == 2]
    assert [tuple(w.shape) for w in weights] == list(zip(rows, inputs, strict=True))
    assert ml.network(x).shape == ml.model(x).shape
    torch.testing.assert_close(ml.network(x), ml.model(x), rtol=0, atol=1e-12)


def test_adabreg_is_exact_where_dead_neurons_are_silent() -> None:
    case = CASES["mlp"]
    options = {"kind": bt.AdaBreg, "lr": 0.01}
    ml, twin = twins(case, 6, **options)
    for model in (ml.model, twin.model):
        for i in (1, 3):
            model[i].bias.data.copy_(-model[i].bias.data.abs())  # relu makes 0 of it
    woke = 0
    for x, y in batches(case, 40):
        before = alive(ml.model)
        torch.testing.assert_close(train(ml, x, y), train(twin, x, y), rtol=0, atol=1e-11)
        woke += int((alive(ml.model) & ~before).sum())
        assert_close(everything(ml.model, ml.optimizer), everything(twin.model, twin.optimizer))
    assert woke


class TurnedAda:
    """AdaBreg's coarse steps from their definition, with a full orthonormal basis of the dead inputs of a layer.

    The first basis vector is that of the constants; in the others nothing moves. Rows of the full width throughout.
    """

    def __init__(self, ml: bt.Multilevel, layer: str, before: str) -> None:
        self.rows = (ml.model[int(layer)].weight != 0).any(1)
        self.dead = ~(ml.model[int(before)].weight != 0).any(1)
        c = ml.model[int(before)].bias.detach()[self.dead].relu()
        start = torch.cat([c[:, None], torch.randn(len(c), len(c) - 1)], dim=1)
        basis = torch.linalg.qr(start)[0]
        self.basis = basis if basis[:, 0] @ c >= 0 else -basis
        p = ml.model[int(layer)].weight
        self.group = next(g for g in ml.param_groups if any(q is p for q in g["params"]))
        old = ml.optimizer.state[p]
        self.v, self.m1 = self.turn(old["dual"]), self.turn(old["exp_avg"])
        self.m2 = self.turn(torch.zeros_like(old["dual"]))
        self.m2[:, : -len(c)] = old["exp_avg_sq"][:, ~self.dead]
        self.m2[:, -len(c)] = old["exp_avg_sq"][:, self.dead].sum(1)
        self.rests = torch.arange(p.shape[1]) > p.shape[1] - len(c) - int(not c.any())
        self.k = int(old["step"])

    def turn(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, ~self.dead], x[:, self.dead] @ self.basis], dim=1)

    def back(self, x: Tensor) -> Tensor:
        whole = torch.empty_like(x)
        whole[:, ~self.dead] = x[:, : -len(self.basis)]
        whole[:, self.dead] = x[:, -len(self.basis) :] @ self.basis.T
        return whole

    def step(self, gradient: Tensor) -> Tensor:
        """The weights after a step."""
        g, self.k = self.turn(gradient), self.k + 1
        (b1, b2), eps, lr = self.group["betas"], self.group["eps"], self.group["lr"]
        self.m1 = torch.where(self.rests, self.m1, b1 * self.m1 + (1 - b1) * g)
        self.m2 = torch.where(self.rests, self.m2, b2 * self.m2 + (1 - b2) * g * g)
        move = lr * (self.m1 / (1 - b1**self.k)) / ((self.m2 / (1 - b2**self.k)).sqrt() + eps)
        self.v = torch.where(self.rests, self.v, self.v - move)
        return self.back(bt.reference.prox_group(self.v, self.group["lam"], "rows"))


def test_adabreg_takes_adams_step_along_the_constants() -> None:
    ml, full = twins(CASES["mlp"], 6, kind=bt.AdaBreg, lr=0.01)
    turned = []
    for step, (x, y) in enumerate(batches(CASES["mlp"], 34)):
        if step % 7:
            full.model.load_state_dict(ml.model.state_dict())
            gradients = torch.autograd.grad(loss_of(full.model(x), x, y), [full.model[i].weight for i in (3, 5)])
            expected = [t.step(g) for t, g in zip(turned, gradients, strict=True)]
        train(ml, x, y)
        ml.sync()
        if step % 7:
            for t, i, w in zip(turned, (3, 5), expected, strict=True):
                torch.testing.assert_close(ml.model[i].weight.detach()[t.rows], w[t.rows], rtol=0, atol=1e-10)
        else:
            turned = [TurnedAda(ml, "3", "1"), TurnedAda(ml, "5", "3")]
            assert all(t.dead.any() for t in turned)
