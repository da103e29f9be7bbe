"""Certificates: right functions pass, each kind of mistake is named, and the inequalities are sharp."""

import math
import re

import pytest
import torch

import bregtutorial as bt
from bregtutorial import certificates as cert

REGS = [
    bt.L1(),
    bt.L1NonNegative(),
    bt.GroupL2("rows"),
    bt.GroupL2("inputs"),
    bt.GroupL2("kernels"),
    bt.SparseGroupL2("rows", 0.3),
    bt.Nuclear(),
    bt.Zero(),
]
by_name = pytest.mark.parametrize("reg", REGS, ids=str)


def dual_ball_projection(reg):
    """By definition, without any prox."""

    def unit(x, norm, radius):
        return x * (radius / norm.clamp_min(1e-300)).clamp_max(1)

    def project(v, t):
        if isinstance(reg, bt.L1):
            return v.clamp(-t, t)
        if isinstance(reg, bt.GroupL2) and reg.groups == "filters":
            flat = v.flatten(1)
            return unit(flat, flat.norm(dim=1, keepdim=True), t * flat.shape[1] ** 0.5).view_as(v)
        u, s, vh = torch.linalg.svd(v.flatten(1), full_matrices=False)
        return ((u * s.clamp_max(t)) @ vh).view_as(v)

    return project


@by_name
def test_the_packages_own_operators_pass(reg):
    assert cert.check_prox(reg.prox, reg)
    assert cert.check_subgradient(reg.subgradient, reg)


@pytest.mark.parametrize("reg", [bt.L1(), bt.GroupL2("rows"), bt.Nuclear()], ids=str)
def test_projections_pass_and_their_absence_does_not(reg):
    project = dual_ball_projection(reg)
    assert cert.check_projection(project, reg)
    assert not cert.check_projection(lambda v, t: v, reg)
    assert not cert.check_projection(lambda v, t: 0.5 * project(v, t), reg)


@by_name
def test_a_wrong_threshold_is_found(reg):
    if isinstance(reg, bt.Zero):
        wrong = cert.check_prox(lambda v, t: 0.99 * v, reg)
    else:
        wrong = cert.check_prox(lambda v, t: reg.prox(v, 1.01 * t), reg)
    assert not wrong
    assert "minimises" in wrong.failed
    assert "objective" in wrong.counterexample


WRONG_PROXES = [
    (lambda v, t: ..., "returns a value", "returned nothing"),
    (lambda v, t: None, "returns a value", "returned nothing"),
    (lambda v, t: 1.0, "returns a tensor", "returned float"),
    (lambda v, t: v.flatten()[:1], "shape", "returned shape (1,)"),
    (lambda v, t: v.sub_(v.clamp(-t, t)), "argument alone", "went in and is now"),
    (lambda v, t: 1 / 0, "returns a tensor", "ZeroDivisionError"),
    (lambda v, t: v.sign() * (v.abs() - t), "minimises", "yours is [[-0.5]]"),
    (lambda v, t: v * (v.abs() > t), "minimises", "objective"),
    (lambda v, t: v - v.clamp(-t, t) if t else torch.zeros_like(v), "t = 0", "t = 0"),
]


@pytest.mark.parametrize(("function", "failed", "counterexample"), WRONG_PROXES)
def test_each_mistake_in_a_prox_is_named(function, failed, counterexample):
    verdict = cert.check_prox(function, bt.L1())
    assert not verdict
    assert failed in verdict.failed
    assert counterexample in verdict.counterexample
    assert verdict.hint in repr(verdict)


def test_a_counterexample_to_a_prox_is_one():
    """The better point that a verdict shows has in fact the lower objective."""
    verdict = cert.check_prox(lambda v, t: v.sign() * (v.abs() - t), bt.L1())
    assert verdict.counterexample == "v = [[0.5]], t = 1: yours is [[-0.5]] with objective 1, but [[0]] has 0.125"
    objective = {w: abs(w) + (w - 0.5) ** 2 / 2 for w in (-0.5, 0.0)}
    assert objective == {-0.5: 1.0, 0.0: 0.125}


def test_group_prox_without_the_root_of_the_size_fails():
    def no_root(v, t):
        norm = v.flatten(1).norm(dim=1).view(-1, *[1] * (v.ndim - 1))
        return v * (1 - t / norm.clamp_min(1e-300)).clamp_min(0)

    assert "root of n_g" in cert.check_prox(no_root, bt.GroupL2("rows")).hint


def test_prox_of_sparse_groups_in_the_wrong_order_fails():
    reg = bt.SparseGroupL2("rows", 0.5)
    wrong = cert.check_prox(lambda v, t: bt.L1().prox(bt.GroupL2("rows").prox(v, t / 2), t / 2), reg)
    assert not wrong


def test_subgradient_outside_the_dual_ball_is_refuted_by_a_line_above_the_graph():
    verdict = cert.check_subgradient(lambda w: 1.5 * w.sign(), bt.L1())
    assert not verdict
    assert "the line has" in verdict.counterexample


class Ridge:
    """A regularizer from elsewhere: no formula for it is known to the certificates."""

    name = "ridge"

    def value(self, w):
        return w.square().sum() / 2

    def prox(self, v, t):
        return v / (1 + t)

    def subgradient(self, w):
        return w.clone()


def test_a_regularizer_of_the_readers_own_is_judged_by_sampling():
    assert cert.check_prox(Ridge().prox, Ridge())
    assert not cert.check_prox(lambda v, t: v / (1 + 2 * t), Ridge())
    own = type("Wrong", (Ridge,), {"prox": lambda self, v, t: v / (1 + 2 * t)})()
    mine, better = re.findall(r"(?:objective|has) ([\d.]+)", cert.check_prox(own.prox, own).counterexample)
    assert float(better) < float(mine), "the counterexample does not rely on the prox that is judged"
    assert cert.subdifferential_gap(Ridge(), torch.tensor([1.0]), torch.tensor([3.0])) > 0


@by_name
def test_step_of_linbreg(reg):
    def step(w, v, g, lr, lam, delta):
        v = v - lr * g
        return reg.prox(delta * v, delta * lam), v

    assert cert.check_step(step, reg)


WRONG_STEPS = [
    (lambda w, v, g, lr, lam, delta: (w - lr * g, v), "dual moves"),
    (lambda w, v, g, lr, lam, delta: (bt.L1().prox(v - lr * g, lam), v - lr * g), "weights are the prox"),
    (lambda w, v, g, lr, lam, delta: (bt.L1().prox(delta * (v - lr * g), lam), v - lr * g), "weights are the prox"),
    (lambda w, v, g, lr, lam, delta: (bt.L1().prox(delta * v, delta * lam), v - lr * g), "weights are the prox"),
    (lambda w, v, g, lr, lam, delta: (bt.L1().prox(w - lr * g, lr * lam), w), "dual moves"),
]


@pytest.mark.parametrize(("function", "failed"), WRONG_STEPS)
def test_each_mistake_in_a_step_is_named(function, failed):
    assert failed in cert.check_step(function).failed


def test_duals_belong_to_weights_until_somebody_edits_them():
    model = bt.models.mlp((4, 8, 2), generator=torch.Generator().manual_seed(0))
    opt = bt.LinBreg(bt.parameter_groups(model, lam=0.1), lr=0.1)
    for _ in range(3):
        opt.zero_grad()
        model(torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(1))).square().sum().backward()
        opt.step()
    assert cert.check_duals(opt)
    with torch.no_grad():
        model[1].weight.mul_(1.5)
    verdict = cert.check_duals(opt)
    assert not verdict
    assert "'1.weight'" in verdict.counterexample
    opt.reset_dual()
    assert cert.check_duals(opt)
    with pytest.raises(TypeError, match="ProxSGD, which has no duals"):
        cert.check_duals(bt.ProxSGD(model.parameters()))


def random_pair(reg, generator, lam=0.7, delta=2.0):
    v = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    return reg.prox(delta * v, delta * lam), v


@pytest.mark.parametrize("reg", [r for r in REGS if r != bt.GroupL2("kernels")], ids=str)
def test_distances(reg):
    generator = torch.Generator().manual_seed(3)
    (w, v), (u, q) = (random_pair(reg, generator) for _ in range(2))
    there = cert.elastic_distance(reg, u, w, v, lam=0.7, delta=2.0)
    back = cert.elastic_distance(reg, w, u, q, lam=0.7, delta=2.0)
    assert min(there, back) >= (u - w).square().sum() / 4 - 1e-12, "the elastic net is 1/delta-strongly convex"
    torch.testing.assert_close(there + back, cert.symmetric_distance(w, v, u, q))
    split = 0.7 * cert.bregman_distance(reg, u, w, (v - w / 2) / 0.7) + (u - w).square().sum() / 4
    torch.testing.assert_close(there, split)
    target = u.abs() + 0.1
    gap = cert.three_point_gap(reg, target, (w, v), (u, q), lam=0.7, delta=2.0)
    assert abs(gap) < 1e-12
    off = cert.three_point_gap(reg, target, (w, v), (u, q + 0.1), lam=0.7, delta=2.0)
    assert math.isfinite(off)


def quadratic_run(step_factor, claimed=1.0, steps=40):
    """LinBreg on a quadratic with Hessian diag(1 .. 5): yields losses and pairs, step by step."""
    hessian = torch.arange(1.0, 6.0, dtype=torch.float64)
    delta, lam = 2.0, 0.5
    smoothness = float(hessian.max())
    lr = step_factor / (delta * smoothness)
    target = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0], dtype=torch.float64)

    def loss(w):
        return float((hessian * (w - target).square()).sum()) / 2

    v = torch.zeros(5, dtype=torch.float64)
    w = bt.L1().prox(delta * v, delta * lam)
    for _ in range(steps):
        v_new = v - lr * hessian * (w - target)
        w_new = bt.L1().prox(delta * v_new, delta * lam)
        pairs = (w, v), (w_new, v_new)
        yield cert.loss_decay_gap((loss(w), loss(w_new)), *pairs, lr=lr, delta=delta, smoothness=claimed * smoothness)
        w, v = w_new, v_new


@pytest.mark.parametrize("step_factor", [1.0, 1.9, 1.99])
def test_loss_decays_as_the_theorem_says(step_factor):
    assert min(quadratic_run(step_factor)) >= -1e-12


@pytest.mark.parametrize("step_factor", [1.0, 1.9, 1.99])
def test_loss_decay_fails_with_a_constant_better_than_the_theorems(step_factor):
    """In the steepest direction of a quadratic the inequality is an equation: 1 % less smoothness is too little."""
    assert min(quadratic_run(step_factor, claimed=0.99)) < -1e-9


def test_verdicts_print_what_held():
    assert "holds: the result minimises" in repr(cert.check_prox(bt.L1().prox, bt.L1()))


def test_check_equal():
    good = cert.check_equal("pair", lambda x: (x, x + 1), lambda x: (x, x + 1), [(1.0,)], hint="-")
    assert good
    bad = cert.check_equal("double", lambda x: x, lambda x: 2 * x, [(0.0,), (torch.ones(2),)], hint="twice")
    assert bad.counterexample == "for ([1, 1]) the value is [2, 2], yours is [1, 1]"
    assert not cert.check_equal("unfinished", lambda x: ..., lambda x: x, [(1.0,)], hint="-")
    with pytest.raises(ValueError, match="at least one tuple"):
        cert.check_equal("none", abs, abs, [], hint="-")
