r"""Distances and inequalities of the theory, evaluated: numbers that must be zero or must not be negative.

Book: Foundations, "Subgradients, Bregman distances and the elastic net"; Algorithms, "Convergence".
"""

from __future__ import annotations

from torch import Tensor

from bregtutorial.regularizers import Regularizer


def bregman_distance(reg: Regularizer, to: Tensor, at: Tensor, p: Tensor) -> Tensor:
    r"""Bregman distance :math:`D_J^p(u,w)=J(u)-J(w)-\langle p,u-w\rangle` from ``at`` :math:`w` to ``to`` :math:`u`.

    Non-negative for :math:`p\in\partial J(w)`. Not symmetric, and zero also between different points where
    :math:`J` is linear: for the 1-norm wherever no sign changes.

    Args:
        reg: :math:`J`.
        to: :math:`u`.
        at: :math:`w`, of the same shape.
        p: a subgradient at ``at``.

    Example:
        >>> import torch
        >>> import bregtutorial as bt
        >>> bregman_distance(bt.L1(), torch.tensor([-2.0]), torch.tensor([1.0]), torch.tensor([1.0]))
        tensor(4.)

    References:
        Bregman (1967). Bungert et al. (2022), section 2.1.

    Book: Foundations, "Subgradients, Bregman distances and the elastic net".
    """
    return reg.value(to) - reg.value(at) - (p * (to - at)).sum()


def elastic_distance(
    reg: Regularizer, to: Tensor, at: Tensor, dual: Tensor, *, lam: float = 1.0, delta: float = 1.0
) -> Tensor:
    r"""Bregman distance of the elastic net :math:`J_\delta=\lambda J+\|\cdot\|^2/(2\delta)` from ``at`` to ``to``.

    It is :math:`\lambda D_J^p(u,w)+\|u-w\|^2/(2\delta)` with :math:`\lambda p=v-w/\delta`, so it vanishes for
    :math:`u=w` only.

    Args:
        reg: :math:`J`.
        to: the point :math:`u`.
        at: the point :math:`w`.
        dual: :math:`v\in\partial J_\delta(w)`.
        lam: :math:`\lambda\ge0`.
        delta: :math:`\delta>0`.

    Example:
        >>> import torch
        >>> import bregtutorial as bt
        >>> w = torch.tensor([1.0])
        >>> elastic_distance(bt.L1(), torch.tensor([-2.0]), w, dual=2 * w)
        tensor(8.5000)

    References:
        Bungert et al. (2022), Eq. 2.6 and Lemma 13.

    Book: Foundations, "Subgradients, Bregman distances and the elastic net"; Algorithms, "Convergence".
    """
    subgradient = dual - at / delta
    linear = lam * (reg.value(to) - reg.value(at)) - (subgradient * (to - at)).sum()
    return linear + (to - at).square().sum() / (2 * delta)


def symmetric_distance(w: Tensor, p: Tensor, u: Tensor, q: Tensor) -> Tensor:
    r"""Symmetric Bregman distance :math:`\langle p-q,w-u\rangle=D^p(u,w)+D^q(w,u)`.

    Non-negative for :math:`p\in\partial J(w)` and :math:`q\in\partial J(u)`.

    Args:
        w: a point.
        p: a subgradient there.
        u: another point.
        q: a subgradient there.

    Example:
        >>> import torch
        >>> symmetric_distance(torch.tensor([1.0]), torch.tensor([1.0]), torch.tensor([-2.0]), torch.tensor([-1.0]))
        tensor(6.)

    References:
        Bungert et al. (2022), section 2.1.

    Book: Foundations, "Subgradients, Bregman distances and the elastic net".
    """
    return ((p - q) * (w - u)).sum()


def three_point_gap(
    reg: Regularizer,
    target: Tensor,
    before: tuple[Tensor, Tensor],
    after: tuple[Tensor, Tensor],
    *,
    lam: float = 1.0,
    delta: float = 1.0,
) -> Tensor:
    r"""What is missing in the three-point identity; zero up to rounding for points on the graph of the subdifferential.

    .. math:: D^{v^+}(w^*,w^+)-D^{v}(w^*,w)+D^{v}(w^+,w)
              =\langle v^+-v,\;w^+-w^*\rangle

    Args:
        reg: :math:`J`; the distances are those of the elastic net.
        target: :math:`w^*`.
        before: the pair :math:`(w,v)` of weights and dual.
        after: the pair :math:`(w^+,v^+)`.
        lam: of the elastic net.
        delta: of the elastic net.

    Example:
        >>> import torch
        >>> import bregtutorial as bt
        >>> def pair(v):
        ...     return bt.L1().prox(v, 1.0), v
        >>> v = torch.tensor([2.0, 0.5])
        >>> three_point_gap(bt.L1(), torch.tensor([1.0, 1.0]), pair(v), pair(v + 1))
        tensor(0.)

    References:
        Chen and Teboulle (1993), Lemma 3.1. Bungert et al. (2022), section 3.

    Book: Foundations, "Subgradients, Bregman distances and the elastic net".
    """
    (w, v), (w_new, v_new) = before, after

    def distance(to: Tensor, at: Tensor, dual: Tensor) -> Tensor:
        return elastic_distance(reg, to, at, dual, lam=lam, delta=delta)

    left = distance(target, w_new, v_new) - distance(target, w, v) + distance(w_new, w, v)
    return left - ((v_new - v) * (w_new - target)).sum()


def loss_decay_gap(
    losses: tuple[float, float],
    before: tuple[Tensor, Tensor],
    after: tuple[Tensor, Tensor],
    *,
    lr: float,
    delta: float,
    smoothness: float,
) -> float:
    r"""Right minus left side of the loss decay of one LinBreg step with the exact gradient; never negative.

    .. math:: \mathcal L(w^+)+\tfrac\lambda\tau D_J^{sym}(w^+,w)
              +\tfrac{2-\delta\tau L}{2\delta\tau}\|w^+-w\|^2 \le \mathcal L(w)

    Args:
        losses: :math:`\mathcal L(w)` and :math:`\mathcal L(w^+)`.
        before: the pair of weights and dual.
        after: the same after the step.
        lr: :math:`\tau>0`.
        delta: :math:`\delta>0`.
        smoothness: Lipschitz constant :math:`L` of the gradient.

    Example:
        >>> import torch
        >>> w, v = torch.tensor([2.0]), torch.tensor([3.0])  # loss w^2 / 2, lam = delta = 1
        >>> loss_decay_gap((2.0, 0.5), (w, v), (w - 1, v - 1), lr=0.5, delta=1.0, smoothness=1.0)
        0.0

    References:
        Bungert et al. (2022), Theorem 2, with its constants made explicit for exact gradients.

    Book: Algorithms, "Convergence".
    """
    (w, v), (w_new, v_new) = before, after
    squared = (w_new - w).square().sum()
    symmetric = ((v_new - v) * (w_new - w)).sum() - squared / delta
    gain = symmetric / lr + (2 - delta * lr * smoothness) / (2 * delta * lr) * squared
    return float(losses[0] - losses[1] - gain)
