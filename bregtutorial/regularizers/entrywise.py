"""Regularizers that look at one weight at a time.

Book: Foundations, "Proximal operators".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor


def soft(v: Tensor, t: Any) -> Tensor:
    """Soft thresholding: what is left of ``v`` after its projection on the box ``[-t, t]``; gives +0 and keeps NaN.

    Example:
        >>> soft(torch.tensor([-3.0, 0.5]), 1.0)
        tensor([-2.,  0.])

    References:
        Moreau (1965): prox and projection on the dual ball add up to the identity.

    Book: Foundations, "Proximal operators".
    """
    return v - v.clamp(-t, t)


@dataclass(frozen=True)
class L1:
    r"""Sum of absolute values, :math:`J(w)=\sum_i|w_i|`.

    The proximal operator is soft thresholding, :math:`\operatorname{sign}(v_i)\max(|v_i|-t,0)`.

    Example:
        >>> L1().prox(torch.tensor([-3.0, 0.5, 2.0]), 1.0)
        tensor([-2.,  0.,  1.])

    References:
        Bungert et al. (2022), Eq. 1.2.

    Book: Foundations, "Proximal operators".
    """

    name: ClassVar[str] = "l1"

    def value(self, w: Tensor) -> Tensor:
        """Sum of the absolute values."""
        return w.abs().sum()

    def prox(self, v: Tensor, t: float | Tensor) -> Tensor:
        """Soft thresholding with threshold ``t``."""
        return soft(v, t)

    def subgradient(self, w: Tensor) -> Tensor:
        """The sign, 0 at 0."""
        return w.sign()

    def wakes_below(self, v: Tensor) -> Tensor:
        """The magnitude."""
        return v.abs()


@dataclass(frozen=True)
class L1NonNegative:
    r""":math:`J(w)=\sum_i w_i` for :math:`w\ge0`, infinite elsewhere.

    The proximal operator is :math:`\max(v_i-t,0)`. An optimizer must start from weights without a negative entry;
    ``w.clamp_(min=0)`` projects them.

    Example:
        >>> L1NonNegative().prox(torch.tensor([-3.0, 0.5, 2.0]), 1.0)
        tensor([0., 0., 1.])

    References:
        Parikh and Boyd (2014), "Proximal Algorithms", section 6.5.2 with the constraint added.

    Book: Foundations, "Proximal operators".
    """

    name: ClassVar[str] = "l1_non_negative"

    def value(self, w: Tensor) -> Tensor:
        """The sum, or infinity if an entry is negative."""
        return torch.where((w < 0).any(), torch.inf, w.sum())

    def prox(self, v: Tensor, t: float | Tensor) -> Tensor:
        """One-sided soft thresholding."""
        return (v - t).clamp_min(0)

    def subgradient(self, w: Tensor) -> Tensor:
        """1 at positive weights, 0 at zeros; none at a negative one, so a compiled first step breaks its graph."""
        if (w < 0).any():
            raise ValueError(
                f"L1NonNegative is infinite at negative weights, the smallest is {w.min():.3g}: "
                "call weight.clamp_(min=0) under torch.no_grad() before the first step"
            )
        return (w > 0).to(w.dtype)

    def wakes_below(self, v: Tensor) -> Tensor:
        """The positive part."""
        return v.clamp_min(0)


@dataclass(frozen=True)
class Zero:
    """No regularizer, :math:`J(w)=0`: LinBreg then takes SGD's steps and AdaBreg takes Adam's.

    Example:
        >>> Zero().prox(torch.tensor([1.0, -2.0]), 3.0)
        tensor([ 1., -2.])

    References:
        Bungert et al. (2022), Eq. 2.8 with :math:`J=0`.

    Book: Algorithms, "LinBreg, step by step".
    """

    name: ClassVar[str] = "zero"

    def value(self, w: Tensor) -> Tensor:
        """Zero, with a gradient of zeros."""
        return w.flatten()[:0].sum()

    def prox(self, v: Tensor, t: float | Tensor) -> Tensor:
        """A copy of ``v``, so that weights and duals never share memory."""
        return v.clone()

    def subgradient(self, w: Tensor) -> Tensor:
        """Zero."""
        return torch.zeros_like(w)
