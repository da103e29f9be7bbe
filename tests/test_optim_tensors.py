"""Tensors of every kind: written in place, in any layout, mixed precisions, empty, 0-dim, and as the rate."""

from __future__ import annotations

import pytest
import torch
from optim_table import CONV2D, Case, draw, each_case, each_reg, one_step, start
from torch import Tensor
from torch.optim import lr_scheduler

from bregtutorial.regularizers import L1, GroupL2, Nuclear, Regularizer


@each_case
@each_reg
def test_weights_are_written_in_place(case: Case, reg: Regularizer) -> None:
    w = torch.nn.Parameter(start(reg))
    view, opt = w.detach().view(-1), case([w], reg=reg)
    for k in range(2):
        before = (w.data_ptr(), id(w), w.stride())
        version = w._version
        w.grad = draw(*CONV2D, seed=k)
        opt.step()
        assert (w.data_ptr(), id(w), w.stride()) == before
        assert w._version > version
        assert torch.equal(view, w.detach().flatten())
        assert w.requires_grad
    if "dual" in opt.state[w]:
        assert opt.state[w]["dual"].data_ptr() != w.data_ptr()  # also without a regularizer


@each_case
def test_autograd_notices_that_saved_weights_were_overwritten(case: Case) -> None:
    w = torch.nn.Parameter(draw(3, seed=0))
    loss = (w * w).sum()
    w.grad = torch.ones_like(w)
    case([w]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("foreach", [False, True])
@each_case
def test_mixed_precisions_in_one_group(case: Case, foreach: bool) -> None:
    params = [torch.nn.Parameter(draw(4, seed=s, dtype=d)) for s, d in enumerate((torch.float32, torch.float64))]
    opt = case(params, foreach=foreach)
    for k in range(3):
        for p in params:
            p.grad = draw(4, seed=k, dtype=p.dtype)
        opt.step()
    for s, p in enumerate(params):
        alone = torch.nn.Parameter(draw(4, seed=s, dtype=p.dtype))
        other = case([alone], foreach=foreach)
        for k in range(3):
            alone.grad = draw(4, seed=k, dtype=p.dtype)
            other.step()
        assert torch.equal(alone, p)
        assert all(x.dtype in (p.dtype, torch.float32) for x in opt.state[p].values())


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("shape", [(), (1,)], ids=["0-dim", "1-dim"])
@each_case
def test_the_rate_may_be_a_tensor_also_under_a_schedule(case: Case, shape: tuple[int, ...], foreach: bool) -> None:
    ends = []
    for lr in (0.25, torch.full(shape, 0.25)):
        params = [torch.nn.Parameter(draw(*s, seed=0)) for s in ((), (2, 3))]
        opt = case(params, lr=lr, foreach=foreach)
        schedule = (
            lr_scheduler.StepLR(opt, 2, 0.5) if shape == () else None
        )  # old schedulers cannot write the other kind
        for k in range(6):
            for p in params:
                p.grad = draw(*p.shape, seed=k)
            opt.step()
            if schedule is not None:
                schedule.step()
        assert isinstance(opt.param_groups[0]["lr"], Tensor) == isinstance(lr, Tensor)
        assert float(opt.param_groups[0]["lr"]) == (0.25 / 8 if shape == () else 0.25)
        ends.append([p.detach() for p in params])
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@each_case
def test_empty_and_0_dim_parameters(case: Case) -> None:
    params = [torch.nn.Parameter(draw(*s, seed=0)) for s in ((0,), (3, 0), ())]
    opt = case(params)
    for p in params:
        p.grad = torch.ones_like(p)
    opt.step()
    assert [p.numel() for p in params] == [0, 0, 1]
    assert not torch.equal(params[2].detach(), draw(seed=0))
    for reg in (GroupL2("rows"), Nuclear()):
        empty = torch.nn.Parameter(torch.zeros(0, 4))
        assert one_step(case, empty.detach(), torch.zeros(0, 4), reg=reg).shape == (0, 4)


@pytest.mark.parametrize("reg", [L1(), GroupL2("kernels")], ids=str)
@each_case
def test_memory_formats_give_the_same_numbers(case: Case, reg: Regularizer) -> None:
    w, g = draw(*CONV2D, seed=0), draw(*CONV2D, seed=1)
    ends = []
    for layout in (torch.contiguous_format, torch.channels_last):
        p = torch.nn.Parameter(w.clone(memory_format=layout))
        opt = case([p], reg=reg)
        for _ in range(3):
            p.grad = g.clone(memory_format=torch.contiguous_format)
            opt.step()
        assert p.is_contiguous(memory_format=layout)
        ends.append(p.detach())
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-13)
