"""Curves of lam, the rules as functions, and the strengths below which weights wake."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from optim_table import draw, each_reg_and_shape, feasible, point

import bregtutorial as bt
from bregtutorial.schedules import LamSchedule, Ramp, difference_factor, odds_factor, strength_with

fractions = st.floats(0.001, 0.999)
gains = st.floats(0.05, 2.0)
FACTORS = pytest.mark.parametrize("factor", [difference_factor, odds_factor])


def best_by_sorting(awake: int, values: list[float]) -> int:
    """How many lie above a strength at best, without exceeding ``awake``: only whole runs of equals can be cut off."""
    counts = [sum(x > cut for x in values) for cut in {*values, -1.0}]
    return max(n for n in counts if n <= awake)


@given(
    st.lists(st.one_of(st.floats(0, 100, width=32), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=30),
    st.data(),
)
def test_the_order_statistic_leaves_as_many_awake_as_any_strength_can(values: list[float], data: Any) -> None:
    awake = data.draw(st.integers(0, len(values) - 1))
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor(values, dtype=dtype)
        lam = strength_with(awake, x)
        assert lam.dtype == dtype
        assert int((x > lam).sum()) == best_by_sorting(awake, values)


def test_neighbouring_floats_are_told_apart() -> None:
    x = torch.tensor([1.0])
    for _ in range(20):
        x = torch.cat([x, x[-1:].nextafter(torch.tensor(2.0))])
    for awake in range(len(x)):
        assert int((x > strength_with(awake, x)).sum()) == awake


@pytest.mark.parametrize("awake", [-1, 3])
def test_more_than_all_or_less_than_none_is_refused(awake: int) -> None:
    with pytest.raises(ValueError, match=f"less than the 3 thresholds, got {awake}"):
        strength_with(awake, torch.ones(3))


def test_the_deterministic_selection_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnGpu(torch.Tensor):
        is_cuda = True

        def kthvalue(self, k: int) -> Any:
            raise AssertionError("refused in deterministic mode")

    x = draw(100, seed=1).abs()
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert [float(strength_with(k, x.as_subclass(OnGpu))) for k in (0, 7, 99)] == [
        float(strength_with(k, x)) for k in (0, 7, 99)
    ]


@each_reg_and_shape
def test_a_weight_is_awake_exactly_below_its_strength(reg: Any, shape: tuple[int, ...]) -> None:
    if not hasattr(reg, "wakes_below"):
        assert reg.name in ("nuclear", "zero")
        return
    for seed in range(3):
        v = point(shape, seed)
        wakes = reg.wakes_below(v)
        assert wakes.shape == v.shape
        assert bool((wakes >= 0).all())
        for t in wakes.flatten()[:12].tolist():
            for factor in (0.0, 1 - 1e-9, 1 + 1e-9):
                assert torch.equal(reg.prox(v, t * factor) != 0, wakes > t * factor)
        for scale in (2.0, 1e-3):  # one-homogeneous
            torch.testing.assert_close(reg.wakes_below(scale * v), scale * wakes, rtol=1e-12, atol=1e-15)
        assert torch.equal(reg.prox(feasible(reg, v), 0.0) != 0, reg.wakes_below(feasible(reg, v)) > 0)


def test_sparse_groups_contain_both_of_their_ends() -> None:
    v = draw(4, 6, seed=3)
    for ratio, end in ((0.0, bt.GroupL2("rows")), (1.0, bt.L1())):
        torch.testing.assert_close(
            bt.SparseGroupL2("rows", ratio).wakes_below(v), end.wakes_below(v), rtol=1e-12, atol=0
        )


@FACTORS
@given(density=fractions, target=fractions, gain=gains)
def test_a_factor_pushes_to_the_target_and_rests_on_it(factor: Any, density: float, target: float, gain: float) -> None:
    assert factor(target, target, gain) == pytest.approx(1.0, abs=1e-12)
    assert (factor(density, target, gain) - 1) * (density - target) >= 0
    there_and_back = factor(density, target, gain) * factor(1 - density, 1 - target, gain)
    assert there_and_back == pytest.approx(1.0)  # zeros and non-zeros play the same part


@FACTORS
@given(pair=st.tuples(fractions, fractions), target=fractions, gain=gains)
def test_a_factor_grows_with_the_density(factor: Any, pair: tuple[float, float], target: float, gain: float) -> None:
    low, high = sorted(pair)
    assert factor(low, target, gain) <= factor(high, target, gain) * (1 + 1e-12)


def test_small_densities_are_what_tells_the_factors_apart() -> None:
    for target in (0.1, 0.01, 0.001):
        assert odds_factor(10 * target / (1 + 9 * target), target, 0.5) == pytest.approx(10**0.5)
    assert difference_factor(0.1, 0.01, 0.5) == pytest.approx(1.045)
    assert difference_factor(0.01, 0.001, 0.5) == pytest.approx(1.0045)


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        ("linear", [8.0, 6.5, 5.0, 3.5, 2.0, 2.0]),
        ("cubic", [8.0, 4.53125, 2.75, 2.09375, 2.0, 2.0]),
        ("cosine", [8.0, 7.12132, 5.0, 2.87868, 2.0, 2.0]),
        ("exponential", [8.0, 5.656854, 4.0, 2.828427, 2.0, 2.0]),
    ],
)
def test_ramps_at_their_quarters(shape: str, values: list[float]) -> None:
    assert [Ramp(8.0, 2.0, 8, shape)(k) for k in (0, 2, 4, 6, 8, 100)] == pytest.approx(values)
    assert (Ramp(0.1, 0.7, 3, shape)(-1), Ramp(0.1, 0.7, 3, shape)(3)) == (0.1, 0.7)  # the ends to the last bit


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((1.0, 2.0, 0), "steps must be > 0, got 0; for a constant give the number itself"),
        ((1.0, 2.0, 3, "cubed"), "shape must be one of 'linear', .*, got 'cubed'; did you mean 'cubic'"),
        ((0.0, 2.0, 3, "exponential"), "needs start and stop > 0, got 0.0 and 2.0"),
    ],
)
def test_bad_ramps_are_refused(arguments: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Ramp(*arguments)


def two_groups(cls: Any = bt.LinBreg) -> Any:
    params = [torch.nn.Parameter(draw(3, seed=i)) for i in range(3)]
    lams = (0.2, 0.0, 0.5)
    return cls([{"params": [p], "lam": lam} for p, lam in zip(params, lams, strict=True)], lr=0.1)


@pytest.mark.parametrize("cls", [bt.LinBreg, bt.AdaBreg, bt.ProxSGD])
def test_a_schedule_multiplies_the_strengths_and_leaves_zero_alone(cls: Any) -> None:
    opt = two_groups(cls)
    schedule = LamSchedule(opt, lambda k: 1 + k)
    seen = []
    for _ in range(3):
        seen.append([g["lam"] for g in opt.param_groups])
        schedule.step()
    assert seen == [pytest.approx([0.2 * f, 0.0, 0.5 * f]) for f in (1, 2, 3)]


@pytest.mark.parametrize("loaded_first", ["optimizer", "schedule"])
def test_a_schedule_goes_on_where_it_was(loaded_first: str) -> None:
    opt = two_groups()
    schedule = LamSchedule(opt, Ramp(0.3, 1.0, 10, "cosine"))
    for _ in range(4):
        schedule.step()
    saved = opt.state_dict(), schedule.state_dict()
    again = two_groups()
    if loaded_first == "optimizer":
        again.load_state_dict(saved[0])
    resumed = LamSchedule(again, Ramp(0.3, 1.0, 10, "cosine"))
    resumed.load_state_dict(saved[1])
    if loaded_first == "schedule":
        again.load_state_dict(saved[0])
    for _ in range(3):
        assert [g["lam"] for g in again.param_groups] == [g["lam"] for g in opt.param_groups]
        schedule.step()
        resumed.step()


def test_a_schedule_refuses_what_it_cannot_multiply() -> None:
    opt = bt.LinBreg([torch.nn.Parameter(torch.zeros(2))])
    with pytest.raises(ValueError, match="no param group has a lam other than 0"):
        LamSchedule(opt, Ramp(0.0, 1.0, 5))
    with pytest.raises(ValueError, match="factor must be >= 0 and finite, got -1 at step 0"):
        LamSchedule(two_groups(), lambda k: -1)
    schedule = LamSchedule(two_groups(), Ramp(0.0, 1.0, 5))
    with pytest.raises(ValueError, match="the state has 1 groups, the optimizer 3"):
        schedule.load_state_dict({"steps": 1, "base": [0.1]})


@pytest.mark.parametrize("seed", range(8))
def test_nobody_is_woken_by_rounding_where_less_than_one_group_is_wanted(seed: int) -> None:
    """The strength is above the largest threshold then, by more than the rounding of a norm."""
    rows = bt.GroupL2("rows")
    v = torch.randn(40, 25, generator=torch.Generator().manual_seed(seed))
    lam = strength_with(20, rows.wakes_below(v))
    assert not rows.prox(v, lam).any()
    assert rows.prox(v, 0.999 * lam).count_nonzero() == 25


def test_a_schedule_says_that_groups_were_added() -> None:
    opt = bt.LinBreg([torch.nn.Parameter(torch.ones(2))], lr=0.1, lam=1.0)
    schedule = LamSchedule(opt, lambda step: 1.0)
    opt.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
    with pytest.raises(ValueError, match="build the schedule after the last add_param_group"):
        schedule.step()
