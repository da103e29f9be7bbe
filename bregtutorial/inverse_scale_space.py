r"""The inverse scale space flow of sparse regression, solved exactly: no step size, no grid of parameters.

    >>> import numpy as np
    >>> path = inverse_scale_space(np.eye(3), np.array([2.0, -0.5, 0.25]))
    >>> path.times.tolist()
    [0.0, 0.5, 2.0, 4.0]

Book: Foundations, "From Bregman iteration to the inverse scale space flow".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
_TOLERANCE = 1e-9  # relative; what a step of NNLS leaves is about 1e-15


@dataclass(frozen=True)
class ScaleSpacePath:
    r"""The flow at its events; between them the weights rest and the subgradient moves on a straight line.

    Attributes:
        times: the :math:`K` times at which weights change, increasing, the first is 0.
        weights: :math:`w` from each time on, shape ``(K, n)``.
        subgradients: :math:`p\in\partial\|w\|_1` at each time, shape ``(K, n)``.

    Book: Foundations, "From Bregman iteration to the inverse scale space flow".
    """

    times: Array
    weights: Array
    subgradients: Array

    def at(self, t: float) -> tuple[Array, Array]:
        """Weights and subgradient at time ``t``; after the last event both stay as they are.

        Raises:
            ValueError: ``t`` is negative or not a number.
        """
        if not t >= 0:
            raise ValueError(f"t must be >= 0, where the flow starts, got {t}")
        k = int(np.searchsorted(self.times, t, side="right")) - 1
        if k + 1 == len(self.times):
            return self.weights[k], self.subgradients[k]
        share = (t - self.times[k]) / (self.times[k + 1] - self.times[k])
        return self.weights[k], self.subgradients[k] + share * (self.subgradients[k + 1] - self.subgradients[k])


def inverse_scale_space(A: ArrayLike, f: ArrayLike, *, until: float = np.inf) -> ScaleSpacePath:
    r"""Exact solution of :math:`\dot p=A^T(f-Aw)`, :math:`p\in\partial\|w\|_1`, :math:`p(0)=0`, event by event.

    From a time :math:`t_k` on, :math:`w` is the least-squares solution among the vectors that are zero where
    :math:`|p_j(t_k)|<1` and have the sign of :math:`p_j(t_k)` or are zero elsewhere. It stays until the next
    :math:`|p_j|` reaches 1. If several vectors solve the least-squares problem, as they may where columns of ``A``
    depend on each other, it is one of them; :math:`Aw` and :math:`p` are the same for all.

    Args:
        A: matrix of shape ``(m, n)``.
        f: data of shape ``(m,)``; times have the unit of :math:`1/A^Tf`.
        until: events after this time are left out, >= 0. Without it the flow runs until :math:`A^T(f-Aw)=0`, up to
            1e-9 of its largest entry at the start: the weights then fit the noise as well.

    Returns:
        The path: times, weights and subgradients at its events.

    Raises:
        ValueError: the shapes do not fit, a number is not finite, or ``until`` is negative.
        ImportError: SciPy is missing; ``pip install 'bregtutorial[book]'`` brings it.

    Example:
        >>> path = inverse_scale_space(np.eye(3), np.array([2.0, -0.5, 0.25]))
        >>> path.at(3.0)[0].tolist()  # a hard threshold at 1/3: what is there has its full size
        [2.0, -0.5, 0.0]

    References:
        Burger, Möller, Benning, Osher (2013), "An Adaptive Inverse Scale Space Method for Compressed Sensing".

    Book: Foundations, "From Bregman iteration to the inverse scale space flow".
    """
    A, f = _checked(A, f, until)
    t, w, p = 0.0, np.zeros(A.shape[1]), np.zeros(A.shape[1])
    events = [(t, w, p)]
    tolerance = _TOLERANCE * np.abs(A.T @ f).max(initial=0.0)
    while True:
        rate = A.T @ (f - A @ w)
        rate[(w != 0) | (np.abs(rate) <= tolerance)] = 0.0
        wait = ((np.sign(rate) - p)[rate != 0] / rate[rate != 0]).min(initial=np.inf)
        if not t + wait <= until or wait == np.inf:
            return ScaleSpacePath(*(np.array(column) for column in zip(*events, strict=True)))
        t, p = t + wait, p + wait * rate
        p = np.where(np.abs(p) > 1 - _TOLERANCE, np.sign(p), p)
        w = _signed_least_squares(A, f, p)
        events.append((t, w, p))


def _signed_least_squares(A: Array, f: Array, p: Array) -> Array:
    """Least squares over the vectors that have the signs of ``p`` where it is -1 or 1, and are zero elsewhere."""
    from scipy.optimize import nnls

    edge = np.abs(p) == 1
    w = np.zeros_like(p)
    w[edge] = p[edge] * nnls(A[:, edge] * p[edge], f)[0]
    return w


def _checked(A: ArrayLike, f: ArrayLike, until: float) -> tuple[Array, Array]:
    A, f = np.asarray(A, dtype=np.float64), np.asarray(f, dtype=np.float64)
    if A.ndim != 2 or f.shape != A.shape[:1]:
        raise ValueError(f"A must have the shape (m, n) and f the shape (m,), got {A.shape} and {f.shape}")
    if not (np.isfinite(A).all() and np.isfinite(f).all()):
        raise ValueError("A and f must be finite, got inf or nan; drop those rows")
    if not until >= 0:
        raise ValueError(f"until must be a time >= 0, got {until}")
    return A, f
