"""Values and subgradients against definitions that are not taken from the package; data types, layouts, errors."""

from __future__ import annotations

import dataclasses
import io
from typing import Any, ClassVar

import pytest
import torch
from optim_table import PAIRS, draw, each_reg_and_shape, feasible, point, violation

from bregtutorial import regularizers
from bregtutorial.reference import members
from bregtutorial.regularizers import GroupL2, L1NonNegative, Nuclear, Regularizer, SparseGroupL2, Zero, describe

TOL = 1e-10


@each_reg_and_shape
def test_memory_layout_does_not_matter(reg: Any, shape: tuple[int, ...]) -> None:
    v = point(shape)
    views = [v.mT.contiguous().mT if v.ndim > 1 else v, torch.stack([v, v + 1], -1)[..., 0]]
    if v.ndim == 4:
        views.append(v.to(memory_format=torch.channels_last))
        if reg.name != "nuclear":
            assert reg.prox(views[-1], 0.4).is_contiguous(memory_format=torch.channels_last)
    for view in views:
        for f in (lambda x: reg.prox(x, 0.4), lambda x: reg.value(x), lambda x: reg.subgradient(feasible(reg, x))):
            torch.testing.assert_close(f(view), f(v), rtol=TOL, atol=TOL)


@each_reg_and_shape
def test_value_is_the_loop_over_entries_groups_or_singular_values(reg: Any, shape: tuple[int, ...]) -> None:
    w = feasible(reg, point(shape))
    ones = sum(abs(x) for x in w.flatten().tolist())
    grouped = 0.0
    if hasattr(reg, "groups"):
        grouped = sum(w[g].numel() ** 0.5 * float(w[g].square().sum()) ** 0.5 for g in members(shape, reg.groups))
    rho = {"group_l2": 0.0, "zero": 0.0, "nuclear": 0.0}.get(reg.name, getattr(reg, "l1_ratio", 1.0))
    expected = rho * ones + (1 - rho) * grouped
    if reg.name == "nuclear":
        gram = w.flatten(1) @ w.flatten(1).T
        expected = float(torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().sum())
    value = reg.value(w)
    assert (value.shape, value.dtype) == ((), w.dtype)
    assert float(value) == pytest.approx(expected, rel=1e-6 if reg.name == "nuclear" else 1e-12)


@each_reg_and_shape
def test_subgradient_supports_j_from_below_and_is_the_smallest(reg: Any, shape: tuple[int, ...]) -> None:
    for seed in range(3):
        v = point(shape, seed)
        w = reg.prox(v, 0.8)
        p, other = reg.subgradient(w), (v - w) / 0.8
        assert violation(reg, p, w) < 1e-8
        for k in range(20):
            u = feasible(reg, w + point(shape, k) * 10.0 ** (-(k % 3)))
            assert float(reg.value(u) - reg.value(w) - (p * (u - w)).sum()) >= -1e-9
        # the element of a convex set nearest to 0: every other one makes an acute angle with it
        assert float((p * (other - p)).sum()) >= -1e-8


@each_reg_and_shape
def test_the_smallest_subgradient_at_zero_is_zero(reg: Any, shape: tuple[int, ...]) -> None:
    """So that weights that start at zero start in the middle of where they stay, not at its edge."""
    assert not reg.subgradient(torch.zeros(shape)).any()


@each_reg_and_shape
def test_subgradient_is_the_gradient_where_there_is_one(reg: Any, shape: tuple[int, ...]) -> None:
    w = feasible(reg, draw(*shape, seed=3)).requires_grad_()
    reg.value(w).backward()
    torch.testing.assert_close(reg.subgradient(w.detach()), w.grad, rtol=TOL, atol=TOL)


@each_reg_and_shape
def test_scaling(reg: Any, shape: tuple[int, ...]) -> None:
    w, c = feasible(reg, point(shape)), 3.7
    torch.testing.assert_close(reg.value(c * w), c * reg.value(w), rtol=TOL, atol=TOL)
    torch.testing.assert_close(reg.prox(c * w, c * 0.4), c * reg.prox(w, 0.4), rtol=TOL, atol=TOL)
    assert float(reg.value(torch.zeros_like(w))) == 0


@each_reg_and_shape
def test_input_is_left_alone_and_results_are_new(reg: Any, shape: tuple[int, ...]) -> None:
    v = feasible(reg, point(shape))
    before = v.clone()
    for t in (0.0, 0.4):
        result = reg.prox(v, t)
        assert result.data_ptr() != v.data_ptr()
        torch.testing.assert_close(reg.prox(v, torch.tensor(t, dtype=v.dtype)), result, rtol=TOL, atol=TOL)
    reg.value(v), reg.subgradient(v).add_(1)
    assert torch.equal(v, before)


@each_reg_and_shape
def test_float32_stays_float32_and_is_right_to_its_digits(reg: Any, shape: tuple[int, ...]) -> None:
    v = feasible(reg, point(shape))
    for f in (lambda x: reg.prox(x, 0.4), reg.value, reg.subgradient):
        assert f(v.float()).dtype == torch.float32
    torch.testing.assert_close(reg.prox(v.float(), 0.4).double(), reg.prox(v, 0.4), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(reg.value(v.float()).double(), reg.value(v), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 3, 2, 2)], ids=str)
def test_empty_weights_have_value_zero(shape: tuple[int, ...]) -> None:
    w = torch.zeros(shape)
    for reg in {reg for reg, s in PAIRS if len(s) == len(shape)}:
        assert reg.prox(w, 0.4).shape == reg.subgradient(w).shape == w.shape
        assert float(reg.value(w)) == 0


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 1e-25), (torch.float64, 1e-200)])
def test_groups_whose_norm_underflows_do_not_blow_up(dtype: torch.dtype, size: float) -> None:
    w = torch.full((2, 3), size, dtype=dtype)
    for reg in (GroupL2(), SparseGroupL2()):
        assert reg.subgradient(w).abs().max() <= 3**0.5


@pytest.mark.parametrize("reg", {reg for reg, _ in PAIRS}, ids=str)
def test_a_description_rebuilds_the_regularizer_and_loads_without_running_code(reg: Any) -> None:
    file = io.BytesIO()
    torch.save(describe(reg), file)
    file.seek(0)
    told = torch.load(file, weights_only=True)
    classes = {c.name: c for c in vars(regularizers).values() if dataclasses.is_dataclass(c)}
    assert classes[told.pop("name")](**told) == reg
    with pytest.raises(dataclasses.FrozenInstanceError):
        reg.groups = "rows"


def test_synonyms_are_equal_and_hash_alike() -> None:
    assert {GroupL2("rows"), GroupL2("columns")} == {GroupL2("filters"), GroupL2("inputs")}


def test_negative_weights_cost_infinity_and_have_no_subgradient() -> None:
    w = torch.tensor([1.0, -0.25])
    assert L1NonNegative().value(w) == torch.inf
    with pytest.raises(ValueError, match=r"infinite at negative weights, the smallest is -0\.25.*clamp_\(min=0\)"):
        L1NonNegative().subgradient(w)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: GroupL2("filter"), r"groups must be one of 'filters',.*, got 'filter'; did you mean 'filters'\?"),
        (lambda: SparseGroupL2("xyz"), r"groups must be one of .*, got 'xyz'$"),
        (lambda: SparseGroupL2(l1_ratio=1.5), r"l1_ratio must be in \[0, 1\], got 1\.5"),
        (lambda: SparseGroupL2(l1_ratio=float("nan")), r"l1_ratio must be in \[0, 1\], got nan"),
        (lambda: GroupL2("kernels").prox(torch.ones(2, 2), 0.1), "groups='kernels' needs .* at least 3 dims, got 2"),
        (lambda: GroupL2("rows").value(torch.ones(2)), "groups='filters' needs weights with at least 2 dims, got 1"),
        (lambda: Nuclear().check_ndim(1), "Nuclear needs weights with at least 2 dims, got 1"),
    ],
)
def test_errors_say_rule_and_value(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_the_share_of_the_one_norm_may_be_all_or_nothing() -> None:
    assert SparseGroupL2().l1_ratio == 0.5
    for share in (0.0, 1.0):
        assert SparseGroupL2(l1_ratio=share).l1_ratio == share


def test_a_regularizer_of_ones_own_needs_no_dataclass_to_be_described() -> None:
    class Plain:
        name: ClassVar[str] = "plain"
        value, prox, subgradient = Zero.value, Zero.prox, Zero.subgradient

    assert describe(Plain()) == {"name": "plain"}
    assert describe(SparseGroupL2) == {"name": "sparse_group_l2"}  # the class by mistake: optimizers refuse it by name


def test_a_regularizer_of_ones_own_needs_four_members() -> None:
    class Own(Zero):
        name: ClassVar[str] = "own"

    class NoProx:
        name: ClassVar[str] = "none"
        value = subgradient = Zero.value

    assert isinstance(Own(), Regularizer)
    assert not isinstance(NoProx(), Regularizer)
