"""One small problem for all: train it by hand, then by somebody's library, and compare the weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import bregtutorial as bt

Make = Callable[[nn.Module], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Make] = {
    "LinBreg": lambda net: bt.LinBreg(bt.parameter_groups(net, lam=0.05), lr=0.1, momentum=0.9),
    "AdaBreg": lambda net: bt.AdaBreg(bt.parameter_groups(net, lam=0.05), lr=0.01),
    "ProxSGD": lambda net: bt.ProxSGD(bt.parameter_groups(net, lam=0.01), lr=0.1),
}


def network() -> nn.Sequential:
    net = bt.models.mlp((20, 30, 4), generator=torch.Generator().manual_seed(0))
    bt.sparse_init_(net, density=0.2, generator=torch.Generator().manual_seed(1))
    return net


def batches(n: int = 12) -> list[tuple[Tensor, Tensor]]:
    stream = torch.Generator().manual_seed(2)
    found = []
    for _ in range(n):
        x = torch.randn(16, 20, generator=stream)
        found.append((x, x[:, :4].argmax(1)))
    return found


def trained_by_hand(make: Make) -> nn.Sequential:
    net = network()
    opt = make(net)
    for x, y in batches():
        opt.zero_grad()
        F.cross_entropy(net(x), y).backward()
        opt.step()
    return net


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    """Equal weights, zeros included, and the training did something."""
    start = network()
    for (name, a), b, c in zip(ours.named_parameters(), theirs.parameters(), start.parameters(), strict=True):
        torch.testing.assert_close(
            b.detach().cpu(), a.detach(), rtol=1e-6, atol=1e-7, msg=lambda m, n=name: f"{n}: {m}"
        )
        assert not torch.equal(a, c), f"{name} never moved"
    assert bt.density(theirs) == bt.density(ours) < 1
