"""``Multilevel``: the optimizer that a training loop sees.

Book: Frontiers, "Multilevel training".
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from torch import nn

from bregtutorial.multilevel.coarse import BregmanOptimizer, Coarse
from bregtutorial.multilevel.look import Look
from bregtutorial.multilevel.plan import Plan
from bregtutorial.optim import AdaBreg, LinBreg
from bregtutorial.optim._dual import DualOptimizer

BREAK_EVEN = 0.6  # of the multiplications: benchmarks/multilevel_steps.py


class Multilevel(DualOptimizer):
    r"""One dense step, then ``coarse_steps`` steps of a small network made of the active rows only.

    LinBreg and AdaBreg need the gradient of zero weights, to know when to wake them. Here they look at it in one step
    of :math:`m+1`. In the others what is dead rests, and what is alive is gathered into small dense matrices, with its
    duals and moments. Then it is written back, and dead rows find their duals as they left them, bit for bit.

    Rows are those of ``GroupL2("rows")`` (``"filters"`` of a convolution). Where a channel's readers can do without
    it, its bias and norm rest too. A dead neuron still passes a constant on; its readers keep one input for all such
    constants. With LinBreg a coarse step is the step of the full network with its dead rows masked, up to rounding.
    AdaBreg treats the weight of that input as one coordinate, which defines its coarse step: Adam's step depends on
    coordinates. Where dead neurons pass on nothing but 0, it is that of the masked network.

    Args:
        model: any network. What cannot shrink trains as it is, in every step; a warning says once what, and why.
        optimizer: a :class:`LinBreg` or :class:`AdaBreg` of its parameters. Its groups are the groups of this one:
            schedules of ``lr`` and ``lam`` act on both levels.
        coarse_steps: :math:`m\ge0`, steps of the small network after each dense one. 0 is the plain optimizer, ``None``
            (infinity) keeps for ever the rows that the first step leaves alive.
        break_even: the next step is dense too, where a coarse one would take more than this fraction of its
            multiplications: it would hardly be faster, and would learn less.

    Raises:
        TypeError: for another optimizer.
        ValueError: if ``coarse_steps`` is negative or no integer, or ``break_even`` is negative.

    Note:
        ``fine_steps`` counts the dense steps, ``all_steps`` all of them.
        Train ``network``: it is the full model before a dense step, the small one before a coarse step, with inputs
        and outputs of the same shapes. ``model`` is brought up to date when it is called, when it or the optimizer is
        asked for its ``state_dict``, at the end of a cycle, and by :meth:`sync`, which must precede anything else that
        looks at its weights. Gradients of coarse steps belong to ``network.parameters()``: clip those.

    Example:
        >>> import torch, bregtutorial as bt
        >>> model = bt.models.mlp((784, 100, 10))
        >>> _ = bt.sparse_init_(model, density=0.2, groups="rows")
        >>> ml = Multilevel(model, bt.LinBreg(bt.parameter_groups(model, 0.1, bt.GroupL2("rows"))), coarse_steps=9)
        >>> for _ in range(12):
        ...     loss = ml.network(torch.rand(8, 784)).square().mean()
        ...     ml.zero_grad()
        ...     loss.backward()
        ...     ml.step()
        >>> ml.fine_steps, ml.all_steps
        (2, 12)

    References:
        Lunk, Scott, Bungert (2026), "Sparse Training of Neural Networks based on Multilevel Mirror Descent", arXiv
        2602.03535: the levels. Gathering, and the input for the constants, are this package's.

    Book: Frontiers, "Multilevel training".
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: BregmanOptimizer,
        coarse_steps: float | None = 99,
        *,
        break_even: float = BREAK_EVEN,
    ) -> None:
        # no super().__init__(): groups and state are those of the optimizer, see the properties
        if not isinstance(optimizer, (LinBreg, AdaBreg)):
            raise TypeError(
                f"optimizer must be a LinBreg or AdaBreg, whose duals tell what rests, got {type(optimizer).__name__}"
            )
        m = math.inf if coarse_steps is None else coarse_steps
        if not m >= 0 or (m != math.inf and m != int(m)):
            raise ValueError(f"coarse_steps must be an integer >= 0, or None for infinity, got {coarse_steps!r}")
        if not break_even >= 0:
            raise ValueError(f"break_even must be a fraction >= 0, got {break_even!r}")
        self.model, self.optimizer, self.coarse_steps, self.break_even = model, optimizer, m, break_even
        self.fine_steps = self.all_steps = 0
        self._left: float = 0  # coarse steps before the next dense one
        self._above = False  # after a dense step, before going down: schedules may still change who is awake
        self._ahead = False  # whether the small network knows more than the model
        self._plan = Plan(model, optimizer) if m else None
        self._coarse: Coarse | None = None
        self._saved: Any = None
        self._told = False
        for looked_at in (model.register_forward_pre_hook, model.register_state_dict_pre_hook):
            looked_at(Look(self))
        optimizer.register_state_dict_pre_hook(Look(self))
        if self.reasons:
            said = "; ".join(f"{name}: {why}" for name, why in self.reasons.items())
            warnings.warn(f"Multilevel leaves some of the network as it is. {said}", stacklevel=2)

    @property
    def reasons(self) -> dict[str, str]:
        """What cannot shrink, by name, and why."""
        return {} if self._plan is None else self._plan.reasons

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The groups of the optimizer; numbers in them act on the next step, dense or coarse."""
        return self.optimizer.param_groups

    @property
    def defaults(self) -> dict[str, Any]:  # type: ignore[override]
        """The optimizer's settings."""
        return self.optimizer.defaults

    @property
    def state(self) -> Any:  # type: ignore[override]
        """The optimizer's state, brought up to date."""
        self.sync()
        return self.optimizer.state

    @property
    def network(self) -> nn.Module:
        """What the next step trains."""
        level = self._level()
        return self.model if level is None else level.network

    def _level(self) -> Coarse | None:
        """The coarse level if the next step is there; goes down if need be."""
        if self._above:
            self._go_down()
        if not self._left or self._plan is None:
            return None
        if self._coarse is None:
            self._coarse = Coarse(self._plan, self.optimizer)
        if self._saved is not None:
            saved, self._saved = self._saved, None
            self._coarse.load_state_dict(saved)
        return self._coarse

    def _go_down(self) -> None:
        """Gather what is awake, unless that is most of the network."""
        assert self._plan is not None
        self._above = False
        support = self._plan.support()
        fraction = self._plan.fraction(support)
        if fraction <= self.break_even and all(keep.any() for keep in support.keep):
            self.optimizer.zero_grad()
            self._coarse = self._coarse or Coarse(self._plan, self.optimizer)
            self._coarse.gather(support)
            self._left = self.coarse_steps
        elif not self._told:
            self._told = True
            said = f"a coarse step would take {fraction:.0%} of the multiplications of a dense one"
            why = f"more than break_even={self.break_even:.0%}: steps stay dense until it takes less"
            warnings.warn(f"{said}, {why}", stacklevel=4)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of both levels."""
        self.optimizer.zero_grad(set_to_none)
        if self._left and self._coarse is not None:
            self._coarse.zero_grad()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of the level that :attr:`network` is on.

        Args:
            closure: re-evaluates that network and returns the loss, which is returned.
        """
        level = self._level()
        self.all_steps += 1
        if level is None:
            loss = self.optimizer.step(closure)
            self.fine_steps += 1
            self._above = self._plan is not None
            return loss
        loss = level.step(closure)
        self._ahead = True
        self._left -= 1
        if not self._left:
            self.finish()
        return loss

    def sync(self) -> None:
        """Bring ``model`` and the optimizer's state up to date; the coarse steps go on unchanged."""
        if self._ahead and self._coarse is not None:
            self._coarse.scatter()
            self._ahead = False

    def finish(self) -> None:
        """End the coarse steps: the next step is dense."""
        self.sync()
        self._left, self._above, self._saved = 0, False, None

    def _write_prox(self, group: dict[str, Any]) -> None:
        if self._left and (level := self._level()) is not None:
            level.apply_prox()  # what sleeps follows at the next dense step
            self._ahead = True
        else:
            self.optimizer._write_prox(group)

    def _rescale_subgradients(self, group: dict[str, Any], lam: float) -> None:
        self.finish()
        super()._rescale_subgradients(group, lam)

    def reset_dual(self) -> None:
        """As the optimizer's; the next step is dense."""
        self.finish()
        self.optimizer.reset_dual()

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's checkpoint, and where on which level the training stands."""
        state, names = self.optimizer.state_dict(), ("_left", "_above", "fine_steps", "all_steps")
        level: dict[str, Any] = {name.strip("_"): getattr(self, name) for name in names}
        if self._plan is not None:
            level["places"] = dict(self._plan.places)
        if self._left and (coarse := self._level()) is not None:
            level["coarse"] = coarse.state_dict()
        return {**state, "multilevel": level}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was saved; load the model's own checkpoint too.

        A plain optimizer's checkpoint goes on with a dense step.

        Raises:
            ValueError: as the optimizer does.
        """
        self._ahead = False  # what has not been written back is forgotten
        self.finish()
        self.optimizer.load_state_dict({k: v for k, v in state_dict.items() if k != "multilevel"})
        level = state_dict.get("multilevel", {})
        self.fine_steps, self.all_steps = level.get("fine_steps", 0), level.get("all_steps", 0)
        if self._plan is not None:
            self._plan.places.update(level.get("places", {}))
            self._left, self._saved, self._above = level.get("left", 0), level.get("coarse"), level.get("above", False)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refuse: groups are given to the optimizer before it is wrapped."""
        raise RuntimeError("Multilevel takes no further groups: add them to its optimizer, then wrap that one again")
