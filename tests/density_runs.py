"""A small optimizer with two penalised groups, for the tests of TargetDensity."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim_table import draw, start

from bregtutorial.regularizers import L1, GroupL2, L1NonNegative, Regularizer, SparseGroupL2, Zero

RULES = ("quantile", "odds", "difference")
each_rule = pytest.mark.parametrize("rule", RULES)
PENALTIES = [L1(), L1NonNegative(), GroupL2("filters"), GroupL2("kernels"), SparseGroupL2("inputs", 0.3)]
each_penalty = pytest.mark.parametrize("reg", PENALTIES, ids=lambda r: str(r).replace(" ", ""))


def build(case: Any, reg: Regularizer = PENALTIES[0], **options: Any) -> tuple[list[torch.nn.Parameter], Any]:
    """Two groups with strengths in the ratio 1 : 3, and one without."""
    params = [
        torch.nn.Parameter(start(reg)),
        torch.nn.Parameter(start(reg, (6, 5, 2, 2))),
        torch.nn.Parameter(draw(4, seed=9)),
    ]
    groups = [
        {"params": params[:1], "reg": reg, "lam": 0.15, "name": "conv"},
        {"params": params[1:2], "reg": reg, "lam": 0.45, "name": "linear"},
        {"params": params[2:], "reg": Zero(), "lam": 0.15, "name": "bias"},
    ]
    return params, case(groups, **options)


def go_on(params: Any, opt: Any, control: Any, steps: range) -> None:
    for k in steps:
        for i, p in enumerate(params):
            p.grad = draw(*p.shape, seed=10 * k + i)
        opt.step()
        control.step()


def awake(*params: torch.Tensor) -> int:
    return sum(int(p.count_nonzero()) for p in params)
