"""TargetDensity hits the density by the stated rule, keeps the duals, and acts when it says."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from density_runs import RULES, awake, build, each_penalty, each_rule, go_on
from hypothesis import given, settings
from hypothesis import strategies as st
from optim_table import CONV2D, Case, draw, each_dual_case

import bregtutorial as bt
from bregtutorial.regularizers import L1, Regularizer
from bregtutorial.schedules import Ramp, difference_factor, odds_factor


@each_penalty
@each_dual_case
def test_no_strength_comes_closer_from_below(case: Case, reg: Regularizer) -> None:
    params, opt = build(case, reg)
    control = bt.TargetDensity(opt, 0.3, every=1)
    total = params[0].numel() + params[1].numel()
    for k in range(5):
        go_on(params, opt, control, range(k, k + 1))
        wanted, found = round(0.3 * total), awake(*params[:2])
        assert opt.param_groups[1]["lam"] == pytest.approx(3 * opt.param_groups[0]["lam"])
        assert opt.param_groups[2]["lam"] == 0.15
        assert 0 < found <= wanted
        for g in opt.param_groups[:2]:
            g["lam"] *= 1 - 1e-4  # the next weight or group would be too much
        opt.apply_prox()
        assert awake(*params[:2]) > wanted or found == wanted
        if isinstance(reg, L1):
            assert found == wanted


@each_rule
@each_penalty
def test_duals_stay_weights_follow_and_the_rest_is_left_alone(rule: str, reg: Regularizer) -> None:
    params, opt = build(Case("", bt.LinBreg), reg, momentum=0.9, delta=0.7)
    control = bt.TargetDensity(opt, 0.25, rule=rule, every=1)
    go_on(params, opt, control, range(3))
    for p in params:
        p.grad = draw(*p.shape, seed=77)
    opt.step()
    state = {p: {k: v.clone() for k, v in opt.state[p].items()} for p in params}
    bias, old = params[2].detach().clone(), control.lam
    control.step()
    assert control.lam != old
    assert all(torch.equal(v, opt.state[p][k]) for p in params for k, v in state[p].items())
    assert torch.equal(params[2].detach(), bias)
    followed = [p.detach().clone() for p in params]
    opt.apply_prox()
    assert all(torch.equal(p, q) for p, q in zip(params, followed, strict=True))


@each_dual_case
def test_a_target_that_is_met_is_a_fixed_point(case: Case) -> None:
    params, opt = build(case)
    control = bt.TargetDensity(opt, 0.4, every=1)
    go_on(params, opt, control, range(4))
    lam, weights = control.lam, [p.detach().clone() for p in params]
    for rule in RULES:
        another = bt.TargetDensity(opt, awake(*params[:2]) / (params[0].numel() + params[1].numel()), rule=rule)
        for _ in range(another.every):
            another.step()
        assert control.lam == lam
        assert all(torch.equal(p, q) for p, q in zip(params, weights, strict=True))


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=5, unique=True))
def test_the_more_is_wanted_the_weaker(targets: list[float]) -> None:
    params, opt = build(Case("", bt.LinBreg))
    go_on(params, opt, bt.TargetDensity(opt, 0.5), range(2))
    found = []
    for target in sorted(targets):
        bt.TargetDensity(opt, target, every=1).step()
        found.append((round(opt.param_groups[0]["lam"], 12), awake(*params[:2])))
    assert [lam for lam, _ in found] == sorted((lam for lam, _ in found), reverse=True)
    assert [n for _, n in found] == sorted(n for _, n in found)


def literal(densities: list[float], targets: list[float], lam: float, factor: Any, **o: Any) -> list[float]:
    """The feedback rules as one would write them down: crossings counted, gain damped, result clamped."""
    crossings, last, lams = 0, None, []
    for d, target in zip(densities, targets, strict=True):
        if d != target:
            above = d > target
            crossings += last is not None and above != last
            last = above
        lam *= factor(d, target, o["gain"] * o["damping"] ** max(crossings - 1, 0))
        lam = min(max(lam, o["bounds"][0]), o["bounds"][1])
        lams.append(lam)
    return lams


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 49), min_size=1, max_size=30),
    rule=st.sampled_from(["odds", "difference"]),
    gain=st.floats(0.1, 3.0),
    damping=st.floats(0.5, 1.0),
)
def test_feedback_is_the_literal_rule(counts: list[int], rule: str, gain: float, damping: float) -> None:
    options: dict[str, Any] = {"gain": gain, "damping": damping, "bounds": (0.01, 20.0)}
    w = torch.nn.Parameter(torch.zeros(50, dtype=torch.float64))
    opt = bt.LinBreg([w], lr=1.0, lam=2.0)
    w.grad = torch.ones_like(w)
    opt.step()
    control, lams = bt.TargetDensity(opt, 0.5, rule=rule, every=1, **options), []
    for n in counts:
        with torch.no_grad():
            w.copy_(torch.arange(50) < n)  # the measured density, whatever the dual says
        control.step()
        lams.append(control.lam)
    factor = odds_factor if rule == "odds" else difference_factor
    assert lams == pytest.approx(
        literal([n / 50 for n in counts], [0.5] * len(counts), 2.0, factor, **options), rel=1e-9
    )


@pytest.mark.parametrize(("n", "factor"), [(0, odds_factor(0.01, 0.5, 0.5)), (50, odds_factor(0.99, 0.5, 0.5))])
def test_none_or_all_awake_counts_as_half_a_weight(n: int, factor: float) -> None:
    w = torch.nn.Parameter(torch.ones(50, dtype=torch.float64))
    opt = bt.LinBreg([w], lr=0.0, lam=2.0)
    w.grad = torch.ones_like(w)
    opt.step()
    with torch.no_grad():
        w.copy_(torch.arange(50) < n)
    control = bt.TargetDensity(opt, 0.5, rule="odds", every=1)
    control.step()
    assert control.lam == pytest.approx(2.0 * factor)


@each_rule
def test_strengths_stay_within_bounds(rule: str) -> None:
    for target, bound in ((0.02, 0.2), (0.98, 0.1)):
        params, opt = build(Case("", bt.LinBreg), lr=1.0)
        control = bt.TargetDensity(opt, target, rule=rule, every=1, bounds=(0.1, 0.2), gain=1.0)
        go_on(params, opt, control, range(12))
        assert control.lam == bound
        assert opt.param_groups[1]["lam"] == pytest.approx(3 * bound)


@each_rule
def test_when_it_acts(rule: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bregtutorial")
    params, opt = build(Case("", bt.LinBreg))
    control, changed = bt.TargetDensity(opt, 0.25, rule=rule, every=3, warmup=5), []
    for k in range(15):
        before = control.lam
        go_on(params, opt, control, range(k, k + 1))
        if control.lam != before:
            changed.append(k + 1)
    regular = [8, 11, 14]
    assert changed[-3:] == regular
    # without a guess to start from, it looks at once, and until the target is met
    assert changed == regular if rule == "difference" else changed[0] == 6
    assert [r.message.split(":")[0] for r in caplog.records] == [f"step {k - 5}" for k in changed]
    assert all(text in caplog.text for text in ("density 0.", "target 0.2500", "lam 0.15 -> "))


@each_rule
def test_before_the_first_step_there_is_nothing_to_do(rule: str) -> None:
    params, opt = build(Case("", bt.AdaBreg))
    weights = [p.detach().clone() for p in params]
    control = bt.TargetDensity(opt, 0.3, rule=rule, every=1)
    assert control.lam == (0.15 if rule == "difference" else 1e-6)
    assert opt.param_groups[2]["lam"] == 0.15
    for _ in range(3):
        control.step()
    assert all(torch.equal(p, q) for p, q in zip(params, weights, strict=True))
    assert len(opt.state) == 0
    go_on(params, opt, control, range(1))
    assert control.lam not in (0.15, 1e-6)
    assert bt.TargetDensity(opt, 0.3, rule=rule).lam == control.lam  # a later control starts from what it finds


def test_a_moving_target_is_followed() -> None:
    params, opt = build(Case("", bt.LinBreg))
    control = bt.TargetDensity(opt, Ramp(0.8, 0.1, 10), every=1, warmup=2)
    total, seen = params[0].numel() + params[1].numel(), []
    for k in range(14):
        go_on(params, opt, control, range(k, k + 1))
        seen.append(awake(*params[:2]) / total)
    assert seen[2:] == pytest.approx([Ramp(0.8, 0.1, 10)(k) for k in range(1, 13)], abs=0.51 / total)
    assert control.target == 0.1


def test_every_group_may_have_a_control_of_its_own() -> None:
    params, opt = build(Case("", bt.LinBreg))
    controls = [bt.TargetDensity(opt, 0.1, every=1, group="conv"), bt.TargetDensity(opt, 0.6, every=1, group=1)]
    for k in range(3):
        for i, p in enumerate(params):
            p.grad = draw(*p.shape, seed=10 * k + i)
        opt.step()
        for control in controls:
            control.step()
    assert [awake(p) for p in params[:2]] == [round(0.1 * 72), round(0.6 * 120)]


def test_frozen_weights_are_neither_counted_nor_moved() -> None:
    params, opt = build(Case("", bt.LinBreg))
    frozen = params[1].detach().clone()
    control = bt.TargetDensity(opt, 0.25, every=1)
    for k in range(3):
        params[0].grad = draw(*CONV2D, seed=k)
        opt.step()
        control.step()
    assert awake(params[0]) == round(0.25 * params[0].numel())
    assert torch.equal(params[1].detach(), frozen)


def test_equal_duals_wake_together_or_not_at_all() -> None:
    w = torch.nn.Parameter(torch.zeros(10))
    opt = bt.LinBreg([w], lr=1.0, lam=1.0)
    control = bt.TargetDensity(opt, 0.4, every=1)
    w.grad = torch.tensor([9.0, 8.0, 5.0, 5.0, 5.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    opt.step()
    control.step()
    assert awake(w) == 2


def test_a_density_that_rounds_to_all_leaves_one_asleep() -> None:
    w = torch.nn.Parameter(torch.zeros(100))
    opt = bt.LinBreg([w], lr=1.0, lam=1.0)
    control = bt.TargetDensity(opt, density=0.997)
    w.grad = torch.arange(1.0, 101.0)
    opt.step()
    control.step()
    assert w.count_nonzero() == 99
