"""What happens to weights and duals when lam, delta or the weights are changed between steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim_table import CONV2D, Case, draw, each_dual_case, each_reg, start

from bregtutorial.optim import LinBreg
from bregtutorial.reference import shrink
from bregtutorial.regularizers import L1, GroupL2, Regularizer, Zero


def trained(case: Any, reg: Regularizer, steps: int = 5, **options: Any) -> tuple[Any, torch.nn.Parameter]:
    w = torch.nn.Parameter(start(reg))
    opt = case([w], reg=reg, **options)
    for k in range(steps):
        w.grad = draw(*CONV2D, seed=k)
        opt.step()
    return opt, w


@each_dual_case
def test_keeping_the_dual_lets_the_weights_follow_at_once(case: Case) -> None:
    opt, w = trained(case, L1())
    v, delta = opt.state[w]["dual"].clone(), opt.param_groups[0]["delta"]
    for lam in (0.6, 0.05, 0.0):
        opt.set_lam(lam)
        assert torch.equal(opt.state[w]["dual"], v)
        torch.testing.assert_close(w.detach(), delta * shrink(v, lam), rtol=1e-12, atol=1e-13)
        assert opt.param_groups[0]["lam"] == lam
        if lam == 0.0:
            opt.set_lam(0.3, group=0)  # a strength of 0 must be named


@each_reg
@each_dual_case
def test_the_same_lam_changes_nothing(case: Case, reg: Regularizer) -> None:
    opt, w = trained(case, reg)
    before, v = w.detach().clone(), opt.state[w]["dual"].clone()
    for _ in range(2):
        opt.set_lam(opt.param_groups[0]["lam"])
        opt.apply_prox()
        assert torch.equal(w.detach(), before)
        assert torch.equal(opt.state[w]["dual"], v)
    opt.set_lam(opt.param_groups[0]["lam"], keep="weights")
    assert torch.equal(w.detach(), before)
    torch.testing.assert_close(opt.state[w]["dual"], v, rtol=1e-12, atol=1e-12)


@each_reg
@each_dual_case
def test_keeping_the_weights_scales_the_subgradient(case: Case, reg: Regularizer) -> None:
    opt, w = trained(case, reg)
    lam, delta = opt.param_groups[0]["lam"], opt.param_groups[0]["delta"]
    before, v = w.detach().clone(), opt.state[w]["dual"].clone()
    p = (v - before / delta) / lam
    opt.set_lam(3 * lam, keep="weights")
    assert torch.equal(w.detach(), before)
    torch.testing.assert_close(opt.state[w]["dual"], 3 * lam * p + before / delta, rtol=1e-10, atol=1e-10)
    opt.apply_prox()  # and the weights stay where they are: they belong to the new dual
    torch.testing.assert_close(w.detach(), before, rtol=1e-9, atol=1e-9)


def test_keeping_the_weights_from_and_to_no_strength() -> None:
    opt, w = trained(LinBreg, L1(), lam=0.0)
    before = w.detach().clone()
    opt.set_lam(0.4, group=0, keep="weights")
    assert torch.equal(opt.state[w]["dual"], 0.4 * before.sign() + before)
    opt.set_lam(0.0, keep="weights")
    torch.testing.assert_close(opt.state[w]["dual"], before)


def test_lam_at_a_quantile_of_the_dual_hits_the_density() -> None:
    opt, w = trained(LinBreg, L1(), lam=0.2)
    magnitudes = opt.state[w]["dual"].abs().flatten().sort(descending=True).values
    for wanted in (1, 10, 50):
        opt.set_lam(float(magnitudes[wanted]))
        assert int(w.count_nonzero()) == wanted


def two_groups() -> tuple[LinBreg, torch.nn.Parameter, torch.nn.Parameter]:
    a, b = (torch.nn.Parameter(draw(3, 2, seed=s)) for s in (0, 1))
    opt = LinBreg(
        [{"params": [a], "name": "conv", "lam": 0.1, "reg": GroupL2()}, {"params": [b], "name": "bias"}], lr=0.1
    )
    a.grad, b.grad = torch.ones(3, 2).double(), torch.ones(3, 2).double()
    opt.step()
    return opt, a, b


def test_groups_are_chosen_by_strength_index_or_name() -> None:
    opt, a, b = two_groups()
    bias = b.detach().clone()
    for chosen, lams in (({}, [0.2, 0.0]), ({"group": 1}, [0.1, 0.2]), ({"group": "conv"}, [0.2, 0.0])):
        opt, a, b = two_groups()
        opt.set_lam(0.2, **chosen)
        assert [g["lam"] for g in opt.param_groups] == lams
        assert torch.equal(b.detach(), bias) == (lams[1] == 0.0)
    opt.set_lam(50.0, group="conv")
    assert not a.detach().any()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"lam": -1.0}, "lam must be >= 0 and finite, got -1.0"),
        ({"lam": float("nan")}, "lam must be >= 0 and finite, got nan"),
        ({"lam": 0.1, "keep": "theta"}, "keep must be 'dual' or 'weights', got 'theta'"),
        ({"lam": 0.1, "group": "head"}, r"no param group 'head'; there are \['conv', 'bias'\]"),
        ({"lam": 0.1, "group": 2}, r"no param group 2; there are \['conv', 'bias'\]"),
    ],
)
def test_errors_leave_everything_as_it_was(arguments: Any, text: str) -> None:
    opt, a, _ = two_groups()
    before = a.detach().clone()
    with pytest.raises(ValueError, match=text):
        opt.set_lam(**arguments)
    assert torch.equal(a.detach(), before)
    assert [g["lam"] for g in opt.param_groups] == [0.1, 0.0]


def test_without_any_strength_a_group_must_be_named() -> None:
    opt = LinBreg([torch.nn.Parameter(torch.ones(2))])
    with pytest.raises(ValueError, match=r"no param group with lam other than 0; name one; there are \[0\]"):
        opt.set_lam(0.1)


@each_dual_case
def test_before_the_first_step_only_the_number_changes(case: Case) -> None:
    w = torch.nn.Parameter(start(L1()))
    opt = case([w])
    opt.set_lam(0.7)
    opt.set_lam(0.9, keep="weights")
    opt.apply_prox()
    opt.reset_dual()
    assert torch.equal(w.detach(), start(L1()))
    assert len(opt.state) == 0
    w.grad = torch.zeros_like(w)
    opt.step()
    torch.testing.assert_close(
        opt.state[w]["dual"], 0.9 * w.detach().sign() + w.detach() / opt.param_groups[0]["delta"]
    )


def test_numbers_of_a_group_are_read_at_every_step() -> None:
    opt, w = trained(LinBreg, L1(), lam=0.1)
    v = opt.state[w]["dual"].clone()
    opt.param_groups[0].update(lam=0.5, delta=2.0, lr=0.01)
    opt.step()
    torch.testing.assert_close(w.detach(), 2.0 * shrink(v - 0.01 * w.grad, 0.5))


def test_weights_without_a_gradient_follow_only_when_asked() -> None:
    opt, w = trained(LinBreg, L1(), lam=0.1)
    before = w.detach().clone()
    w.grad, opt.param_groups[0]["lam"] = None, 0.5
    opt.step()
    assert torch.equal(w.detach(), before)
    opt.apply_prox()
    torch.testing.assert_close(w.detach(), shrink(opt.state[w]["dual"], 0.5))


@each_reg
@each_dual_case
def test_edits_by_hand_last_only_if_the_dual_is_rebuilt(case: Case, reg: Regularizer) -> None:
    edited = start(reg) * 0.5
    for rebuild in (False, True):
        opt, w = trained(case, reg)
        other = {k: v.clone() for k, v in opt.state[w].items() if k != "dual"}
        with torch.no_grad():
            w.copy_(edited)
        if rebuild:
            opt.reset_dual()
            g = opt.param_groups[0]
            torch.testing.assert_close(opt.state[w]["dual"], g["lam"] * reg.subgradient(edited) + edited / g["delta"])
        assert all(torch.equal(opt.state[w][k], v) for k, v in other.items())
        opt.apply_prox()
        assert torch.allclose(w.detach(), edited, rtol=1e-9, atol=1e-9) == rebuild


def test_rebuilding_forgets_what_zeros_have_gathered() -> None:
    w = torch.nn.Parameter(torch.zeros(1))
    opt = LinBreg([w], lr=1.0, lam=1.0)
    w.grad = torch.full((1,), 0.9)
    opt.step()
    assert float(opt.state[w]["dual"]) == pytest.approx(-0.9)
    opt.reset_dual()
    assert float(opt.state[w]["dual"]) == 0.0


def test_a_regularizer_may_be_exchanged_between_steps() -> None:
    opt, w = trained(LinBreg, L1(), lam=0.1)
    opt.param_groups[0]["reg"] = Zero()
    opt.apply_prox()
    assert torch.equal(w.detach(), opt.state[w]["dual"])
