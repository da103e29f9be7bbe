"""Side by side with the package bregman-learning: the same iterates where it is right, the right ones where it is not.

Needs that package (``make test-integrations`` installs it); skipped by name without it.
"""

from __future__ import annotations

import io
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peers import adapter
from torch import Tensor, nn

import bregtutorial as bt

theirs = pytest.importorskip("bregman", reason="bregman-learning is not installed: make test-integrations")

STEPS = 60
OPTIMIZERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "LinBreg": lambda reg: {"lr": 0.05, "reg": reg, "delta": 1.0},
    "LinBreg with momentum": lambda reg: {"lr": 0.1, "reg": reg, "delta": 2.0, "momentum": 0.9},
    "AdaBreg": lambda reg: {"lr": 0.01, "reg": reg, "delta": 0.5, "betas": (0.8, 0.99)},
}
REGULARIZERS = {
    "L1": lambda package: package.L1(rc=0.1),
    "L12 of rows": lambda package: package.L12(rc=0.05),
    "Nuclear": lambda package: package.Nuclear(rc=0.1),
    "Null": lambda package: package.Null(),
}


def problem() -> tuple[Tensor, Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    normal = {"generator": stream, "dtype": torch.float64}
    return torch.randn(20, 7, **normal), torch.randn(20, 5, **normal), torch.randn(5, 7, **normal)


def path(package: types.ModuleType, kind: str, reg: str) -> list[Tensor]:
    """All iterates of a least-squares problem in a matrix, from a dense start."""
    x, y, start = problem()
    w = start.clone().requires_grad_()
    opt = getattr(package, kind.split()[0])([w], **OPTIMIZERS[kind](REGULARIZERS[reg](package)))
    iterates = []
    for _ in range(STEPS):
        opt.zero_grad()
        ((x @ w.T - y) ** 2).mean().backward()
        opt.step()
        iterates.append(w.detach().clone())
    return iterates


@pytest.mark.parametrize("reg", REGULARIZERS)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_same_iterates(kind: str, reg: str) -> None:
    ours, peer = path(adapter, kind, reg), path(theirs, kind, reg)
    torch.testing.assert_close(torch.stack(ours), torch.stack(peer), rtol=1e-9, atol=1e-11)
    assert (ours[-1] - ours[0]).norm() > 0.1, "nothing moved"


def test_groups_of_parameters_with_regularizers_of_their_own() -> None:
    def train(package: types.ModuleType) -> list[Tensor]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).double()
        groups = [
            {"params": [net[0].weight], "reg": package.L12(rc=0.02)},
            {"params": [net[2].weight], "reg": package.L1(rc=0.01)},
            {"params": [net[0].bias, net[2].bias]},
        ]
        opt = package.LinBreg(groups, lr=0.1)
        x = torch.randn(30, 6, dtype=torch.float64)
        for _ in range(STEPS):
            opt.zero_grad()
            net(x).pow(2).mean().backward()
            opt.step()
        return list(net.parameters())

    for ours, peer in zip(train(adapter), train(theirs), strict=True):
        torch.testing.assert_close(ours, peer, rtol=1e-9, atol=1e-11)


def test_columns_as_groups() -> None:
    """Theirs fails on a matrix that is not square, and scales rows by the norms of columns on one that is."""
    v = torch.tensor([[3.0, 0.1], [4.0, 0.1]])
    right = bt.GroupL2("columns").prox(v, 0.5)
    assert bool((right[:, 1] == 0).all())
    assert bool((right[:, 0] > 0).all())
    peer = theirs.L12(rc=0.5, direction="column").prox(v)
    assert not bool((peer[:, 1] == 0).all()), "theirs is mended: compare the iterates instead"
    with pytest.raises(RuntimeError):
        theirs.L12(rc=0.5, direction="column").prox(torch.ones(3, 2))
    assert bt.GroupL2("columns").prox(torch.ones(3, 2), 0.1).shape == (3, 2)


def test_the_nuclear_subgradient_of_a_matrix_without_full_rank() -> None:
    """The smallest subgradient has no part in the null space; theirs puts those directions on the threshold."""
    w = torch.outer(torch.tensor([1.0, 2.0, 0.0]), torch.tensor([0.5, -1.0, 1.0]))
    rank = torch.linalg.matrix_rank
    assert int(rank(bt.Nuclear().subgradient(w), atol=1e-4)) == 1
    assert int(rank(theirs.Nuclear(rc=1.0).sub_grad(w), atol=1e-4)) == 3


def one_step(package: types.ModuleType) -> tuple[Any, Tensor, int]:
    w = torch.ones(4, 3, requires_grad=True)
    opt, pointer = package.LinBreg([w], lr=0.1, reg=package.L1(rc=0.1)), w.data_ptr()
    loss = opt.step(lambda: ((w**2).sum().backward(), w.detach().sum())[1])
    return opt, w, (0 if loss is None else 1) + 2 * (w.data_ptr() == pointer)


def test_a_closure_is_called_and_the_storage_stays() -> None:
    """Views, flattened parameters and CUDA graphs rely on the second."""
    assert one_step(adapter)[2] == 3
    _, peer, flags = one_step(theirs)
    assert flags & 1 == 0
    assert peer.grad is None


def test_checkpoints_hold_plain_data() -> None:
    """Theirs needs code to be unpickled, which torch refuses by default."""

    def reload(package: types.ModuleType) -> Any:
        file = io.BytesIO()
        torch.save(one_step(package)[0].state_dict(), file)
        file.seek(0)
        return torch.load(file, weights_only=True)

    assert reload(adapter)["param_groups"][0]["lam"] == 0.1
    with pytest.raises(Exception, match="Weights only load failed"):
        reload(theirs)


def test_rows_are_counted_as_rows() -> None:
    net = nn.Sequential(nn.Linear(3, 4, bias=False))
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].weight[1:] = 0.0
    assert bt.sparsity_report(net).rows[0].filters == (1, 4)
    assert theirs.row_density(net) != [1 / 4]
