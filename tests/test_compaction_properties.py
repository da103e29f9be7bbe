"""Compaction of random networks: the outputs are those of the original, the sizes those of the plan."""

from __future__ import annotations

import copy

import torch
from compaction_nets import SIDE, networks
from hypothesis import assume, given, settings
from torch import Tensor, nn

import bregtutorial as bt
from bregtutorial.wiring.layers import depthwise

many = settings(max_examples=100, deadline=None)


def inputs(model: nn.Module, n_in: int) -> Tensor:
    images = any(isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)) for m in model.modules())
    shape = (4, n_in, SIDE, SIDE) if images else (4, n_in)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def relative_error(model: nn.Module, small: nn.Module, x: Tensor) -> float:
    with torch.no_grad():
        y = model(x)
        return float((small(x) - y).abs().max() / y.abs().max().clamp_min(1e-3))


@many
@given(networks())
def test_the_small_network_computes_the_same(drawn: tuple[nn.Module, int]) -> None:
    model, n_in = drawn
    x = inputs(model, n_in)
    model = model.double().eval()
    assert relative_error(model, bt.compact(model), x) <= 1e-10
    model = model.float()
    assert relative_error(model, bt.compact(model), x.float()) <= 1e-5


@many
@given(networks())
def test_what_the_plan_says_is_done_and_nothing_else(drawn: tuple[nn.Module, int]) -> None:
    model, _ = drawn
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    flags = [module.training for module in model.modules()]
    plan = bt.compact.plan(model)
    small = plan.apply()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == flags == [m.training for m in small.modules()]
    assert torch.equal(torch.get_rng_state(), random)
    assert plan.widths == bt.compact.widths(small)
    assert plan.parameters == tuple(sum(p.numel() for p in net.parameters()) for net in (model, small))
    for row in plan.layers:
        layer = small.get_submodule(row.name)
        assert plan.widths[row.name][:2] == (row.inputs[1], row.outputs[1])
        assert sum(p.numel() for p in layer.parameters()) == row.parameters[1]
        assert row.outputs[0] - row.constant - row.unread == row.outputs[1]
    assert {id(p) for p in small.parameters()}.isdisjoint({id(p) for p in model.parameters()})


@many
@given(networks())
def test_a_small_network_has_nothing_more_to_give(drawn: tuple[nn.Module, int]) -> None:
    # with one channel left a depthwise convolution becomes a layer, and what is before it another set
    assume(not any(depthwise(module) for module in drawn[0].modules()))
    small = bt.compact(drawn[0].double())
    again = bt.compact.plan(small)
    assert again.parameters[0] == again.parameters[1], again
