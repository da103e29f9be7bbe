"""The documented usage of the package bregman-learning, on the classes of this one.

Its regularizer holds the strength (``L1(rc=0.1)``); here the strength is a number of the parameter group. That is all
there is to translate: ``rc`` becomes ``lam``, ``L12(direction=...)`` becomes groups of rows or columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

import bregtutorial as bt
from bregtutorial.regularizers import Regularizer


@dataclass(frozen=True)
class Priced:
    """A regularizer and its strength."""

    reg: Regularizer
    rc: float

    def __call__(self, w: Tensor) -> float:
        return self.rc * float(self.reg.value(w))


def Null() -> Priced:  # noqa: N802
    return Priced(bt.Zero(), 0.0)


def L1(rc: float = 1.0) -> Priced:  # noqa: N802
    return Priced(bt.L1(), rc)


def L12(rc: float = 1.0, direction: str = "row") -> Priced:  # noqa: N802
    return Priced(bt.GroupL2({"row": "rows", "column": "columns"}[direction]), rc)


def Nuclear(rc: float = 1.0) -> Priced:  # noqa: N802
    return Priced(bt.Nuclear(), rc)


def _translated(params: Iterable[Any]) -> list[Any]:
    def unpack(group: Any) -> Any:
        if not isinstance(group, dict) or "reg" not in group:
            return group
        return {**group, "reg": group["reg"].reg, "lam": group["reg"].rc}

    return [unpack(group) for group in params]


def LinBreg(  # noqa: N802
    params: Iterable[Any], lr: float = 1e-3, reg: Priced | None = None, delta: float = 1.0, momentum: float = 0.0
) -> bt.LinBreg:
    reg = reg or Null()
    return bt.LinBreg(_translated(params), lr, reg=reg.reg, lam=reg.rc, delta=delta, momentum=momentum)


def AdaBreg(  # noqa: N802
    params: Iterable[Any],
    lr: float = 1e-3,
    reg: Priced | None = None,
    delta: float = 1.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> bt.AdaBreg:
    reg = reg or Null()
    return bt.AdaBreg(_translated(params), lr, reg=reg.reg, lam=reg.rc, delta=delta, betas=betas, eps=eps)
