"""Large runs: torch.distributed.checkpoint by parameter names, and the sharded parameters of FSDP2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, distributed, multiprocessing, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.nn import functional as F

import bregtutorial as bt

CHAPTER = Path(__file__).resolve().parent.parent / "book" / "4-frontiers" / "scaling-out.ipynb"
STEPS = 8
MAKE = {
    "LinBreg": lambda net: bt.LinBreg(bt.parameter_groups(net, lam=0.3, reg=bt.GroupL2("rows")), lr=0.2, momentum=0.9),
    "AdaBreg": lambda net: bt.AdaBreg(bt.parameter_groups(net, lam=0.05), lr=0.02),
}


def network(groups: str = "rows") -> nn.Sequential:
    net = bt.models.mlp((12, 15, 4), generator=torch.Generator().manual_seed(0)).double()
    bt.sparse_init_(net, density=0.5, groups=groups, generator=torch.Generator().manual_seed(1))
    return net


def step(net: nn.Module, opt: torch.optim.Optimizer, k: int, part: slice = slice(None)) -> None:
    x = torch.randn(16, 12, generator=torch.Generator().manual_seed(k), dtype=torch.float64)[part]
    opt.zero_grad()
    F.cross_entropy(net(x), x[:, :4].argmax(1)).backward()
    opt.step()


def trained(make: str, steps: int = STEPS) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    net = network()
    opt = MAKE[make](net)
    for k in range(steps):
        step(net, opt, k)
    return net, opt


@pytest.mark.filterwarnings("ignore:torch.distributed is")  # no process group is meant
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")  # torch 2.6 of itself
@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("make", MAKE)
def test_a_distributed_checkpoint_goes_on_bit_for_bit(make: str, flatten: bool, tmp_path: Path) -> None:
    """Optimizer first, model second: to have a state to fill, torch takes a step with lr = 0, and a prox rounds."""
    options = StateDictOptions(flatten_optimizer_state_dict=flatten)
    net, opt = trained(make)
    dcp.save(
        {"model": net.state_dict(), "opt": get_optimizer_state_dict(net, opt, options=options)},
        checkpoint_id=tmp_path,
    )

    fresh = network()
    again = MAKE[make](fresh)
    saved = {"model": fresh.state_dict(), "opt": get_optimizer_state_dict(fresh, again, options=options)}
    dcp.load(saved, checkpoint_id=tmp_path)
    set_optimizer_state_dict(fresh, again, saved["opt"], options=options)
    fresh.load_state_dict(saved["model"])
    for k in range(STEPS, 2 * STEPS):
        step(net, opt, k)
        step(fresh, again, k)
    for a, b in zip(net.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a, b)
    assert 0 < bt.density(net) < 1


def _sharded(rank: int, folder: str, make: str) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    net = network()
    fully_shard(net, mesh=init_device_mesh("cpu", (2,)))
    opt = MAKE[make](net)
    for k in range(STEPS):
        step(net, opt, k, slice(8 * rank, 8 * (rank + 1)))
    counted = bt.density(net)
    whole: dict[str, Tensor] = {name: p.full_tensor() for name, p in net.state_dict().items()}
    assert counted == bt.density(trained(make)[0])
    if rank == 0:
        torch.save(whole, f"{folder}/weights.pt")
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_gloo_available(), reason="this build of torch has no gloo")
@pytest.mark.skipif(not hasattr(torch.cpu.Stream, "record_event"), reason="FSDP2 of this torch needs a GPU")
@pytest.mark.parametrize("make", MAKE)
def test_two_processes_with_half_of_each_weight_are_one_process(make: str, tmp_path: Path) -> None:
    """Rows are the dim along which FSDP2 cuts, 15 of them unevenly: a row's norm needs no communication."""
    multiprocessing.spawn(_sharded, (str(tmp_path), make), nprocs=2)
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    alone, _ = trained(make)
    for name, p in alone.named_parameters():
        torch.testing.assert_close(weights[name], p.detach(), rtol=1e-9, atol=1e-11)
    assert 0 < bt.density(alone) < 1


def chapter_s_functions() -> dict[str, Any]:
    """What the cell of the chapter defines: ``shard``, ``save`` and ``load``."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    (source,) = (cell.source for cell in cells if "def shard(" in cell.source)
    names: dict[str, Any] = {}
    exec(source, names)
    return names


def _as_in_the_chapter(rank: int, folder: str) -> None:
    from torch.distributed.device_mesh import init_device_mesh

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    mesh, book = init_device_mesh("cpu", (2,)), chapter_s_functions()
    for name, (groups, make) in CHAPTER_MAKE.items():
        net = network(groups)
        opt = book["shard"](net, make, mesh)
        for k in range(STEPS):
            if k == STEPS // 2:
                book["save"](net, opt, f"{folder}/{name}")
                net = network(groups)
                opt = book["shard"](net, make, mesh)
                book["load"](net, opt, f"{folder}/{name}")
            step(net, opt, k, slice(8 * rank, 8 * (rank + 1)))
        whole = {key: p.full_tensor() for key, p in net.state_dict().items()}
        assert all(state["dual"].to_local().numel() < p.numel() for p, state in opt.state.items())
        if rank == 0:
            torch.save(whole, f"{folder}/{name}.pt")
    distributed.destroy_process_group()


def columns(net: nn.Module) -> torch.optim.Optimizer:
    return bt.LinBreg(bt.parameter_groups(net, lam=0.3, reg=bt.GroupL2("columns")), lr=0.2)


CHAPTER_MAKE = {"AdaBreg": ("rows", MAKE["AdaBreg"]), "columns": ("columns", columns)}


@pytest.mark.skipif(not distributed.is_gloo_available(), reason="this build of torch has no gloo")
def test_the_lines_of_the_chapter_shard_save_and_resume(tmp_path: Path) -> None:
    """Columns too, which are cut: their norms are added up by a message."""
    multiprocessing.spawn(_as_in_the_chapter, (str(tmp_path),), nprocs=2)
    for name, (groups, make) in CHAPTER_MAKE.items():
        weights = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        alone = network(groups)
        opt = make(alone)
        for k in range(STEPS):
            step(alone, opt, k)
        for key, p in alone.named_parameters():
            torch.testing.assert_close(weights[key], p.detach(), rtol=1e-9, atol=1e-11)
        assert 0 < bt.density(alone) < 1
