"""Whatever is done to an optimizer, in whatever order: it is where a slow twin is that does the same by the book.

Hypothesis makes up the story: steps with and without gradients, new strengths and rates, edited weights, frozen
parameters, checkpoints taken and loaded. After every action weights, state and numbers are compared with the twin's,
which knows nothing but :mod:`bregtutorial.reference`.
"""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from optim_table import draw, slow_prox
from torch import Tensor

from bregtutorial import reference
from bregtutorial.optim import AdaBreg, LinBreg, ProxSGD
from bregtutorial.regularizers import L1, GroupL2, SparseGroupL2, Zero

NUMBERS: dict[str, tuple[Any, ...]] = {
    "lr": (0.0, 0.05, 0.3),
    "lam": (0.0, 0.05, 0.4, 3.0),
    "delta": (0.5, 1.0, 2.0),
    "momentum": (0.0, 0.5, 0.9),
    "betas": ((0.9, 0.999), (0.5, 0.9), (0.0, 0.5)),
    "eps": (1e-8, 1e-3),
    "maximize": (False, True),
}
SHAPES = ((4, 3), (5,), (2, 3, 2, 2))
REGS = (L1(), GroupL2("rows"), SparseGroupL2("inputs", 0.3), Zero())
seeds, places = st.integers(0, 999), st.integers(0, 99)


@dataclass
class Twin:
    """One parameter: its weights and what has been gathered for it, None before the first step."""

    w: Tensor
    frozen: bool = False
    state: dict[str, Any] = field(default_factory=dict)


def slow_subgradient(w: Tensor, reg: Any) -> Tensor:
    """The smallest subgradient, group by group from the definition."""
    rho = {"l1": 1.0, "group_l2": 0.0, "zero": 0.0}.get(reg.name, getattr(reg, "l1_ratio", 0.0))
    p = rho * w.sign()
    for g in reference.members(tuple(w.shape), reg.groups) if hasattr(reg, "groups") else []:
        if w[g].any():
            p[g] += (1 - rho) * w[g].numel() ** 0.5 * w[g] / w[g].norm()
    return p


def fresh_dual(twin: Twin, group: dict[str, Any]) -> Tensor:
    return group["lam"] * slow_subgradient(twin.w, group["reg"]) + twin.w / group["delta"]


def follow(twin: Twin, group: dict[str, Any]) -> None:
    """The weights of the dual."""
    if "dual" in twin.state:
        twin.w = slow_prox(group["reg"])(group["delta"] * twin.state["dual"], group["delta"] * group["lam"])


def slow_step(cls: Any, twin: Twin, group: dict[str, Any], g: Tensor) -> None:
    """One step of one parameter, by the functions of the reference alone."""
    s, zero = twin.state, torch.zeros_like(twin.w)
    g = -g if group["maximize"] else g
    fixed = {"lr": group["lr"], "lam": group["lam"], "prox": slow_prox(group["reg"])}
    if cls is ProxSGD:
        if group["momentum"]:
            g = group["momentum"] * s.get("momentum_buffer", zero) + (1 - group["momentum"]) * g
            s["momentum_buffer"] = g
        twin.w = reference.proxsgd_step(twin.w, g, **fixed)
        return
    fixed["delta"] = group["delta"]
    v = s["dual"] if "dual" in s else fresh_dual(twin, group)
    if cls is AdaBreg:
        k, m1, m2 = int(s.get("step", 0)) + 1, s.get("exp_avg", zero), s.get("exp_avg_sq", zero)
        options = {"betas": group["betas"], "eps": group["eps"], **fixed}
        twin.w, s["dual"], s["exp_avg"], s["exp_avg_sq"] = reference.adabreg_step(v, m1, m2, k, g, **options)
        s["step"] = torch.tensor(float(k))
    elif group["momentum"]:
        m = s.get("momentum_buffer", zero)
        twin.w, s["dual"], s["momentum_buffer"] = reference.momentum_step(v, m, g, momentum=group["momentum"], **fixed)
    else:
        twin.w, s["dual"] = reference.linbreg_step(v, g, **fixed)


class Story(RuleBasedStateMachine):
    """The actions; subclasses name the optimizer."""

    cls: Any
    saved = Bundle("saved")

    def optimizer(self, params: list[list[Tensor]], options: list[dict[str, Any]]) -> Any:
        return self.cls([{"params": p, **o} for p, o in zip(params, options, strict=True)])

    @initialize(reg=st.sampled_from(REGS), lam=st.sampled_from(NUMBERS["lam"]), seed=seeds)
    def begin(self, reg: Any, lam: float, seed: int) -> None:
        self.params: list[list[torch.nn.Parameter]] = []
        self.twins: list[list[Twin]] = []
        self.groups: list[dict[str, Any]] = []
        self.opt: Any = None
        self.add_group(reg, lam, seed)

    @precondition(lambda self: len(self.groups) < 4)
    @rule(reg=st.sampled_from(REGS), lam=st.sampled_from(NUMBERS["lam"]), seed=seeds)
    def add_group(self, reg: Any, lam: float, seed: int) -> None:
        shapes = [s for s in SHAPES if len(s) > 1 or not hasattr(reg, "groups")]
        starts = [draw(*shape, seed=seed + i) for i, shape in enumerate(shapes)]
        for w in starts:
            w[draw(*w.shape, seed=seed + 9) > 0.5] = 0.0
        self.twins.append([Twin(w.clone()) for w in starts])
        self.params.append([torch.nn.Parameter(w) for w in starts])
        options = {"reg": reg, "lam": lam}
        if self.opt is None:
            self.opt = self.cls([{"params": self.params[0], **options}])
        else:
            self.opt.add_param_group({"params": self.params[-1], **options})
        defaults = {k: v for k, v in self.opt.defaults.items() if k in NUMBERS}
        self.groups.append({**defaults, **options})
        self.places = [[p.data_ptr() for p in group] for group in self.params]

    def pick(self, place: int) -> tuple[Tensor, Twin]:
        pairs = [pair for p, t in zip(self.params, self.twins, strict=True) for pair in zip(p, t, strict=True)]
        return pairs[place % len(pairs)]

    @rule(kinds=st.lists(st.sampled_from(["normal", "normal", "zero", "none"]), min_size=3, max_size=6), seed=seeds)
    def step(self, kinds: list[str], seed: int) -> None:
        number = 0
        for params, twins, group in zip(self.params, self.twins, self.groups, strict=True):
            for p, twin in zip(params, twins, strict=True):
                kind = kinds[number % len(kinds)]
                number += 1
                p.grad = None
                if kind != "none" and not twin.frozen:
                    g = draw(*p.shape, seed=seed + number) * (kind != "zero")
                    p.grad = g.clone()
                    slow_step(self.cls, twin, group, g)
        before = [None if p.grad is None else p.grad.clone() for group in self.params for p in group]
        self.opt.step()
        for g, p in zip(before, (p for group in self.params for p in group), strict=True):
            assert (g is None and p.grad is None) or torch.equal(g, p.grad)

    @rule(data=st.data(), place=places, as_tensor=st.booleans())
    def change_a_number(self, data: st.DataObject, place: int, as_tensor: bool) -> None:
        i = place % len(self.groups)
        key = data.draw(st.sampled_from(sorted(self.groups[i].keys() & NUMBERS.keys())))
        value = data.draw(st.sampled_from(NUMBERS[key]))
        self.groups[i][key] = value
        as_tensor &= key == "lr"
        self.opt.param_groups[i][key] = torch.tensor(value, dtype=torch.float64) if as_tensor else value

    @rule(foreach=st.sampled_from([None, False, True]))
    def change_the_kernels(self, foreach: bool | None) -> None:
        for group in self.opt.param_groups:
            group["foreach"] = foreach

    @rule(place=places, key=st.sampled_from(["lr", "lam"]), value=st.sampled_from([-1.0, float("nan")]))
    def a_bad_number_is_refused_before_anything_moves(self, place: int, key: str, value: float) -> None:
        group = self.opt.param_groups[place % len(self.groups)]
        good, group[key] = group[key], value
        for p in (p for params in self.params for p in params):
            p.grad = torch.ones_like(p)
        with pytest.raises(ValueError, match=f"{key} must be >= 0 and finite, got {value}"):
            self.opt.step()
        group[key] = good

    @rule(place=places, seed=seeds)
    def edit_weights(self, place: int, seed: int) -> None:
        p, twin = self.pick(place)
        twin.w = draw(*p.shape, seed=seed) * (draw(*p.shape, seed=seed + 1) > 0)
        with torch.no_grad():
            p.copy_(twin.w)

    @rule(place=places)
    def freeze_or_thaw(self, place: int) -> None:
        p, twin = self.pick(place)
        twin.frozen = not twin.frozen
        p.requires_grad_(not twin.frozen)
        p.grad = None

    @rule(target=saved)
    def save(self) -> tuple[bytes, Any]:
        file = io.BytesIO()
        torch.save([self.params, self.opt.state_dict()], file)
        return file.getvalue(), copy.deepcopy((self.twins, self.groups))

    @rule(checkpoint=saved)
    def load_into_a_fresh_optimizer(self, checkpoint: tuple[bytes, Any]) -> None:
        params, state = torch.load(io.BytesIO(checkpoint[0]), weights_only=True)
        self.twins, self.groups = copy.deepcopy(checkpoint[1])
        self.params = [[torch.nn.Parameter(p.detach(), p.requires_grad) for p in group] for group in params]
        self.places = [[p.data_ptr() for p in group] for group in self.params]
        self.opt = self.optimizer(self.params, [{"reg": g["reg"]} for g in self.groups])
        self.opt.load_state_dict(state)

    @rule(checkpoint=saved)
    def load_where_it_is(self, checkpoint: tuple[bytes, Any]) -> None:
        """The state of then with the weights of now; refused if groups have joined since."""
        _, state = torch.load(io.BytesIO(checkpoint[0]), weights_only=True)
        twins, groups = copy.deepcopy(checkpoint[1])
        if [g["reg"] for g in groups] != [g["reg"] for g in self.groups]:
            with pytest.raises(ValueError, match=r"the checkpoint has|was saved with reg"):
                self.opt.load_state_dict(state)
            return
        self.opt.load_state_dict(state)
        self.groups = groups
        for mine, theirs in zip(self.twins, twins, strict=True):
            for twin, other in zip(mine, theirs, strict=True):
                twin.state = other.state

    @invariant()
    def the_twin_agrees(self) -> None:
        for i, group in enumerate(self.groups):
            found = {k: self.opt.param_groups[i][k] for k in group}
            found["lr"] = float(found["lr"])
            assert {**found, "betas": tuple(found.get("betas", ()))} == {**group, "betas": group.get("betas", ())}
            for p, twin, place in zip(self.params[i], self.twins[i], self.places[i], strict=True):
                self.compare(p, twin)
                assert p.data_ptr() == place

    def compare(self, p: Tensor, twin: Twin) -> None:
        state = self.opt.state.get(p, {})
        assert state.keys() == twin.state.keys()
        for key, x in {"w": p.detach(), **state}.items():
            torch.testing.assert_close(x, twin.w if key == "w" else twin.state[key], rtol=1e-9, atol=1e-10)
            assert key == "w" or x.data_ptr() != p.data_ptr()
        # a step forth and the same step back may leave 0 in the one and a rounding in the other
        tiny = (p.abs() < 1e-10) & (twin.w.abs() < 1e-10)
        assert bool((((p == 0) == (twin.w == 0)) | tiny).all())


class DualStory(Story):
    """What is there only where there is a dual."""

    @rule()
    def reset_dual(self) -> None:
        self.opt.reset_dual()
        for group, twins in zip(self.groups, self.twins, strict=True):
            for twin in twins:
                if "dual" in twin.state:
                    twin.state["dual"] = fresh_dual(twin, group)

    @rule()
    def apply_prox(self) -> None:
        self.opt.apply_prox()
        for group, twins in zip(self.groups, self.twins, strict=True):
            for twin in twins:
                follow(twin, group)

    @rule(lam=st.sampled_from(NUMBERS["lam"]), place=st.none() | places, keep=st.sampled_from(["dual", "weights"]))
    def set_lam(self, lam: float, place: int | None, keep: str) -> None:
        index = None if place is None else place % len(self.groups)
        chosen = [i for i, g in enumerate(self.groups) if i == index or (index is None and g["lam"])]
        options = {"group": index, "keep": keep}
        if not chosen:
            with pytest.raises(ValueError, match="no param group with lam other than 0"):
                self.opt.set_lam(lam, **options)
            return
        self.opt.set_lam(lam, **options)
        for i in chosen:
            group, old = self.groups[i], self.groups[i]["lam"]
            group["lam"] = lam
            for twin in self.twins[i]:
                if keep == "dual":
                    follow(twin, group)
                elif "dual" in twin.state:
                    shift = twin.w / group["delta"]
                    scaled = lam / old * (twin.state["dual"] - shift) + shift if old else fresh_dual(twin, group)
                    twin.state["dual"] = scaled


class LinBregStory(DualStory):
    cls = LinBreg


class AdaBregStory(DualStory):
    cls = AdaBreg


class ProxSGDStory(Story):
    cls = ProxSGD


# deterministic everywhere: the same stories at every run
long = settings(max_examples=40, stateful_step_count=30, deadline=None, derandomize=True, database=None)
TestLinBreg, TestAdaBreg, TestProxSGD = (story.TestCase for story in (LinBregStory, AdaBregStory, ProxSGDStory))
TestLinBreg.settings = TestAdaBreg.settings = TestProxSGD.settings = long
