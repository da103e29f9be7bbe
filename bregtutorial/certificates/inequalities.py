r"""Inequalities between successive Bregman distances to a minimiser: right minus left side, so never negative.

They take numbers, the means that the theorems speak of, or arrays of numbers, entry by entry.

Book: Algorithms, "Convergence".
"""

from __future__ import annotations


def norm_descent_gap(
    distances: tuple[float, float],
    squared_error: float,
    *,
    lr: float,
    mu: float,
    sigma: float = 0.0,
    squared_move: float = 0.0,
) -> float:
    r"""Right minus left side of the descent in the norm, for one LinBreg step on a strongly convex loss.

    .. math:: d_{k+1}-d_k+\tfrac{\mu}{4}\tau\,\mathbb E\|w^*-w_{k+1}\|^2
              \le\tfrac{\sigma}{2}\bigl(\tau^2+\mathbb E\|w_k-w_{k+1}\|^2\bigr)

    holds for :math:`\tau\le\mu/(2\delta L^2)` with the Lipschitz constant :math:`L` of the gradient. With exact
    gradients the right side is zero, and the means are values.

    Args:
        distances: :math:`d_k` and :math:`d_{k+1}`, means of :math:`D_{J_\delta}^v(w^*,w)`; see
            :func:`elastic_distance`.
        squared_error: :math:`\mathbb E\|w^*-w_{k+1}\|^2`.
        lr: :math:`\tau>0`.
        mu: constant of strong convexity of the loss.
        sigma: root of the bound on the variance of the gradient.
        squared_move: :math:`\mathbb E\|w_k-w_{k+1}\|^2`; of no account if ``sigma`` is 0.

    Example:
        >>> # loss w^2 / 2, no regularizer, delta = 1: w = 2 becomes 1, the distances are w^2 / 2
        >>> norm_descent_gap((2.0, 0.5), 1.0, lr=0.5, mu=1.0)
        1.375

    References:
        Bungert et al. (2022), Theorem 6.

    Book: Algorithms, "Convergence".
    """
    before, after = distances
    return before - after + sigma / 2 * (lr**2 + squared_move) - mu / 4 * lr * squared_error


def contraction_gap(
    distances: tuple[float, float],
    *,
    lr: float,
    nu: float,
    delta: float,
    smoothness: float,
    sigma: float = 0.0,
) -> float:
    r"""Right minus left side of the contraction in the Bregman distance, for one LinBreg step.

    .. math:: d_{k+1}\le\bigl[1-\tau\nu\bigl(1-2\tau\delta^2L^2/\nu\bigr)\bigr]d_k+\delta\tau^2\sigma^2

    holds for all :math:`\tau>0` if the loss grows at least like :math:`\nu` times the distance (assumption A5). It says
    something for :math:`\tau<\nu/(2\delta^2L^2)`.

    Args:
        distances: :math:`d_k` and :math:`d_{k+1}`, means of :math:`D_{J_\delta}^v(w^*,w)`; see
            :func:`elastic_distance`.
        lr: :math:`\tau>0`.
        nu: the constant :math:`\nu` of assumption A5.
        delta: :math:`\delta>0`.
        smoothness: Lipschitz constant :math:`L` of the gradient.
        sigma: root of the bound on the variance of the gradient.

    Example:
        >>> # loss w^2 / 2, no regularizer, delta = 1: nu = 1, and w = 2 becomes 1.5
        >>> contraction_gap((2.0, 1.125), lr=0.25, nu=1.0, delta=1.0, smoothness=1.0)
        0.625

    References:
        Bungert et al. (2022), Theorem 11.

    Book: Algorithms, "Convergence".
    """
    before, after = distances
    factor = 1 - lr * nu * (1 - 2 * lr * delta**2 * smoothness**2 / nu)
    return factor * before + delta * (lr * sigma) ** 2 - after
