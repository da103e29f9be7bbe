"""Many small parameters as one: the optimizer's step then takes a few operations on one vector.

Book: Frontiers, "Multilevel training".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bregtutorial.groups import group_size
from bregtutorial.multilevel.cuts import EntryCut, RowCut
from bregtutorial.multilevel.plan import ROWS


class Slot:
    """A parameter of the network, and the small one that stands for a part of it.

    Args:
        big: the parameter.
        group: its group in the optimizer, or None.
        small: the one in the small network.
    """

    def __init__(self, big: nn.Parameter, group: dict[str, Any] | None, small: nn.Parameter) -> None:
        self.big, self.group, self.small = big, group, small
        self.cut: RowCut | EntryCut
        self.state: dict[str, Tensor] = {}  # of the small one

    def gather(self, cut: RowCut | EntryCut, state: dict[str, Tensor]) -> None:
        """Cut parameter and state."""
        self.cut = cut
        self.small.data = cut.down(self.big.detach())
        self.small.grad = None
        self.small.requires_grad_(self.big.requires_grad and len(cut.index) > 0 and not getattr(cut, "empty", False))
        self.state = cut.restrict(state)

    @torch.no_grad()
    def scatter(self, state: dict[str, Tensor], lam: float | Tensor, delta: float | Tensor) -> None:
        """Write the state back, and the weights that follow from it."""
        whole = self.cut.prolong(self.state)
        for key, x in whole.items():
            if x.ndim == 0:
                state[key].copy_(x)
            else:
                target = state[key] if key in state else state.setdefault(key, torch.zeros_like(self.big))
                target.index_copy_(0, self.cut.index, x)
        values = self.small.detach()
        if isinstance(self.cut, RowCut) and self.group is not None:
            values = self.group["reg"].prox(delta * whole["dual"], delta * lam)
        self.big.index_copy_(0, self.cut.index, values)


class StackedRows:
    r"""``GroupL2("rows")`` of several matrices that stand one after the other in a vector.

    A row counts :math:`\sqrt{n}` with the number :math:`n` of its entries at full size, whatever it has here.

    Args:
        weights: the matrices or kernels.
        sizes: entries of a row at full size, for each.
    """

    name: ClassVar[str] = "stacked_rows"

    def __init__(self, weights: Sequence[Tensor], sizes: Sequence[int]) -> None:
        self._rows = [len(w) for w in weights]
        self._entries = [w.numel() for w in weights]
        self._roots = torch.cat([w.new_full((len(w),), math.sqrt(n)) for w, n in zip(weights, sizes, strict=True)])

    def _split(self, v: Tensor) -> tuple[list[Tensor], Tensor]:
        parts = self._parts(v)
        return parts, torch.cat([torch.linalg.vector_norm(x, dim=1) for x in parts])

    def _parts(self, v: Tensor) -> list[Tensor]:
        return [x.view(n, -1) for x, n in zip(v.split_with_sizes(self._entries), self._rows, strict=True)]

    def value(self, w: Tensor) -> Tensor:
        """Sum of the norms of the rows, each times its root."""
        return (self._split(w)[1] * self._roots).sum()

    def prox(self, v: Tensor, t: float | Tensor) -> Tensor:
        """Shorten each row by ``t`` times its root."""
        parts, norms = self._split(v)
        scale = (1 - t * self._roots / norms.clamp_min(torch.finfo(v.dtype).tiny)).clamp_min_(0)
        return torch.cat(
            [(x * s[:, None]).view(-1) for x, s in zip(parts, scale.split_with_sizes(self._rows), strict=True)]
        )

    def write_prox(self, w: Tensor, v: Tensor, lam: float | Tensor, delta: float | Tensor) -> None:
        """In place, and without a vector between: the weights that belong to the dual ``v``."""
        parts, norms = self._split(v)
        scale = (1 - lam * self._roots / norms.clamp_min(torch.finfo(v.dtype).tiny)).clamp_min_(0).mul_(delta)
        for target, x, s in zip(self._parts(w), parts, scale.split_with_sizes(self._rows), strict=True):
            torch.mul(x, s[:, None], out=target)

    def subgradient(self, w: Tensor) -> Tensor:
        """Each row's direction times its root, 0 at zero rows."""
        parts, norms = self._split(w)
        scale = (self._roots / norms.where(norms != 0, torch.inf)).split_with_sizes(self._rows)
        return torch.cat([(x * s[:, None]).view(-1) for x, s in zip(parts, scale, strict=True)])


class Flat:
    """The slots of one group of the optimizer as one parameter; theirs become views of it.

    Args:
        slots: with one type, device and number of steps taken.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = list(slots)
        self._entries = [slot.small.numel() for slot in slots]
        self.param = nn.Parameter(torch.cat([slot.small.detach().reshape(-1) for slot in slots]))
        group = slots[0].group
        assert group is not None
        self.group: dict[str, Any] = group
        self.reg = group["reg"]
        if self.reg == ROWS:
            sizes = [group_size("filters", slot.big.shape) for slot in slots]
            self.reg = StackedRows([slot.small.detach() for slot in slots], sizes)
        self.state = {
            key: torch.cat([slot.state[key].reshape(-1) for slot in slots]) if x.ndim else x.clone()
            for key, x in slots[0].state.items()
        }
        for slot, view in zip(self.slots, self.param.detach().split_with_sizes(self._entries), strict=True):
            slot.small.data = view.view(slot.small.shape)

    def collect_gradients(self) -> None:
        """The slots' gradients as one; a missing one counts as zero."""
        grads = [slot.small.grad for slot in self.slots]
        if all(g is None for g in grads):
            self.param.grad = None
            return
        parts = [
            slot.small.new_zeros(()).expand(slot.small.numel()) if g is None else g.reshape(-1)
            for slot, g in zip(self.slots, grads, strict=True)
        ]
        self.param.grad = torch.cat(parts)

    def hand_out(self, state: dict[str, Tensor]) -> None:
        """Give the slots their parts of the optimizer's state."""
        for key, x in state.items():
            parts = x.split_with_sizes(self._entries) if x.ndim else [x] * len(self.slots)
            for slot, part in zip(self.slots, parts, strict=True):
                slot.state[key] = part.view(slot.small.shape) if x.ndim else part
