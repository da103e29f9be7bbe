"""Regularizers of groups of weights.

Book: Algorithms, "Group sparsity".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bregtutorial.groups import canonical, group_norms, group_size, reduced_dims
from bregtutorial.regularizers.entrywise import L1, soft


@dataclass(frozen=True)
class GroupL2:
    r"""Group norm :math:`J(w)=\sum_g\sqrt{n_g}\,\|w_g\|_2`, where :math:`n_g` counts the entries of group :math:`g`.

    The proximal operator shortens every group by :math:`t\sqrt{n_g}` and removes those that are not longer:
    :math:`w_g=v_g\max(1-t\sqrt{n_g}/\|v_g\|,0)`.

    Args:
        groups: ``"filters"``/``"rows"``, ``"inputs"``/``"columns"`` or ``"kernels"``, see :mod:`bregtutorial.groups`.

    Example:
        >>> GroupL2("rows").prox(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 2.5 / 2**0.5)
        tensor([[1.5000, 2.0000],
                [0.0000, 0.0000]])

    References:
        Bungert et al. (2022), Eqs. 1.13 and 1.14. Yuan and Lin (2006) for the factor :math:`\sqrt{n_g}`, which makes
        groups of different sizes comparable.

    Book: Foundations, "Proximal operators"; Algorithms, "Group sparsity".
    """

    groups: str = "filters"
    name: ClassVar[str] = "group_l2"

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", canonical(self.groups))

    def check_ndim(self, ndim: int) -> None:
        """Raise ``ValueError`` if weights with ``ndim`` dims have no such groups."""
        reduced_dims(self.groups, ndim)

    def value(self, w: Tensor) -> Tensor:
        """Sum of the group norms, each times the root of the group's size."""
        return group_norms(w, self.groups).sum() * math.sqrt(group_size(self.groups, w.shape))

    def prox(self, v: Tensor, t: float | Tensor) -> Tensor:
        """Shorten each group by ``t * sqrt(n_g)``."""
        norms = group_norms(v, self.groups)
        threshold = t * math.sqrt(group_size(self.groups, v.shape))
        # the floor keeps 0/0 out: a zero group with t = 0 stays zero instead of NaN
        scale = (1 - threshold / norms.clamp_min(torch.finfo(v.dtype).tiny)).clamp_min(0)
        # where, not a product alone: a dead group is +0 also at its negative entries
        return torch.where(scale == 0, 0.0, v * scale)

    def subgradient(self, w: Tensor) -> Tensor:
        """Each group's direction times the root of its size, 0 at zero groups."""
        norms = group_norms(w, self.groups)
        # not a floor under the norm: entries below 1e-23 have a norm that rounds to 0, a floor would blow them up
        direction = w / norms.where(norms != 0, torch.inf)
        return direction * math.sqrt(group_size(self.groups, w.shape))

    def wakes_below(self, v: Tensor) -> Tensor:
        """The norm of its group, divided by the root of the group's size; 0 for an entry that is 0."""
        return torch.where(v == 0, 0.0, group_norms(v, self.groups) / math.sqrt(group_size(self.groups, v.shape)))


@dataclass(frozen=True)
class SparseGroupL2:
    r"""Sparse groups: :math:`J(w)=\rho\|w\|_1+(1-\rho)\sum_g\sqrt{n_g}\,\|w_g\|_2`.

    The proximal operator is the group operator **after** soft thresholding. The other order is not a proximal
    operator of this :math:`J`.

    Args:
        groups: as for :class:`GroupL2`.
        l1_ratio: :math:`\rho` in [0, 1], the share of the 1-norm. 0 is :class:`GroupL2`, 1 is :class:`L1`.

    Example:
        >>> reg = SparseGroupL2("rows", l1_ratio=0.5)
        >>> reg.prox(torch.tensor([[4.0, 0.5], [0.9, 0.9]]), 2.0)
        tensor([[1.5858, 0.0000],
                [0.0000, 0.0000]])

    References:
        Simon, Friedman, Hastie, Tibshirani (2013), "A Sparse-Group Lasso". Yu (2013), "On Decomposing the Proximal
        Map", for the order.

    Book: Foundations, "Proximal operators"; Algorithms, "Group sparsity".
    """

    groups: str = "filters"
    l1_ratio: float = 0.5
    name: ClassVar[str] = "sparse_group_l2"

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", canonical(self.groups))
        if not 0 <= self.l1_ratio <= 1:
            raise ValueError(f"l1_ratio must be in [0, 1], got {self.l1_ratio}")

    def check_ndim(self, ndim: int) -> None:
        """Raise ``ValueError`` if weights with ``ndim`` dims have no such groups."""
        reduced_dims(self.groups, ndim)

    def value(self, w: Tensor) -> Tensor:
        """The weighted sum of both norms."""
        return self.l1_ratio * L1().value(w) + (1 - self.l1_ratio) * GroupL2(self.groups).value(w)

    def prox(self, v: Tensor, t: float | Tensor) -> Tensor:
        """Soft thresholding first, then the groups."""
        return GroupL2(self.groups).prox(soft(v, t * self.l1_ratio), t * (1 - self.l1_ratio))

    def subgradient(self, w: Tensor) -> Tensor:
        """The weighted sum of both subgradients: the smallest, since both choose 0 where they are free."""
        return self.l1_ratio * w.sign() + (1 - self.l1_ratio) * GroupL2(self.groups).subgradient(w)

    def wakes_below(self, v: Tensor) -> Tensor:
        """The smaller of the strengths that silence the entry and its group; the latter is found by bisection."""
        if self.l1_ratio == 0:
            return GroupL2(self.groups).wakes_below(v)
        entry = L1().wakes_below(v) / self.l1_ratio
        high = entry.amax(reduced_dims(self.groups, v.ndim), keepdim=True)
        low, size = torch.zeros_like(high), math.sqrt(group_size(self.groups, v.shape))
        for _ in range(64):  # enough for float64
            middle = (low + high) / 2
            awake = group_norms(soft(v, middle * self.l1_ratio), self.groups) > middle * (1 - self.l1_ratio) * size
            low, high = torch.where(awake, middle, low), torch.where(awake, high, middle)
        return torch.minimum(entry, low)
