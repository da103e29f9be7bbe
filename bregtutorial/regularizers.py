r"""Convex regularizers :math:`J`: value, proximal operator and subgradient.

A regularizer is a frozen description without tensors and without strength: the strength ``lam`` is a number in the
optimizer's parameter group, like ``lr``. All of them are positively one-homogeneous, :math:`J(cw)=cJ(w)` for
:math:`c\ge 0`.

===============================  ==========================================  ===========================
class                            :math:`J(w)`                                what becomes exactly zero
===============================  ==========================================  ===========================
``L1()``                         :math:`\sum_i|w_i|`                         single weights
``L1NonNegative()``              the same on :math:`w\ge0`, else ∞           single weights, none negative
``GroupL2(groups)``              :math:`\sum_g\sqrt{n_g}\,\|w_g\|_2`         whole groups
``SparseGroupL2(groups, ρ)``     :math:`\rho\|w\|_1+(1-\rho)` group norm     groups, and weights inside them
``Nuclear()``                    :math:`\sum_i\sigma_i(w)`                   singular values
``Zero()``                       :math:`0`                                   nothing
===============================  ==========================================  ===========================

References:
    Bungert, Roith, Tenbrinck, Burger (2022), "A Bregman Learning Framework for Sparse Neural Networks", JMLR 23(192),
    Eqs. 1.2, 1.13, 1.14. Parikh and Boyd (2014), "Proximal Algorithms", for the proximal operators.

Book: Foundations, "Proximal operators".
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from bregtutorial.groups import canonical, group_norms, group_size, reduced_dims


@runtime_checkable
class Regularizer(Protocol):
    """What an optimizer needs of a regularizer; write your own as a frozen dataclass with these members.

    Book: Frontiers, "Your own network".
    """

    name: ClassVar[str]

    def value(self, w: Tensor) -> Tensor:
        """:math:`J(w)` as a 0-dim tensor, differentiable by autograd where :math:`J` is."""

    def prox(self, v: Tensor, t: float | Tensor) -> Tensor:
        r""":math:`\operatorname{argmin}_w\; tJ(w)+\tfrac12\|w-v\|^2` for ``t >= 0``, as a new tensor."""

    def subgradient(self, w: Tensor) -> Tensor:
        r"""The element of :math:`\partial J(w)` with the smallest Euclidean norm."""


def check_shape(reg: Regularizer, w: Tensor) -> None:
    """Raise ``ValueError`` where ``reg`` is not defined on weights shaped like ``w``, before any training.

    Example:
        >>> check_shape(GroupL2("kernels"), torch.zeros(10, 128))
        Traceback (most recent call last):
        ValueError: groups='kernels' needs weights with at least 3 dims, got 2

    Book: Algorithms, "Group sparsity".
    """
    check = getattr(reg, "check_ndim", None)
    if check is not None:
        check(w.ndim)


def describe(reg: Regularizer) -> dict[str, Any]:
    """The regularizer as plain data, which is what checkpoints store.

    Example:
        >>> describe(GroupL2("rows"))
        {'name': 'group_l2', 'groups': 'filters'}

    Book: Frontiers, "Scaling out".
    """
    fields: dict[str, Any] = asdict(reg) if is_dataclass(reg) and not isinstance(reg, type) else {}
    return {"name": reg.name, **fields}


def _soft(v: Tensor, t: Any) -> Tensor:
    # Moreau: what is left of v after projecting it on the box [-t, t]. Gives +0, never -0, and keeps NaN.
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
        return _soft(v, t)

    def subgradient(self, w: Tensor) -> Tensor:
        """The sign, 0 at 0."""
        return w.sign()


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
        """1 at positive weights, 0 at zeros; no subgradient exists at a negative weight."""
        if (w < 0).any():
            raise ValueError(
                f"L1NonNegative is infinite at negative weights, the smallest is {w.min():.3g}: "
                "call weight.clamp_(min=0) under torch.no_grad() before the first step"
            )
        return (w > 0).to(w.dtype)


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
        return GroupL2(self.groups).prox(_soft(v, t * self.l1_ratio), t * (1 - self.l1_ratio))

    def subgradient(self, w: Tensor) -> Tensor:
        """The weighted sum of both subgradients: the smallest, since both choose 0 where they are free."""
        return self.l1_ratio * w.sign() + (1 - self.l1_ratio) * GroupL2(self.groups).subgradient(w)


@dataclass(frozen=True)
class Nuclear:
    r"""Sum of singular values :math:`J(w)=\sum_i\sigma_i(w)` of the matrix ``(out, everything else)``.

    The proximal operator soft-thresholds the singular values: it lowers the rank. One singular value decomposition
    a step: meant for a few small matrices. Where the other regularizers pass NaN on, the decomposition refuses it with
    ``torch.linalg.LinAlgError``.

    Example:
        >>> Nuclear().prox(torch.diag(torch.tensor([3.0, 0.5])), 1.0)
        tensor([[2., 0.],
                [0., 0.]])

    References:
        Cai, Candès, Shen (2010), "A Singular Value Thresholding Algorithm for Matrix Completion", Theorem 2.1.

    Book: Foundations, "Proximal operators"; Algorithms, "Group sparsity".
    """

    name: ClassVar[str] = "nuclear"

    def check_ndim(self, ndim: int) -> None:
        """Raise ``ValueError`` for weights that are no matrices."""
        if ndim < 2:
            raise ValueError(f"Nuclear needs weights with at least 2 dims, got {ndim}")

    def value(self, w: Tensor) -> Tensor:
        """Sum of the singular values."""
        singular_values: Tensor = torch.linalg.svdvals(w.flatten(1))
        return singular_values.sum()

    def prox(self, v: Tensor, t: float | Tensor) -> Tensor:
        """Soft thresholding of the singular values."""
        u, s, vh = torch.linalg.svd(v.flatten(1), full_matrices=False)
        shrunk: Tensor = (u * (s - t).clamp_min(0)) @ vh
        return shrunk.reshape(v.shape)

    def subgradient(self, w: Tensor) -> Tensor:
        """:math:`U_rV_r^T` of the non-zero singular values only: the others stay at the centre of the dead zone."""
        matrix = w.flatten(1)
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        active = s > s[:1] * max(matrix.shape) * torch.finfo(w.dtype).eps
        directions: Tensor = (u * active) @ vh
        return directions.reshape(w.shape)


@dataclass(frozen=True)
class Zero:
    """No regularizer, :math:`J(w)=0`: with it LinBreg is SGD and AdaBreg is Adam, and so are their results.

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
