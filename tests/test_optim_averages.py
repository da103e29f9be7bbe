"""Averages over steps: those of weights lose zeros, those of duals keep what a prox makes of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim_table import Case, draw, each_dual_case, start
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import bregtutorial as bt

STEPS = 12
MAKE = {
    "LinBreg": lambda net: bt.LinBreg(bt.parameter_groups(net, lam=0.05), lr=0.2),
    "AdaBreg": lambda net: bt.AdaBreg(bt.parameter_groups(net, lam=0.05), lr=0.02),
}


class Duals:
    """The plain average of every dual, and how to read weights off it."""

    def __init__(self, opt: Any) -> None:
        self.opt, self.steps, self.means = opt, 0, {}

    def update(self) -> None:
        """Take the present duals in."""
        self.steps += 1
        for p, state in self.opt.state.items():
            self.means.setdefault(p, torch.zeros_like(p)).lerp_(state["dual"], 1 / self.steps)

    def weights(self) -> dict[Tensor, Tensor]:
        """The prox of the averages."""
        groups = [(g, p) for g in self.opt.param_groups for p in g["params"]]
        return {p: g["reg"].prox(g["delta"] * self.means[p], g["delta"] * g["lam"]) for g, p in groups}


def train(make: Any, *averages: Any) -> tuple[nn.Module, Any, list[Any]]:
    net = bt.models.mlp((12, 15, 4), generator=torch.Generator().manual_seed(0)).double()
    bt.sparse_init_(net, density=0.3, generator=torch.Generator().manual_seed(1))
    opt = make(net)
    kept = [average(net, opt) for average in averages]
    for k in range(STEPS):
        x = draw(16, 12, seed=k)
        opt.zero_grad()
        F.cross_entropy(net(x), x[:, :4].argmax(1)).backward()
        opt.step()
        for average in kept:
            average.update() if isinstance(average, Duals) else average.update_parameters(net)
    return net, opt, kept


@pytest.mark.parametrize("ema", [None, 0.8], ids=["mean", "ema"])
@pytest.mark.parametrize("make", MAKE)
def test_an_averaged_model_only_looks_on_and_has_more_weights(make: str, ema: float | None) -> None:
    options = {} if ema is None else {"multi_avg_fn": get_ema_multi_avg_fn(ema)}
    net, opt, (average,) = train(MAKE[make], lambda net, opt: AveragedModel(net, **options))
    alone, lonely, _ = train(MAKE[make])
    for p, q in zip(net.parameters(), alone.parameters(), strict=True):
        assert torch.equal(p, q)
        assert torch.equal(opt.state[p]["dual"], lonely.state[q]["dual"])
    for p, mean in zip(net.parameters(), average.module.parameters(), strict=True):
        assert bool((mean[p != 0] != 0).all())
    assert bt.density(average.module) > bt.density(net)


@pytest.mark.parametrize("make", MAKE)
def test_the_prox_of_averaged_duals_is_sparse_and_the_average_where_no_sign_changed(make: str) -> None:
    history: list[list[Tensor]] = []

    class Noted(AveragedModel):
        def update_parameters(self, model: nn.Module) -> None:
            history.append([p.detach().clone() for p in model.parameters()])
            super().update_parameters(model)

    net, opt, (average, duals) = train(MAKE[make], lambda net, opt: Noted(net), lambda net, opt: Duals(opt))
    weights = duals.weights()
    for i, (p, mean) in enumerate(zip(net.parameters(), average.module.parameters(), strict=True)):
        signs = torch.stack([w[i].sign() for w in history])
        steady = (signs == signs[0]).all(0)
        torch.testing.assert_close(weights[p][steady], mean[steady], rtol=1e-9, atol=1e-12)
        assert bool((mean[weights[p] != 0] != 0).all())  # no more weights than the average of weights has
    penalised = [p for g in opt.param_groups if g["lam"] for p in g["params"]]
    awake = sum(int(weights[p].count_nonzero()) for p in penalised)
    assert 0 < awake < sum(int((duals.means[p] != 0).sum()) for p in penalised)
    assert awake < sum(int(m.count_nonzero()) for m in average.module.parameters() if m.ndim == 2)


@each_dual_case
def test_training_goes_on_from_an_average_if_the_duals_are_rebuilt(case: Case) -> None:
    average = start(bt.L1())
    ends = []
    for fresh in (False, True):
        w = nn.Parameter(average.clone() if fresh else draw(*average.shape, seed=5))
        opt = case([w])
        if not fresh:
            w.grad = draw(*average.shape, seed=6)
            opt.step()
            with torch.no_grad():
                w.copy_(average)
            opt.reset_dual()
            for key in opt.state[w].keys() - {"dual"}:
                opt.state[w][key].zero_()
        w.grad = draw(*average.shape, seed=7)
        opt.step()
        ends.append(w.detach())
    assert torch.equal(*ends)
