"""torch.compile of a step: the same numbers, one graph, and no new compilation for every value of a schedule.

The backends here need no C++ compiler; they trace the same graphs that the default backend gets.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim_table import CASES, Case, draw

from bregtutorial.regularizers import L1, GroupL2, L1NonNegative, Nuclear, Regularizer, SparseGroupL2, Zero

pytestmark = pytest.mark.skipif(
    not torch._dynamo.is_dynamo_supported(), reason="this build of torch does not compile on this version of Python"
)
STEPS = 6


class Counted:
    """A backend that counts the graphs it is given."""

    def __init__(self, name: str) -> None:
        self.graphs, self.name = 0, name

    def __call__(self, module: Any, inputs: Any) -> Any:
        self.graphs += 1
        return torch._dynamo.lookup_backend(self.name)(module, inputs)


def limit() -> int:
    """Graphs that a run with a schedule may need; old versions of torch take every float for a constant."""
    torch._dynamo.reset()
    counted = Counted("aot_eager")
    times = torch.compile(lambda x, s: x * (2.0 * s), backend=counted)
    for k in range(STEPS):
        times(torch.ones(2), 0.1 * k)
    return 3 if counted.graphs <= 2 else STEPS + 1


def compare(case: Case, reg: Regularizer, backend: str, changes: dict[str, float], **options: Any) -> int:
    """Run both, compare weights and states after every step; return the number of graphs, more after a graph break."""
    torch._dynamo.reset()
    counted, runs = Counted(backend), []
    for compiled in (False, True):
        params = [torch.nn.Parameter(draw(*s, seed=1).abs()) for s in ((4, 3), (2, 5))]
        opt = case(params, reg=reg, **options)
        for p in params:  # the first step builds the state, as it would in a real run
            p.grad = draw(*p.shape, seed=2)
        opt.step()
        runs.append((params, opt, torch.compile(opt.step, backend=counted) if compiled else opt.step))
    for k in range(STEPS):
        for params, opt, step in runs:
            for key, value in changes.items():
                opt.param_groups[0][key] = value * (1 - k / 10)
            for i, p in enumerate(params):
                p.grad = draw(*p.shape, seed=10 * k + i)
            step()
        for p, q in zip(runs[0][0], runs[1][0], strict=True):
            torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-11)
            for key, x in runs[0][1].state[p].items():
                torch.testing.assert_close(x, runs[1][1].state[q][key], rtol=1e-10, atol=1e-11)
    return counted.graphs


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("case", [c for c in CASES if "maximize" not in c.desc], ids=str)
def test_a_compiled_step_is_one_graph_and_a_scheduled_rate_costs_one_more(case: Case, backend: str) -> None:
    assert compare(case, L1(), backend, {}) == 1
    assert compare(case, L1(), backend, {"lr": 0.1, "lam": 0.2}) <= limit()


@pytest.mark.parametrize(
    "reg", [L1NonNegative(), GroupL2("rows"), SparseGroupL2("columns"), Nuclear(), Zero()], ids=lambda r: r.name
)
def test_every_regularizer_compiles_into_one_graph(reg: Regularizer) -> None:
    assert compare(CASES[0], reg, "aot_eager", {}) == 1
    if reg != Zero():  # which ignores lam, and there is no reason to schedule it
        assert compare(CASES[0], reg, "aot_eager", {"lam": 0.2}) <= limit()


@pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=str)
def test_multi_tensor_kernels_and_tensor_rates_compile_into_one_graph(case: Case) -> None:
    assert compare(case, L1(), "aot_eager", {}, foreach=True) == 1
    assert compare(case, L1(), "aot_eager", {"lam": 0.2}, foreach=True) <= limit()
    assert compare(case, L1(), "aot_eager", {}, lr=torch.tensor(0.1, dtype=torch.float64)) <= 2


def test_a_step_compiled_before_it_ever_ran_builds_its_state() -> None:
    torch._dynamo.reset()
    for case in (CASES[1], CASES[3]):
        p = torch.nn.Parameter(draw(4, 3, seed=1))
        opt = case([p])
        step = torch.compile(opt.step, backend="eager")
        for k in range(3):
            p.grad = draw(4, 3, seed=k)
            step()
        q = torch.nn.Parameter(draw(4, 3, seed=1))
        other = case([q])
        for k in range(3):
            q.grad = draw(4, 3, seed=k)
            other.step()
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-11)
        assert opt.state[p].keys() == other.state[q].keys()
