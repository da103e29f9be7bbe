r"""How a measured density turns into the next :math:`\lambda`: three rules as functions of numbers.

Book: Frontiers, "Hitting a target density".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def difference_factor(density: float, target: float, gain: float) -> float:
    r"""Factor for :math:`\lambda` by the published rule: :math:`1+\alpha|d-d^*|` if too dense, else its inverse.

    The factor lies between 1/2 and 2 for ``gain`` up to 1, and is close to 1 whenever both densities are small.

    Args:
        density: :math:`d`, measured.
        target: :math:`d^*`, wanted.
        gain: :math:`\alpha\ge0`.

    Example:
        >>> difference_factor(0.3, 0.1, gain=0.25), difference_factor(0.1, 0.1, gain=0.25)
        (1.05, 1.0)

    References:
        Aloradi, Roith, Habets, Tenbrinck (2026), arXiv 2605.07892, as their published code computes it.

    Book: Frontiers, "Hitting a target density".
    """
    change = 1 + gain * abs(density - target)
    return change if density > target else 1 / change


def odds_factor(density: float, target: float, gain: float) -> float:
    r"""Factor for :math:`\lambda` from a ratio instead of a difference.

    .. math:: \Bigl(\frac{d}{1-d}\Big/\frac{d^*}{1-d^*}\Bigr)^\alpha

    Ten times too dense is the same error at 1 % as at 0.1 %, and a density near 1 counts as much as one near 0.

    Args:
        density: :math:`d` in (0, 1), measured.
        target: :math:`d^*` in (0, 1), wanted.
        gain: :math:`\alpha\ge0`.

    Example:
        >>> round(odds_factor(0.5, 0.1, gain=0.5), 6), odds_factor(0.1, 0.1, gain=0.5)
        (3.0, 1.0)

    References:
        The difference of log-odds in place of that of densities in Aloradi et al. (2026).

    Book: Frontiers, "Hitting a target density".
    """
    return math.pow(density / (1 - density) * (1 - target) / target, gain)


def strength_with(awake: int, thresholds: Tensor) -> Tensor:
    r"""The smallest strength :math:`\lambda` that leaves ``awake`` weights awake, as a 0-dim tensor.

    The order statistic ``awake + 1`` from the top, or a few roundings above it, but below its neighbour, so that
    rounding wakes nobody. Where the two are equal no strength leaves that many awake, and this one leaves fewer.

    Args:
        awake: number of weights to be awake, at least 0 and less than the number of thresholds.
        thresholds: the strength below which each weight is awake, in any shape; :math:`|v|` for the 1-norm.

    Raises:
        ValueError: if ``awake`` is out of range.

    Example:
        >>> thresholds = torch.tensor([0.1, 0.9, 0.5, 0.5, 0.2])
        >>> [round(float(strength_with(awake, thresholds)), 3) for awake in (1, 2, 3, 4)]
        [0.5, 0.5, 0.2, 0.1]

    Book: Frontiers, "Hitting a target density".
    """
    flat = thresholds.flatten()
    if not 0 <= awake < flat.numel():
        raise ValueError(f"awake must be at least 0 and less than the {flat.numel()} thresholds, got {awake}")
    below = _smallest(flat, flat.numel() - awake)
    above = torch.where(flat > below, flat, torch.inf).amin()
    middle = below + (above - below) / 2
    neighbours = (middle >= above) & above.isfinite()  # floats with nothing between; above the largest all is free
    middle = torch.where(neighbours, below, middle)
    return torch.minimum(below * (1 + 16 * torch.finfo(flat.dtype).eps), middle)


def _smallest(x: Tensor, k: int) -> Tensor:
    if x.is_cuda and torch.are_deterministic_algorithms_enabled():
        return x.sort().values[k - 1]  # the same number; kthvalue is refused there, for the place that it also finds
    return x.kthvalue(k).values
