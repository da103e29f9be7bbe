r"""Steer :math:`\lambda` so that a wanted fraction of the weights is awake."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bregtutorial.optim._dual import DualOptimizer
from bregtutorial.schedules._measure import check_thresholds, controlled, count, started, thresholds
from bregtutorial.schedules.rules import difference_factor, odds_factor, strength_with
from bregtutorial.tiers import one_of

logger = logging.getLogger(__name__)
# rule -> factor for lam, gain, damping
FACTORS: dict[str, tuple[Callable[[float, float, float], float], float, float]] = {
    "odds": (odds_factor, 0.5, 0.9),
    "difference": (difference_factor, 0.25, 0.95),
}
RULES = ("quantile", *FACTORS)


class TargetDensity:
    r"""Move :math:`\lambda` during training so that a given fraction of the penalised weights is not zero.

    Call :meth:`step` after every ``optimizer.step()``. What it may do, every ``every`` calls:

    ================  ==========================================================================================
    rule              the new :math:`\lambda`
    ================  ==========================================================================================
    ``"quantile"``    the order statistic of the duals that leaves the wanted number of weights awake, and no more
    ``"odds"``        times :math:`\bigl(\frac{d}{1-d}/\frac{d^*}{1-d^*}\bigr)^\alpha`: it looks at the density alone
    ``"difference"``  times or divided by :math:`1+\alpha|d-d^*|`: the published rule, slow for small densities
    ================  ==========================================================================================

    The duals are kept, and the weights follow at once. ``"quantile"`` and ``"odds"`` need no first guess: built before
    the first step, they start from the lower bound and act at every call until the target is met. (Too large a start
    would stay in the duals of the active weights and come out as huge weights when :math:`\lambda` falls.) Strengths
    that differ between groups keep their ratios. Weights that have taken no step have no dual and are not counted;
    those that are frozen later are, and follow :math:`\lambda`.

    Args:
        optimizer: :class:`bregtutorial.LinBreg` or :class:`bregtutorial.AdaBreg`.
        density: wanted fraction of non-zeros in (0, 1), or a function of the step, such as a :class:`Ramp`; steps are
            counted from the end of the warm-up.
        rule: see above.
        every: calls from one change to the next, at least 1. ``"quantile"`` costs one selection over all duals and one
            transfer of a few numbers each time, the other rules a count.
        warmup: first calls, during which :math:`\lambda` stays as given.
        gain: :math:`\alpha>0`; default 0.5 for ``"odds"``, 0.25 for ``"difference"``, unused by ``"quantile"``.
        damping: in (0, 1]; the gain is multiplied by it whenever the density has crossed the target, after the first
            time. Default 0.9 and 0.95.
        bounds: smallest and largest strength of the first group.
        group: index or name of one group, for a control of its own; default: all with a regularizer and a strength.

    Raises:
        TypeError: if the optimizer has no duals.
        ValueError: if a setting is out of range, there is nothing to control, or the regularizer does not say what the
            rule needs to know.

    Note:
        A rising :math:`\lambda` shrinks every active weight, as the Lasso does, a falling one pushes it outwards: the
        weights are without bias only while :math:`\lambda` rests. Weights of one group wake together, and so do equal
        duals, such as those of inputs that are always equal: then fewer weights than wanted are awake, and none at all
        if the first group is larger than that.

    Example:
        >>> import bregtutorial as bt
        >>> w = torch.nn.Parameter(torch.zeros(10))
        >>> opt = bt.LinBreg([w], lr=1.0, lam=1.0)
        >>> control = TargetDensity(opt, density=0.3)
        >>> w.grad = torch.arange(10.0)
        >>> opt.step()
        >>> control.step()
        >>> round(control.lam, 3), int(w.count_nonzero())
        (6.0, 3)

    References:
        Aloradi, Roith, Habets, Tenbrinck (2026), arXiv 2605.07892, for ``"difference"``; its damping and an order
        statistic are in their published code.

    Book: Frontiers, "Hitting a target density".
    """

    def __init__(
        self,
        optimizer: Optimizer,
        density: float | Callable[[int], float],
        *,
        rule: str = "quantile",
        every: int = 10,
        warmup: int = 0,
        gain: float | None = None,
        damping: float | None = None,
        bounds: tuple[float, float] = (1e-6, 1e3),
        group: int | str | None = None,
    ) -> None:
        if not isinstance(optimizer, DualOptimizer):
            raise TypeError(
                f"optimizer must be LinBreg or AdaBreg, whose duals say who wakes, got {type(optimizer).__name__}"
            )
        self.optimizer, self.density, self.rule = optimizer, density, one_of("rule", rule, RULES)
        _, default_gain, default_damping = FACTORS.get(rule, (None, 1.0, 1.0))
        self.gain = default_gain if gain is None else gain
        self.damping = default_damping if damping is None else damping
        self.every, self.warmup, self.bounds = every, warmup, bounds
        self._check_settings()
        self._ratios = controlled(optimizer, group)
        if rule == "quantile":
            check_thresholds(optimizer, self._ratios)
        self._steps = self._crossings = self._side = 0
        self._met = rule == "difference"
        if not self._met and warmup == 0 and not optimizer.state:
            self._set_lam(bounds[0])

    @property
    def lam(self) -> float:
        """The present strength of the first controlled group."""
        return float(self.optimizer.param_groups[next(iter(self._ratios))]["lam"])

    @property
    def target(self) -> float:
        """The density wanted at this step."""
        since = max(self._steps - self.warmup, 0)
        target = self.density(since) if callable(self.density) else self.density
        if not 0 < target < 1:
            raise ValueError(f"density must be in (0, 1), got {target!r} at step {since}")
        return target

    @torch.no_grad()
    def step(self) -> None:
        """Count a step; when the time has come, measure, change the strengths, and let the weights follow."""
        self._steps += 1
        since = self._steps - self.warmup
        if since <= 0 or (self._met and since % self.every):
            return
        params = started(self.optimizer, self._ratios)
        if not params:
            return  # no step has been made yet, there is nothing to measure
        total = sum(p.numel() for members in params.values() for p in members)
        density = count(p for members in params.values() for p in members) / total
        old, target = self.lam, self.target
        if self.rule == "quantile":
            new, self._met = self._order_statistic(params, min(round(target * total), total - 1)), True
        else:
            new = old * self._factor(density, target, margin=0.5 / total)
        new = min(max(new, self.bounds[0]), self.bounds[1])
        if new != old:
            self._set_lam(new)
            logger.info("step %d: density %.4f, target %.4f, lam %.4g -> %.4g", since, density, target, old, new)

    def _order_statistic(self, params: Mapping[int, list[Tensor]], awake: int) -> float:
        found = float(strength_with(awake, thresholds(self.optimizer, params, self._ratios)))
        if not math.isfinite(found):
            raise RuntimeError(f"{awake} or more duals are infinite or NaN: lower lr, clip gradients, use a GradScaler")
        return found

    def _factor(self, density: float, target: float, margin: float) -> float:
        side = (density > target) - (density < target)
        if side * self._side < 0:
            self._crossings += 1
        self._side = side or self._side
        self._met |= self._crossings > 0 or side == 0
        gain = self.gain * self.damping ** max(self._crossings - 1, 0)
        # half a weight is missing or left over where all or none are: their odds would be infinite
        return FACTORS[self.rule][0](min(max(density, margin), 1 - margin), target, gain)

    def _set_lam(self, lam: float) -> None:
        for i, ratio in self._ratios.items():
            self.optimizer.set_lam(lam * ratio, group=i)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers; the strengths themselves are in the optimizer's checkpoint."""
        names = ("rule", "_steps", "_crossings", "_side", "_met")
        given = {name: getattr(self, name) for name in ("every", "warmup", "gain", "damping")}
        given |= {"density": None if callable(self.density) else self.density, "bounds": list(self.bounds)}
        return {"ratios": dict(self._ratios), **given, **{name.strip("_"): getattr(self, name) for name in names}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a saved state, together with the optimizer's.

        Raises:
            ValueError: if it was saved with another rule or other groups. Nothing has changed then.
        """
        saved, ours = (state_dict["rule"], [*state_dict["ratios"]]), (self.rule, [*self._ratios])
        if saved != ours:
            raise ValueError(
                f"the state is of rule={saved[0]!r} on param groups {saved[1]}, this control has "
                f"rule={ours[0]!r} on {ours[1]}: build it as it was saved, then load"
            )
        self._ratios = dict(state_dict["ratios"])
        for name in ("steps", "crossings", "side", "met"):
            setattr(self, f"_{name}", state_dict[name])

    def _check_settings(self) -> None:
        rules = {
            "every": (isinstance(self.every, int) and self.every >= 1, "an integer >= 1"),
            "warmup": (isinstance(self.warmup, int) and self.warmup >= 0, "an integer >= 0"),
            "gain": (0 < self.gain < math.inf, "> 0 and finite"),
            "damping": (0 < self.damping <= 1, "in (0, 1]"),
            "bounds": (0 < self.bounds[0] <= self.bounds[1] < math.inf, "two numbers with 0 < smallest <= largest"),
        }
        for name, (good, text) in rules.items():
            if not good:
                raise ValueError(f"{name} must be {text}, got {getattr(self, name)!r}")
        if not callable(self.density) and not 0 < self.density < 1:
            raise ValueError(f"density must be in (0, 1), or a function of the step, got {self.density!r}")
