"""What an optimizer needs of a regularizer, and what a checkpoint stores of it.

References:
    Parikh and Boyd (2014), "Proximal Algorithms", section 1.1, for the proximal operator.

Book: Frontiers, "Your own network".
"""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Regularizer(Protocol):
    """What an optimizer needs of a regularizer; write your own as a frozen dataclass with these members.

    Two more are asked for where they exist: ``check_ndim(ndim)`` raises ``ValueError`` for weights on which it is not
    defined, and ``wakes_below(v)`` gives for every entry the strength ``t`` below which ``prox(v, t)`` is not zero
    there, which is how :class:`bregtutorial.TargetDensity` finds a strength.

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
        >>> import torch
        >>> from bregtutorial import GroupL2
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
        >>> from bregtutorial import GroupL2
        >>> describe(GroupL2("rows"))
        {'name': 'group_l2', 'groups': 'filters'}

    Book: Frontiers, "Scaling out".
    """
    fields: dict[str, Any] = asdict(reg) if is_dataclass(reg) and not isinstance(reg, type) else {}
    return {"name": reg.name, **fields}
