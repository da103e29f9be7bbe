"""Is a tensor a subgradient? Decided from the dual ball, without any proximal operator.

Book: Foundations, "Subgradients, Bregman distances and the elastic net".
"""

from __future__ import annotations

import torch
from torch import Tensor

from bregtutorial.groups import group_norms, group_size
from bregtutorial.regularizers import L1, GroupL2, L1NonNegative, Nuclear, Regularizer, SparseGroupL2, Zero, check_shape


def subdifferential_gap(reg: Regularizer, p: Tensor, w: Tensor) -> float:
    r"""How far :math:`p` is from :math:`\partial J(w)`: zero if and only if it is a subgradient.

    For a one-homogeneous :math:`J` that is the case if :math:`p` lies in the dual ball :math:`\partial J(0)` and
    :math:`\langle p,w\rangle=J(w)`. The gap is the larger of the two violations. For a regularizer that is not of this
    package the inequality :math:`J(u)\ge J(w)+\langle p,u-w\rangle` is sampled, and the gap is a lower bound.

    Args:
        reg: :math:`J`.
        p: the candidate.
        w: weights of the same shape.

    Example:
        >>> w = torch.tensor([2.0, 0.0])
        >>> subdifferential_gap(L1(), torch.tensor([1.0, -0.3]), w)
        0.0
        >>> subdifferential_gap(L1(), torch.tensor([0.5, 0.0]), w)
        1.0

    References:
        Rockafellar (1970), "Convex Analysis", section 23.

    Book: Foundations, "Subgradients, Bregman distances and the elastic net".
    """
    excess = _outside_dual_ball(reg, p)
    if excess is None:
        return max(0.0, *(float(reg.value(w) + (p * (u - w)).sum() - reg.value(u)) for u in comparison_points(w, p)))
    missing = reg.value(w) - (p * w).sum()
    return max(0.0, float(excess), abs(float(missing)))


def comparison_points(w: Tensor, p: Tensor) -> list[Tensor]:
    """Points at which a wrong subgradient shows: 0, 2w, along p, along each axis, and a few at random."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.eye(w.numel(), dtype=w.dtype)[:64].reshape(-1, *w.shape)
    noise = torch.randn(16, *w.shape, generator=generator, dtype=w.dtype)
    return [torch.zeros_like(w), 2 * w, w + p, w - p, *(w + axes), *(w - axes), *(w + noise)]


def trial_points(reg: Regularizer, seed: int = 0) -> list[Tensor]:
    """Weights to try, simplest first, in a shape on which the regularizer is defined."""
    generator = torch.Generator().manual_seed(seed)
    shapes: list[tuple[int, ...]] = [(1, 1), (2, 2), (3, 4), (2, 3, 1, 2), (2, 3, 2, 2)]
    found = [torch.full(shapes[0], 0.5), torch.tensor([[3.0, 0.5], [-0.25, 0.0]]), torch.zeros(2, 2)]
    found += [2 * torch.randn(shape, generator=generator) for shape in shapes[2:]]
    return [v.double() for v in found if _defined(reg, v)]


def finite_trial_points(reg: Regularizer, seed: int = 0) -> list[Tensor]:
    """The points at which the regularizer is finite."""
    return [v.abs() for v in trial_points(reg, seed)] if isinstance(reg, L1NonNegative) else trial_points(reg, seed)


def _defined(reg: Regularizer, v: Tensor) -> bool:
    try:
        check_shape(reg, v)
    except ValueError:
        return False
    return True


def _outside_dual_ball(reg: Regularizer, p: Tensor) -> Tensor | None:
    """By how much ``p`` violates the constraint that defines the dual ball; ``None`` for a foreign regularizer."""
    excess: Tensor | None = None
    if isinstance(reg, L1):
        excess = p.abs().max() - 1
    elif isinstance(reg, L1NonNegative):
        excess = p.max() - 1
    elif isinstance(reg, GroupL2):
        excess = group_norms(p, reg.groups).max() / group_size(reg.groups, p.shape) ** 0.5 - 1
    elif isinstance(reg, SparseGroupL2):
        rest = (p.abs() - reg.l1_ratio).clamp_min(0)
        excess = group_norms(rest, reg.groups).max() / group_size(reg.groups, p.shape) ** 0.5 - (1 - reg.l1_ratio)
    elif isinstance(reg, Nuclear):
        excess = torch.linalg.matrix_norm(p.flatten(1), ord=2) - 1
    elif isinstance(reg, Zero):
        excess = p.abs().max()
    return excess
