"""What a step does without: waiting for the device, fresh memory, more than its state, a second compilation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim_table import CASES, Case, draw
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bregtutorial import AdaBreg, LinBreg, ProxSGD
from bregtutorial.cost import peak_memory
from bregtutorial.optim._base import RegularizedOptimizer
from bregtutorial.regularizers import GroupL2

STATES = {
    "LinBreg": (LinBreg, {}, {"dual"}),
    "LinBreg with momentum": (LinBreg, {"momentum": 0.9}, {"dual", "momentum_buffer"}),
    "AdaBreg": (AdaBreg, {}, {"dual", "exp_avg", "exp_avg_sq", "step"}),
    "ProxSGD": (ProxSGD, {}, set()),
    "ProxSGD with momentum": (ProxSGD, {"momentum": 0.9}, {"momentum_buffer"}),
}


class Reads(TorchDispatchMode):
    """Keeps the tensors whose values become Python numbers: on a device, each would wait for all that is queued."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default):
            self.seen.append(args[0])
        return func(*args, **(kwargs or {}))


def started(optimizer: type[RegularizedOptimizer], n: int = 3, size: int = 50, **settings: Any) -> RegularizedOptimizer:
    """An optimizer after its first step, which makes the state."""
    params = [torch.nn.Parameter(draw(size, size, seed=i).float()) for i in range(n)]
    for p in params:
        p.grad = torch.ones_like(p)
    opt = optimizer(params, lr=0.01, lam=0.1, **settings)
    opt.step()
    return opt


@pytest.mark.parametrize("number", [float, torch.tensor], ids=["numbers", "tensors"])
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("name", STATES)
def test_a_step_reads_no_value_but_the_counter_on_the_cpu(name: str, foreach: bool, number: Any) -> None:
    optimizer, settings, _ = STATES[name]
    opt = started(optimizer, foreach=foreach, **settings)
    opt.param_groups[0].update(lr=number(0.02), lam=number(0.2))
    with Reads() as reads:
        opt.step()
    counters = [state["step"] for state in opt.state.values() if "step" in state]
    assert len(reads.seen) == len(counters)
    assert all(any(x is k for k in counters) and x.device.type == "cpu" for x in reads.seen)


def test_reads_are_seen() -> None:
    with Reads() as reads:
        float(torch.ones(()))
        bool(torch.ones(()) > 0)
    assert len(reads.seen) == 2


@pytest.mark.parametrize("reg", [None, GroupL2("rows")], ids=["L1", "groups"])
@pytest.mark.parametrize("name", STATES)
def test_a_step_runs_on_tensors_that_have_no_values(name: str, reg: Any) -> None:
    """On the meta device whoever asks for a number gets an error."""
    optimizer, settings, _ = STATES[name]
    p = torch.nn.Parameter(torch.empty(4, 3, device="meta"))
    p.grad = torch.empty_like(p)
    opt = optimizer([p], lam=0.1, **settings, **({} if reg is None else {"reg": reg}))
    for _ in range(2):
        opt.step()
    with pytest.raises(RuntimeError):
        p.sum().item()


@pytest.mark.parametrize(
    ("name", "tensors"),
    [("LinBreg", 0), ("LinBreg with momentum", 0), ("AdaBreg", 0), ("ProxSGD", 1), ("ProxSGD with momentum", 1)],
)
def test_a_step_holds_at_most_one_more_tensor(name: str, tensors: int) -> None:
    """Three parameters of 10 kB: not a byte for most, and one parameter's box for ProxSGD, whose dual is the weight."""
    optimizer, settings, _ = STATES[name]
    opt = started(optimizer, foreach=False, **settings)
    small = 200  # Python numbers that become tensors for a moment
    assert tensors * 10_000 <= peak_memory(opt.step) <= tensors * 10_000 + small


@pytest.mark.parametrize("name", STATES)
def test_the_state_is_the_dual_and_the_averages_and_does_not_grow(name: str) -> None:
    optimizer, settings, keys = STATES[name]
    opt = started(optimizer, **settings)
    places = {id(p): {k: x.data_ptr() for k, x in opt.state[p].items()} for p in opt.param_groups[0]["params"]}
    for _ in range(3):
        opt.step()
    for p in opt.param_groups[0]["params"]:
        assert opt.state[p].keys() == keys
        assert {k: x.data_ptr() for k, x in opt.state[p].items()} == places[id(p)]
        assert all(x.numel() == (1 if k == "step" else p.numel()) for k, x in opt.state[p].items())


@pytest.mark.parametrize("n", [10**8, 10**9])
@pytest.mark.parametrize("name", STATES)
def test_the_state_of_a_large_network_weighs_four_bytes_a_parameter_for_each_key(name: str, n: int) -> None:
    """On the meta device, where tensors have sizes and take no memory."""
    optimizer, settings, keys = STATES[name]
    p = torch.nn.Parameter(torch.empty(n // 1000, 1000, device="meta"))
    p.grad = torch.empty_like(p)
    opt = optimizer([p], lam=0.1, **settings)
    for _ in range(2):
        opt.step()
    weights = {key: x.nbytes for key, x in opt.state.get(p, {}).items()}
    assert weights == {key: 4 if key == "step" else 4 * n for key in keys}


@pytest.mark.skipif(not torch._dynamo.is_dynamo_supported(), reason="this build of torch does not compile here")
@pytest.mark.parametrize("case", [c for c in CASES if "maximize" not in c.desc], ids=str)
def test_tensor_settings_that_change_cost_no_compilation(case: Case) -> None:
    torch._dynamo.reset()
    graphs = 0

    def counted(module: Any, inputs: Any) -> Any:
        nonlocal graphs
        graphs += 1
        return module

    runs = []
    for compiled in (False, True):
        p = torch.nn.Parameter(draw(4, 3, seed=1))
        p.grad = draw(4, 3, seed=2)
        lr, lam = (torch.tensor(x, dtype=torch.float64) for x in (0.1, 0.2))
        opt = case([p], lr=lr, lam=lam)
        opt.step()
        runs.append((p, lr, lam, torch.compile(opt.step, backend=counted) if compiled else opt.step))
    for k in range(4):
        for p, lr, lam, step in runs:
            lr.fill_(0.1 / (k + 1))
            lam.fill_(0.2 + 0.1 * k)
            p.grad = draw(4, 3, seed=10 + k)
            step()
        torch.testing.assert_close(runs[0][0], runs[1][0], rtol=1e-10, atol=1e-11)
    assert graphs == 1
