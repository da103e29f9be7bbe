r"""Cutting a parameter and its optimizer state down to what a coarse step moves, and writing it back.

A dead neuron is not silent: its weights are zero, its bias is not, so it passes a constant on. Let :math:`c` hold the
constants of the dead inputs of a layer, and :math:`\hat c=c/\|c\|`. In an active row the gradient with respect to the
weights of dead inputs is a multiple of :math:`c`, at every step. So only their component along :math:`\hat c` learns:
it becomes the weight of **one** input that carries the constant :math:`\|c\|`. What is orthogonal to it matters for
nothing but the norm of the row, and with momentum coasts in the plane that dual and buffer span: the weights of **two**
inputs that carry nothing. LinBreg and the group norm see rows only through lengths and angles, and both are kept.

Book: Frontiers, "Multilevel training".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

State = dict[str, Any]
SQUARED = "exp_avg_sq"  # the one part of a state that is no vector: it does not turn with the coordinates


class EntryCut:
    """Some entries of a vector: biases, scales and shifts of the channels that are kept.

    Args:
        keep: which, as booleans.
        device: of the vector.
    """

    def __init__(self, keep: Tensor, device: torch.device) -> None:
        self.index = keep.nonzero().flatten().to(device)
        self.dropped = (~keep).nonzero().flatten().to(device)
        self.rest: State = {}

    def down(self, x: Tensor) -> Tensor:
        """The kept entries."""
        return x.index_select(0, self.index)

    def restrict(self, state: State) -> State:
        """The state of the kept entries."""
        return {key: self.down(x) if x.ndim else x.clone() for key, x in state.items()}

    def prolong(self, small: State) -> State:
        """As it is: nothing was turned."""
        return small


class RowCut:
    """The active rows of a weight; the columns of its dead inputs become those of the constant and of nothing.

    Args:
        rows: active rows, as booleans.
        columns: inputs that are kept, as booleans.
        constants: what each input carries; only those of dropped inputs count.
        device: of the weight.
    """

    def __init__(self, rows: Tensor, columns: Tensor, constants: Tensor, device: torch.device) -> None:
        self.empty = not rows.any()  # then one dead row stands in, untrained: convolutions want one at least
        self.index = (
            rows.nonzero().flatten().to(device) if not self.empty else torch.zeros(1, dtype=torch.long, device=device)
        )
        kept, dropped = columns.nonzero().flatten(), (~columns).nonzero().flatten()
        c = constants[dropped].to(device)
        self._back = torch.cat([kept, dropped]).argsort().to(device)
        self.kept, self.dropped = kept.to(device), dropped.to(device)
        self.constant = float(torch.linalg.vector_norm(c))
        self._direction = c / self.constant if self.constant > 0 else torch.zeros_like(c)
        self.extra = 3 if len(c) else 0
        self.rest: State = {}

    def down(self, x: Tensor) -> Tensor:
        """Kept columns, the component along the constants, two columns of zeros."""
        return self._split(x)[0]

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        rows = x.index_select(0, self.index)
        if not self.extra:
            return rows, None
        dead = rows.index_select(1, self.dropped)
        along = (dead * self._shaped(x)).sum(1, keepdim=True)
        small = torch.cat([rows.index_select(1, self.kept), along, along.new_zeros(len(rows), 2, *x.shape[2:])], dim=1)
        return small, dead - along * self._shaped(x)

    def _shaped(self, x: Tensor) -> Tensor:
        return self._direction.to(x).view(-1, *(1,) * (x.ndim - 2))

    def restrict(self, state: State) -> State:
        """Turn dual, momentum and moments into the coarse coordinates."""
        small, self.rest = {}, {}
        for key, x in state.items():
            if x.ndim == 0:
                small[key] = x.clone()
                continue
            small[key], rest = self._split(x)
            if rest is None:
                continue
            if key == SQUARED:  # if the gradient is g c, the moment of its length is the sum of the moments
                rest = x.index_select(0, self.index).index_select(1, self.dropped)
                small[key][:, -3] = rest.sum(1)
            self.rest[key] = rest
        if self.rest:
            self._span(small)
        return small

    def _span(self, small: State) -> None:
        """Coordinates of what is orthogonal to the constants: first axis along the dual, second beside it."""
        v = self.rest["dual"].flatten(1)
        length = torch.linalg.vector_norm(v, dim=1)
        first(small["dual"])[:, 0] = length
        if "momentum_buffer" in self.rest:
            m = self.rest["momentum_buffer"].flatten(1)
            beside = (v * m).sum(1) / length.where(length != 0, torch.inf)
            first(small["momentum_buffer"])[:, 0] = beside
            first(small["momentum_buffer"])[:, 1] = ((m * m).sum(1) - beside * beside).clamp_min(0).sqrt()
            self.rest["start"] = torch.stack([first(small[key]) for key in ("dual", "momentum_buffer")])

    def prolong(self, small: State) -> State:
        """Turn dual, momentum and moments back, as whole rows."""
        if not self.extra:
            return small
        rest = self._coasted(small)
        whole = {}
        for key, x in small.items():
            if x.ndim == 0:
                whole[key] = x
                continue
            along = x[:, -3:-2]
            if key == SQUARED:
                dead = self._shared_out(rest[key], along)
            else:
                dead = along * self._shaped(x) + rest.get(key, 0.0)
            whole[key] = torch.cat([x[:, :-3], dead], dim=1).index_select(1, self._back)
        return whole

    def _coasted(self, small: State) -> State:
        """What was left aside, after the steps it coasted: the buffer fades and pulls the dual along."""
        if "start" not in self.rest:
            return self.rest
        v, m = self.rest["start"]
        energy = float((m * m).sum()) or torch.inf
        fade = float((first(small["momentum_buffer"]) * m).sum()) / energy
        pull = float(((first(small["dual"]) - v) * m).sum()) / energy
        buffer = self.rest["momentum_buffer"]
        return {"dual": self.rest["dual"] + pull * buffer, "momentum_buffer": fade * buffer}

    def _shared_out(self, rest: Tensor, along: Tensor) -> Tensor:
        """Second moments of the dead columns: they keep their proportions; without any, those of the constants."""
        before = rest.sum(1, keepdim=True)
        fresh = along * self._shaped(along).square()
        return torch.where(before > 0, rest * (along / before.where(before > 0, 1.0)), fresh)


def first(x: Tensor) -> Tensor:
    """The first entry of the kernels of the two inputs that carry nothing: lengths fit in there."""
    return x.flatten(2)[:, -2:, 0] if x.ndim > 2 else x[:, -2:]
