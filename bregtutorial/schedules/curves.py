r"""Curves for :math:`\lambda` and for a target: numbers as functions of the step.

Book: Frontiers, "Hitting a target density".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer

from bregtutorial.tiers import one_of

SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "cosine": lambda t: (1 - math.cos(math.pi * t)) / 2,
    "cubic": lambda t: 1 - (1 - t) ** 3,
    "exponential": lambda t: t,  # linear in the logarithm
}


@dataclass(frozen=True)
class Ramp:
    """A number that goes from ``start`` to ``stop`` in so many steps and stays there: call it with the step.

    Args:
        start: value at step 0.
        stop: value from step ``steps`` on.
        steps: length, > 0.
        shape: ``"linear"``; ``"cosine"``, slow at both ends; ``"cubic"``, fast at first, the usual one for pruning;
            ``"exponential"``, the same factor at every step, between positive numbers.

    Raises:
        ValueError: if ``steps`` is not > 0, ``shape`` is unknown, or an exponential ramp touches 0.

    Example:
        >>> [round(Ramp(1.0, 0.1, 4, "cubic")(k), 3) for k in range(6)]
        [1.0, 0.48, 0.213, 0.114, 0.1, 0.1]

    References:
        Zhu and Gupta (2017), "To prune, or not to prune", for the cubic ramp.

    Book: Frontiers, "Hitting a target density".
    """

    start: float
    stop: float
    steps: int
    shape: str = "linear"

    def __post_init__(self) -> None:
        one_of("shape", self.shape, SHAPES)
        if not self.steps > 0:
            raise ValueError(f"steps must be > 0, got {self.steps}; for a constant give the number itself")
        if self.shape == "exponential" and not min(self.start, self.stop) > 0:
            raise ValueError(f"an exponential ramp needs start and stop > 0, got {self.start} and {self.stop}")

    def __call__(self, step: int) -> float:
        """The value at ``step``."""
        t = SHAPES[self.shape](min(max(step / self.steps, 0.0), 1.0))
        if t in (0.0, 1.0):
            return self.stop if t else self.start
        if self.shape == "exponential":
            return float(self.start * (self.stop / self.start) ** t)
        return self.start + (self.stop - self.start) * t


class LamSchedule:
    r"""Multiply every group's :math:`\lambda` by a function of the step, as ``LambdaLR`` does with the rate.

    The duals are kept, and the weights follow at the next step of the optimizer.

    Args:
        optimizer: any with a ``lam`` in its groups, also :class:`bregtutorial.ProxSGD`.
        factor: step -> factor >= 0, for example a :class:`Ramp`. It is called with 0 at once, and with the number of
            calls of :meth:`step` from then on.

    Raises:
        ValueError: if no group has a ``lam`` other than 0.

    Example:
        >>> import torch, bregtutorial as bt
        >>> opt = bt.LinBreg([torch.nn.Parameter(torch.zeros(3))], lr=0.1, lam=0.2)
        >>> schedule = LamSchedule(opt, Ramp(0.5, 1.0, steps=10))
        >>> for _ in range(5):
        ...     opt.step()
        ...     schedule.step()
        >>> round(opt.param_groups[0]["lam"], 3)
        0.15

    Book: Frontiers, "Hitting a target density".
    """

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]) -> None:
        self.optimizer, self.factor = optimizer, factor
        self._steps, self._base = 0, [float(g.get("lam", 0.0)) for g in optimizer.param_groups]
        if not any(self._base):
            raise ValueError("no param group has a lam other than 0 that could be multiplied")
        self._write()

    def step(self) -> None:
        """Count a step and write the new strengths."""
        self._steps += 1
        self._write()

    def _write(self) -> None:
        factor = self.factor(self._steps)
        if not 0 <= factor < math.inf:
            raise ValueError(f"factor must be >= 0 and finite, got {factor!r} at step {self._steps}")
        if len(self.optimizer.param_groups) != len(self._base):
            raise ValueError("param groups were added: build the schedule after the last add_param_group")
        for group, base in zip(self.optimizer.param_groups, self._base, strict=True):
            if base:
                group["lam"] = base * factor

    def state_dict(self) -> dict[str, Any]:
        """Steps so far, and the strengths that are multiplied."""
        return {"steps": self._steps, "base": list(self._base)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a saved state, and write the strengths of that step.

        Raises:
            ValueError: if it was saved with another number of groups.
        """
        if len(state_dict["base"]) != len(self._base):
            raise ValueError(f"the state has {len(state_dict['base'])} groups, the optimizer {len(self._base)}")
        self._steps, self._base = int(state_dict["steps"]), list(state_dict["base"])
        self._write()
