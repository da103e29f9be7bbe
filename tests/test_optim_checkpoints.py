"""Stop and go on as if nothing had happened: checkpoints, copies, pickles, schedules; and what is refused."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from optim_table import CONV2D, Case, draw, each_case, each_reg, start
from torch.optim import lr_scheduler

from bregtutorial.optim import AdaBreg, LinBreg, ProxSGD
from bregtutorial.regularizers import L1, GroupL2, Regularizer, SparseGroupL2

SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda opt: None,
    "step": lambda opt: lr_scheduler.StepLR(opt, 3, 0.5),
    "cosine": lambda opt: lr_scheduler.CosineAnnealingLR(opt, 12),
    "one_cycle": lambda opt: lr_scheduler.OneCycleLR(opt, max_lr=0.3, total_steps=12),
    "plateau": lambda opt: lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=1),
}


def build(case: Case, reg: Regularizer, scheduler: str = "none") -> tuple[list[torch.nn.Parameter], Any, Any]:
    params = [torch.nn.Parameter(start(reg)), torch.nn.Parameter(draw(4, seed=9))]
    groups = [{"params": params[:1], "reg": reg, "name": "weights"}, {"params": params[1:], "lam": 0.0, "name": "rest"}]
    opt = case(groups)
    return params, opt, SCHEDULERS[scheduler](opt)


def go_on(params: Any, opt: Any, schedule: Any, steps: range) -> None:
    for k in steps:
        for i, p in enumerate(params):
            p.grad = draw(*p.shape, seed=2 * k + i)
        opt.step()
        if isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
            schedule.step(1.0)
        elif schedule is not None:
            schedule.step()


def through_a_file(data: Any) -> Any:
    file = io.BytesIO()
    torch.save(data, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def assert_equal_runs(a: tuple[Any, Any, Any], b: tuple[Any, Any, Any]) -> None:
    for p, q in zip(a[0], b[0], strict=True):
        assert torch.equal(p, q)
        assert a[1].state[p].keys() == b[1].state[q].keys()
        assert all(torch.equal(x, b[1].state[q][key]) for key, x in a[1].state[p].items())
    for g, h in zip(a[1].param_groups, b[1].param_groups, strict=True):
        assert {k: v for k, v in g.items() if k != "params"} == {k: v for k, v in h.items() if k != "params"}


@each_case
@each_reg
def test_a_run_resumed_from_a_file_is_the_run_that_never_stopped(case: Case, reg: Regularizer) -> None:
    whole, first, second = (build(case, reg) for _ in range(3))
    go_on(*whole, range(10))
    go_on(*first, range(5))
    saved = through_a_file([first[0], first[1].state_dict()])
    go_on(*first, range(5, 7))  # going on must not reach into what was saved
    with torch.no_grad():
        for p, q in zip(second[0], saved[0], strict=True):
            p.copy_(q)
    second[1].load_state_dict(saved[1])
    go_on(*second, range(5, 10))
    assert_equal_runs(whole, second)


@pytest.mark.parametrize("scheduler", list(SCHEDULERS)[1:])
@each_case
def test_schedules_are_resumed_as_well(case: Case, scheduler: str) -> None:
    whole, first, second = (build(case, L1(), scheduler) for _ in range(3))
    go_on(*whole, range(10))
    assert whole[1].param_groups[0]["lr"] != 0.1
    go_on(*first, range(5))
    saved = through_a_file([first[0], first[1].state_dict(), first[2].state_dict()])
    with torch.no_grad():
        for p, q in zip(second[0], saved[0], strict=True):
            p.copy_(q)
    second[1].load_state_dict(saved[1])
    second[2].load_state_dict(saved[2])
    go_on(*second, range(5, 10))
    assert_equal_runs(whole, second)


def test_one_cycle_drives_the_momentum_of_each_optimizer_by_its_own_key() -> None:
    for cls, key in ((LinBreg, "momentum"), (ProxSGD, "momentum"), (AdaBreg, "betas")):
        run = build(Case("", cls), L1(), "one_cycle")
        before = run[1].param_groups[0][key]
        go_on(*run, range(3))
        now = run[1].param_groups[0][key]
        assert now != before
        assert 0.85 <= (now[0] if key == "betas" else now) <= 0.95


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
@each_case
@each_reg
def test_a_copy_goes_its_own_way_which_is_the_same(clone: Any, case: Case, reg: Regularizer) -> None:
    first = build(case, reg)
    go_on(*first, range(4))
    second = clone(first)  # parameters and optimizer together, so that they stay together
    third = build(case, reg)
    go_on(*second, range(4, 8))
    go_on(*third, range(4))
    assert_equal_runs(first, third)
    go_on(*first, range(4, 8))
    assert_equal_runs(first, second)
    through_a_file(second[1].state_dict())


@each_case
def test_a_checkpoint_is_tensors_numbers_and_strings(case: Case) -> None:
    run = build(case, SparseGroupL2("rows", 0.25))
    go_on(*run, range(2))
    state = run[1].state_dict()
    assert state["param_groups"][0]["reg"] == {"name": "sparse_group_l2", "groups": "filters", "l1_ratio": 0.25}
    assert isinstance(run[1].param_groups[0]["reg"], SparseGroupL2)  # describing it did not replace it
    assert [g["params"] for g in state["param_groups"]] == [[0], [1]]
    assert [g["lam"] for g in state["param_groups"]] == [run[1].param_groups[0]["lam"], 0.0]
    assert all(isinstance(x, torch.Tensor) for entry in state["state"].values() for x in entry.values())
    assert str(state) == str(run[1].state_dict())


@each_case
def test_two_optimizers_never_share_state(case: Case) -> None:
    first, second = build(case, L1()), build(case, L1())
    go_on(*first, range(3))
    second[1].load_state_dict(first[1].state_dict())  # live tensors, not from a file
    before = copy.deepcopy(first[1].state_dict())
    go_on(*second, range(3, 6))
    after = first[1].state_dict()
    for i, entry in before["state"].items():
        assert all(torch.equal(x, after["state"][i][key]) for key, x in entry.items())
    assert before["param_groups"] == after["param_groups"]


def test_numbers_come_from_the_checkpoint_and_order_is_that_of_the_groups() -> None:
    first, second = build(Case("", LinBreg), L1()), build(Case("", LinBreg), L1())
    first[1].param_groups[0].update(lr=0.01, lam=0.7, delta=3.0)
    go_on(*first, range(1))
    second[1].load_state_dict(first[1].state_dict())
    assert [g["lam"] for g in second[1].param_groups] == [0.7, 0.0]
    assert [g["name"] for g in second[1].param_groups] == ["weights", "rest"]
    assert [tuple(second[1].state[p]["dual"].shape) for p in second[0]] == [CONV2D, (4,)]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            lambda cls: cls(
                [{"params": [draw(*CONV2D, seed=0)], "reg": GroupL2("rows")}, {"params": [draw(4, seed=0)]}]
            ),
            r"param group 0 was saved with reg \{'name': 'group_l2', 'groups': 'filters'\}, but this optimizer has "
            r"\{'name': 'l1'\}: build the optimizer with the saved regularizer, then load",
        ),
        (lambda cls: cls([draw(4, seed=0)]), "the checkpoint has 1 param groups, this optimizer 2"),
        (
            lambda cls: cls([{"params": [draw(4, seed=0)]}, {"params": [draw(4, seed=0), draw(4, seed=1)]}]),
            "doesn't match the size",
        ),
        (
            lambda cls: torch.optim.SGD([{"params": [draw(4, seed=0)]}, {"params": [draw(4, seed=1)]}], lr=1.0),
            r"param group 0 was saved with lr, momentum, but \w+ has .*: another optimizer saved it",
        ),
        (
            lambda cls: {LinBreg: ProxSGD, ProxSGD: LinBreg, AdaBreg: LinBreg}[cls](
                [{"params": [draw(4, seed=0)]}, {"params": [draw(4, seed=1)]}]
            ),
            r"param group 0 was saved with .* but \w+ has .*: another optimizer saved it",
        ),
    ],
    ids=["regularizer", "groups", "sizes", "torch", "sibling"],
)
@each_case
def test_a_foreign_checkpoint_is_refused_whole(case: Case, source: Any, text: str) -> None:
    run = build(case, L1())
    go_on(*run, range(2))
    before = copy.deepcopy(run)
    with pytest.raises(ValueError, match=text):
        run[1].load_state_dict(source(case.cls).state_dict())
    assert_equal_runs(run, before)
