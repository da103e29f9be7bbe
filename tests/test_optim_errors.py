"""What is refused, when, and in which words; and that a refusal changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim_table import Case, draw, each_case, one_step
from torch import Tensor

from bregtutorial.optim import AdaBreg, LinBreg, ProxSGD
from bregtutorial.regularizers import L1, GroupL2, L1NonNegative, Nuclear, SparseGroupL2

OPTIMIZERS = [LinBreg, AdaBreg, ProxSGD]
each_optimizer = pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda c: c.__name__)
NAN, INF = float("nan"), float("inf")


def weight(*shape: int, dtype: torch.dtype = torch.float32) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.ones(shape or (2, 3), dtype=dtype), requires_grad=dtype.is_floating_point)


BAD_NUMBERS = [
    *[("lr", x, ">= 0 and finite") for x in (-0.1, NAN, INF, None, "0.1")],
    *[("lam", x, ">= 0 and finite") for x in (-0.1, NAN, INF, None)],
    *[("delta", x, "> 0 and finite") for x in (0.0, -1.0, NAN, INF, None)],
    *[("momentum", x, r"in \[0, 1\)") for x in (-0.1, 1.0, NAN, None)],
    *[("betas", x, r"a pair of numbers in \[0, 1\)") for x in ((0.9, 1.0), (-0.1, 0.9), (0.9,), 0.9, None)],
    *[("eps", x, ">= 0 and finite") for x in (-1e-8, NAN, INF)],
]


@pytest.mark.parametrize(("key", "value", "rule"), BAD_NUMBERS)
@each_optimizer
def test_a_bad_number_is_refused_when_built_when_added_and_when_a_schedule_sets_it(
    cls: Any, key: str, value: Any, rule: str
) -> None:
    good = cls([weight()])
    if key not in good.defaults:
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{key}'"):
            cls([weight()], **{key: value})
        return
    text = rf"{key} must be {rule}, got "
    with pytest.raises(ValueError, match=text):
        cls([weight()], **{key: value})
    with pytest.raises(ValueError, match=text):
        cls([{"params": [weight()], key: value}])
    with pytest.raises(ValueError, match=text):
        good.add_param_group({"params": [weight()], key: value})
    assert len(good.param_groups) == 1
    good.add_param_group({"params": [weight()]})
    good.param_groups[1][key] = value
    for group in good.param_groups:
        group["params"][0].grad = torch.ones(2, 3)
    with pytest.raises(ValueError, match=text):
        good.step()
    assert torch.equal(good.param_groups[0]["params"][0], weight())
    assert len(good.state) == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [("lr", 0.0), ("lam", 0.0), ("delta", 1e-30), ("momentum", 0.0), ("eps", 0.0), ("betas", (0.0, 0.0))],
)
@each_optimizer
def test_the_ends_of_the_ranges_are_allowed(cls: Any, key: str, value: Any) -> None:
    opt = cls([weight()])
    if key in opt.defaults:
        opt.add_param_group({"params": [weight()], key: value})
        assert opt.param_groups[1][key] == value


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda cls: cls([]), ValueError, "optimizer got an empty parameter list"),
        (lambda cls: cls(torch.nn.Linear(2, 2)), TypeError, "not iterable"),
        (lambda cls: cls(weight()), TypeError, "should be an iterable of Tensors or dicts"),
        (lambda cls: cls([{"params": {weight()}}]), TypeError, "ordered"),
        (
            lambda cls: cls([{"params": [weight()]}, weight()]),
            TypeError,
            "needs parameters or a list of dicts, got Param",
        ),
        (
            lambda cls: cls([{"params": [weight()], "lamda": 0.1}]),
            ValueError,
            r"no setting 'lamda'; did you mean 'lam'\?",
        ),
        (lambda cls: cls([{"params": [weight()], "Reg": L1()}]), ValueError, r"no setting 'Reg'; did you mean 'reg'\?"),
        (lambda cls: cls([{"params": [weight()], "xyzzy": 1}]), ValueError, "no setting 'xyzzy', only lr, .*reg, lam"),
        (lambda cls: cls([weight()], lr=torch.ones(2)), ValueError, r"lr must be a number or a .* got shape \(2,\)"),
        (lambda cls: cls([weight()], lam=torch.ones(1)), ValueError, r"lam must be .* 0-dim .* shape \(1,\)"),
        (lambda cls: cls([weight()], reg=L1), TypeError, r"reg must be a regularizer such as L1\(\) .* got <class"),
        (lambda cls: cls([weight()], reg="l1"), TypeError, r"reg must be a regularizer such as L1\(\) .* got 'l1'"),
        (lambda cls: cls([weight()], reg=None), TypeError, r"reg must be a regularizer such as L1\(\) .* got None"),
        (
            lambda cls: cls([weight(dtype=torch.float16)]),
            TypeError,
            "parameter '#0' is torch.float16; .* by torch.autocast",
        ),
        (lambda cls: cls([("fc.w", weight(dtype=torch.bfloat16))]), TypeError, "parameter 'fc.w' is torch.bfloat16; "),
        (
            lambda cls: cls([weight(dtype=torch.complex64)]),
            TypeError,
            "parameter '#0' is torch.complex64; .* real numbers",
        ),
        (lambda cls: cls([weight(dtype=torch.int64)]), TypeError, "parameter '#0' is torch.int64; "),
        (
            lambda cls: cls([("fc.bias", weight(3))], reg=GroupL2("rows")),
            ValueError,
            r"parameter 'fc.bias' of shape \(3,\): groups='filters' needs weights with at least 2 dims, got 1",
        ),
        (
            lambda cls: cls([weight(2, 2), weight(3, 3)], reg=SparseGroupL2("kernels")),
            ValueError,
            r"parameter '#0' of shape \(2, 2\): groups='kernels' needs weights with at least 3 dims, got 2",
        ),
        (lambda cls: cls([weight(3)], reg=Nuclear()), ValueError, r"parameter '#0' of shape \(3,\): Nuclear needs"),
    ],
)
@each_optimizer
def test_the_constructor_refuses(cls: Any, make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make(cls)


@each_case
def test_a_group_that_is_refused_leaves_no_trace(case: Case) -> None:
    first = weight()
    opt = case([("a", first)])
    before = str(opt)
    for extra in (
        {"params": [("b", weight())], "lamda": 1.0},
        {"params": [("b", weight())], "lam": -1.0},
        {"params": [("b", weight()), ("c", weight(dtype=torch.float16))]},
        {"params": [("b", weight(3))], "reg": GroupL2()},
        {"params": [("b", weight())], "reg": "l1"},
        {"params": [("b", first)]},
    ):
        with pytest.raises((ValueError, TypeError)):
            opt.add_param_group(extra)
        assert str(opt) == before
    opt.add_param_group({"params": [("b", weight())], "lam": 2.0})
    assert [g["lam"] for g in opt.param_groups] == [opt.defaults["lam"], 2.0]


@each_case
def test_sparse_gradients_are_refused_by_name_before_anything_moves(case: Case) -> None:
    first, table = weight(), torch.nn.Embedding(5, 3, sparse=True)
    opt = case([{"params": [first]}, {"params": [table.weight]}])  # and none of an earlier group
    before = table.weight.detach().clone()
    (table(torch.tensor([1])).sum() + first.sum()).backward()
    with pytest.raises(
        RuntimeError, match=rf"{case.cls.__name__} does not support sparse gradients, got torch.sparse_coo"
    ):
        opt.step()
    assert torch.equal(table.weight, before)
    assert torch.equal(first, weight())
    assert len(opt.state) == 0


@pytest.mark.parametrize("cls", [LinBreg, AdaBreg], ids=lambda c: c.__name__)
def test_negative_weights_cannot_start_under_a_sign_constraint(cls: Any) -> None:
    w = torch.nn.Parameter(draw(3, 4, seed=0))
    opt = cls([w], reg=L1NonNegative(), lam=0.1)
    w.grad = torch.ones_like(w)
    before = w.detach().clone()
    with pytest.raises(
        ValueError, match=r"L1NonNegative is infinite at negative weights, .* call weight.clamp_\(min=0\)"
    ):
        opt.step()
    assert torch.equal(w.detach(), before)
    with torch.no_grad():
        w.clamp_(min=0)
    opt.step()
    assert (w >= 0).all()


@pytest.mark.parametrize("reg", [L1(), GroupL2("rows"), SparseGroupL2("rows"), Nuclear()], ids=lambda r: r.name)
@each_case
def test_nan_gradients_are_not_hidden(case: Case, reg: Any) -> None:
    w, other = torch.nn.Parameter(draw(3, 4, seed=0)), torch.nn.Parameter(draw(2, 2, seed=1))
    opt = case([w, other], reg=reg)
    w.grad, other.grad = draw(3, 4, seed=2), draw(2, 2, seed=3)
    w.grad[1, 2] = torch.nan
    if reg.name == "nuclear":  # a decomposition cannot be taken of NaN: torch says so
        before = w.detach().clone()
        with pytest.raises(torch.linalg.LinAlgError, match="non-finite"):
            opt.step()
        # ProxSGD's gradient step is one in the weights; what the others compute on the way must not stay in them
        assert torch.equal(w, before) != isinstance(opt, ProxSGD)
        return
    opt.step()
    hit = torch.zeros(3, 4, dtype=torch.bool)
    hit[1, slice(2, 3) if reg.name == "l1" else slice(None)] = True
    assert torch.equal(w.isnan(), hit)
    assert not other.isnan().any()


@pytest.mark.parametrize("reg", [L1(), GroupL2("rows"), SparseGroupL2("rows")], ids=lambda r: r.name)
@each_case
def test_infinite_gradients_are_not_hidden(case: Case, reg: Any) -> None:
    """And what they have done stays to be seen, also after good gradients."""
    w, other = torch.nn.Parameter(draw(3, 4, seed=0)), torch.nn.Parameter(draw(2, 2, seed=1))
    opt = case([w, other], reg=reg)
    for k in range(2):
        w.grad, other.grad = draw(3, 4, seed=2 + k), draw(2, 2, seed=3 + k)
        if k == 0:
            w.grad[1, 2] = torch.inf
        opt.step()
        assert not w[1, 2].isfinite()
        assert w[[0, 2]].isfinite().all()
        assert other.isfinite().all()


@each_case
def test_a_group_without_parameters_is_no_obstacle(case: Case) -> None:
    for foreach in (None, True):
        w = torch.nn.Parameter(draw(3, seed=0))
        opt = case([{"params": [], "lam": 0.3}, {"params": [w]}], foreach=foreach)
        w.grad = draw(3, seed=1)
        opt.step()
        if case.cls is not ProxSGD:
            opt.set_lam(0.2)
            opt.set_lam(0.15, group=1)
            opt.reset_dual()
            opt.apply_prox()
        again = case([{"params": []}, {"params": [w]}])
        again.load_state_dict(opt.state_dict())
        assert [len(g["params"]) for g in again.param_groups] == [0, 1]
        alone = one_step(case, draw(3, seed=0), draw(3, seed=1))
        torch.testing.assert_close(w.detach(), alone)


def test_a_regularizer_of_ones_own_may_check_shapes_too() -> None:
    class Bias(L1):
        def check_ndim(self, ndim: int) -> None:
            if ndim != 1:
                raise ValueError(f"Bias needs vectors, got {ndim} dims")

    def build(p: Tensor) -> LinBreg:
        return LinBreg([("head", p)], reg=Bias())

    assert build(weight(3)).param_groups[0]["reg"] == Bias()
    with pytest.raises(ValueError, match=r"parameter 'head' of shape \(2, 3\): Bias needs vectors, got 2 dims"):
        build(weight(2, 3))
