"""Two processes that share the batch train the same network as one process with all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from optim_table import draw
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from bregtutorial.optim import AdaBreg, LinBreg
from bregtutorial.regularizers import L1, GroupL2

pytestmark = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this build of torch has no gloo"
)
SETTINGS: list[tuple[Any, dict[str, Any]]] = [
    (LinBreg, {"lr": 0.1, "lam": 0.05, "momentum": 0.9, "reg": GroupL2("columns")}),
    (AdaBreg, {"lr": 0.01, "lam": 0.02, "reg": L1()}),
]


def train(rank: int, world: int) -> list[torch.Tensor]:
    """Weights after a few steps on this rank's part of the batches."""
    ends = []
    for cls, options in SETTINGS:
        model: Any = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)).double()
        weights = [m.weight for m in model if isinstance(m, torch.nn.Linear)]
        with torch.no_grad():
            for i, p in enumerate(model.parameters()):
                p.copy_(draw(*p.shape, seed=i))
            for w in weights:
                w[:, ::2] = 0
        opt = cls([{"params": weights}, {"params": [model[0].bias, model[2].bias], "lam": 0.0, "reg": L1()}], **options)
        if world > 1:
            model = DistributedDataParallel(model)
        for k in range(5):
            x, y = draw(8, 6, seed=100 + k), draw(8, 2, seed=200 + k)
            opt.zero_grad()
            part = slice(rank * 8 // world, (rank + 1) * 8 // world)
            (model(x[part]) - y[part]).square().mean().backward()
            opt.step()
        ends += [w.detach().clone() for w in weights]
    return ends


def worker(rank: int, folder: str) -> None:
    """One of two processes; they meet in a file."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(train(rank, 2), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_are_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(worker, (str(tmp_path),), nprocs=2)
    both = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    for a, b, alone in zip(*both, train(0, 1), strict=True):
        assert torch.equal(a, b)  # the ranks, to the last bit
        torch.testing.assert_close(a, alone, rtol=1e-10, atol=1e-12)
        assert torch.equal(a == 0, alone == 0)
    assert [bool((a == 0).any()) and bool(a.any()) for a in both[0]] == [True] * 4
