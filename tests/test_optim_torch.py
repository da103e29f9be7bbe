"""What users of torch.optim take for granted: closures, groups, hooks, scalers, gradients that are missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from optim_table import CONV2D, Case, draw, each_case, one_step
from torch import Tensor, nn

import bregtutorial as bt
from bregtutorial.optim import AdaBreg, LinBreg, ProxSGD, _base
from bregtutorial.regularizers import L1, Zero


@each_case
def test_a_closure_is_called_once_with_gradients_and_its_loss_returned(case: Case) -> None:
    w = torch.nn.Parameter(draw(3, seed=0))
    opt = case([w])
    calls = []

    def closure() -> Tensor:
        calls.append(torch.is_grad_enabled())
        opt.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss

    with torch.no_grad():
        expected = w.square().sum()
        loss = opt.step(closure)
        assert not torch.is_grad_enabled()
    assert calls == [True]
    assert torch.equal(loss.detach(), expected)
    assert torch.equal(w.detach(), one_step(case, draw(3, seed=0), 2 * draw(3, seed=0)))
    assert opt.step() is None


@each_case
def test_maximising_is_minimising_the_negative(case: Case) -> None:
    w, g = draw(*CONV2D, seed=0), draw(*CONV2D, seed=1)
    for flag in (True, False):
        torch.testing.assert_close(
            one_step(case, w, g, maximize=flag), one_step(case, w, -g, maximize=not flag), rtol=0, atol=0
        )
    assert not torch.equal(one_step(case, w, g, maximize=True), one_step(case, w, g, maximize=False))


@each_case
def test_parameters_without_gradient_stay_and_get_no_state(case: Case) -> None:
    a, frozen, unused = (torch.nn.Parameter(draw(3, seed=s)) for s in range(3))
    frozen.requires_grad_(False)
    opt = case([a, frozen, unused])
    before = [x.detach().clone() for x in (frozen, unused)]
    for k in range(3):
        a.grad = draw(3, seed=k)
        opt.step()
    assert all(torch.equal(x, y) for x, y in zip((frozen, unused), before, strict=True))
    assert set(opt.state) <= {a}
    unused.grad = draw(3, seed=9)  # a latecomer: like the first step of an optimizer of its own
    alone = one_step(case, before[1], unused.grad)
    opt.step()
    assert torch.equal(unused.detach(), alone)


@each_case
def test_every_group_has_its_own_numbers(case: Case) -> None:
    g = draw(4, seed=0)
    params = [torch.nn.Parameter(draw(4, seed=1)) for _ in range(3)]
    settings: list[dict[str, Any]] = [{"lr": 0.5}, {"lam": 0.0}, {"reg": Zero(), "maximize": True}]
    opt = case([{"params": [p], **s} for p, s in zip(params, settings, strict=True)])
    for p in params:
        p.grad = g.clone()
    opt.step()
    for p, s in zip(params, settings, strict=True):
        assert torch.equal(p.detach(), one_step(case, draw(4, seed=1), g, **s))


@each_case
def test_a_gradient_scaler_skips_steps_with_overflow(case: Case) -> None:
    w = torch.nn.Parameter(draw(4, seed=0))
    opt = case([w])
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for bad in (True, False):
        opt.zero_grad()
        scaler.scale((w * draw(4, seed=1)).sum()).backward()
        if bad:
            w.grad[0] = torch.inf
        scaler.step(opt)
        scaler.update()
        assert torch.equal(w.detach(), draw(4, seed=0)) == bad
        assert not (bad and opt.state)
        assert scaler.get_scale() == 2.0
    assert torch.equal(w.detach(), one_step(case, draw(4, seed=0), draw(4, seed=1)))


@each_case
def test_hooks_printing_and_zero_grad(case: Case) -> None:
    w = torch.nn.Parameter(draw(4, seed=0))
    opt = case([("layer.weight", w)], reg=L1())
    seen = []
    opt.register_step_post_hook(lambda o, args, kwargs: seen.append(int(w.count_nonzero())))
    w.grad = draw(4, seed=1)
    opt.step()
    opt.zero_grad()
    assert seen == [int(w.count_nonzero())]
    assert w.grad is None
    text = repr(opt)
    assert text.startswith(case.cls.__name__)
    assert all(f"{key}: {opt.param_groups[0][key]}" in text for key in ("lr", "lam", "reg"))
    assert opt.param_groups[0]["param_names"] == ["layer.weight"]


@pytest.mark.parametrize("lr", [0.0, 0])
@pytest.mark.parametrize("cls", [LinBreg, AdaBreg, ProxSGD], ids=lambda c: c.__name__)
def test_a_rate_of_zero_moves_nothing(cls: Any, lr: float) -> None:
    w = torch.tensor([0.5, 0.0, -2.0])
    assert torch.equal(one_step(lambda p: cls(p, lr=lr, lam=0.25), w, torch.ones(3)), w)


def test_defaults_are_no_regularisation_by_the_one_norm() -> None:
    shared = {"reg": L1(), "lam": 0.0, "maximize": False, "foreach": None}
    own: list[tuple[Any, dict[str, Any]]] = [
        (LinBreg, {"lr": 0.1, "delta": 1.0, "momentum": 0.0}),
        (AdaBreg, {"lr": 1e-3, "delta": 1.0, "betas": (0.9, 0.999), "eps": 1e-8}),
        (ProxSGD, {"lr": 0.1, "momentum": 0.0}),
    ]
    for cls, settings in own:
        assert cls([torch.nn.Parameter(torch.ones(2))]).defaults == shared | settings


def test_weights_lend_their_memory_only_where_they_are_plain_and_nothing_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Sharded(Tensor):
        pass

    p = torch.nn.Parameter(torch.ones(2))
    assert _base.scratch(p) is p
    assert _base.scratch(torch.ones(2).as_subclass(Sharded)) is None
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert _base.scratch(p) is None


def test_multi_tensor_kernels_are_for_plain_parameters_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_base, "is_plain", lambda p: p.plain)
    gpu, cpu, sharded = (SimpleNamespace(is_cuda=c, plain=p) for c, p in ((True, True), (False, True), (True, False)))
    for params, fast in (([gpu, gpu], True), ([gpu, cpu], False), ([cpu], False), ([gpu, sharded], False), ([], False)):
        assert _base.use_foreach({"foreach": None}, params) is fast
        assert _base.use_foreach({"foreach": True}, params) is bool(params)
        assert _base.use_foreach({"foreach": False}, params) is False


@pytest.mark.parametrize("cls", [bt.LinBreg, bt.AdaBreg, bt.ProxSGD])
def test_two_optimizers_from_one_list_of_groups_share_nothing(cls: Any) -> None:
    groups = bt.parameter_groups(nn.Linear(3, 2), lam=0.1)
    bt.LinBreg(groups, lr=0.3, momentum=0.5)  # its settings must not get into the list
    one, two = cls(groups, lr=0.1), cls(groups, lr=0.2)
    one.param_groups[0]["lam"] = 7.0
    assert [opt.param_groups[0]["lr"] for opt in (one, two)] == [0.1, 0.2]
    assert two.param_groups[0]["lam"] == groups[0]["lam"] == 0.1
