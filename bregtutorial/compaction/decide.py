"""Which channels can go: constants from the input to the output, needs from the output to the input.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bregtutorial.layers import Weighted
from bregtutorial.wiring import Wiring, wire
from bregtutorial.wiring.layers import expand, fold, foldable, matrix, widths_of


@dataclass(frozen=True)
class Decision:
    """What stays, and what becomes of the rest.

    Attributes:
        wiring: the channels.
        keep: for each set, which channels stay.
        idle: for each set, a channel that stays only because no layer can have width 0; nobody reads it.
        arrives: for each layer, the constant value of each input, NaN for one that varies.
        leaves: the same for each output.
        shifts: for each layer with an input that goes, what these inputs add to its outputs.

    Book: Frontiers, "From zeros to speed".
    """

    wiring: Wiring
    keep: tuple[Tensor, ...]
    idle: tuple[Tensor, ...]
    arrives: Mapping[str, Tensor]
    leaves: Mapping[str, Tensor]
    shifts: Mapping[str, Tensor]

    def channel_of_inputs(self, layer: str, number: int) -> Tensor:
        """For each input of a layer, which channel of a set it is; -1 for one of another set."""
        ports, sets = self.wiring.modules[layer], self.wiring.sets
        parts = [torch.arange(sets[i].size) if i == number else torch.full((sets[i].size,), -1) for i in ports.inputs]
        return torch.cat(parts).repeat_interleave(ports.repeat)

    def same_as(self, other: Decision) -> bool:
        """Whether two decisions cut the same network in the same way."""
        return (
            all(map(torch.equal, self.keep, other.keep))
            and self.shifts.keys() == other.shifts.keys()
            and all(torch.equal(shift, other.shifts[name]) for name, shift in self.shifts.items())
        )


@torch.no_grad()
def decide(model: nn.Module) -> Decision:
    """Find the fewest channels that the network's output depends on.

    A reader needs a channel if it has a weight for it that is not zero, and no bias can stand for it. A channel stays
    if a reader needs it for an output that stays. Fixed channels stay from the start; the others follow, from the
    output to the input, until nothing changes.

    Raises:
        ValueError: if the model cannot be traced, see :func:`~bregtutorial.wiring.wire`.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> _ = model[0].weight.detach()[1].zero_()
        >>> decide(model).keep[1].tolist()
        [True, False, True, True]

    Book: Frontiers, "From zeros to speed".
    """
    wiring = wire(model)
    arrives, leaves = constants(model, wiring)
    needs = {}
    for name, c in arrives.items():
        layer: Weighted = model.get_submodule(name)  # type: ignore[assignment]
        needs[name] = (matrix(layer) != 0).any(2) & ~foldable(layer, c)
    keep = tuple(torch.full((s.size,), s.fixed is not None) for s in wiring.sets)
    while _spread(wiring, needs, keep):
        pass
    idle = tuple(_first_if_none(k) for k in keep)
    shifts = {}
    for name, c in arrives.items():
        gone = ~wiring.inputs(name, keep)
        if gone.any():
            shift = fold(model.get_submodule(name), torch.where(gone, c, 0.0))  # type: ignore[arg-type]
            shifts[name] = torch.where(wiring.outputs(name, keep), shift, 0.0)
    return Decision(wiring, tuple(k | i for k, i in zip(keep, idle, strict=True)), idle, arrives, leaves, shifts)


def constants(model: nn.Module, wiring: Wiring) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """For each layer, the constant value of each input and of each output, NaN for one that varies.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 2), nn.Sigmoid(), nn.Linear(2, 1))
        >>> _ = nn.init.zeros_(model[0].weight), nn.init.zeros_(model[0].bias)
        >>> arrives, leaves = constants(model, wire(model))
        >>> arrives["2"].tolist(), leaves["0"].tolist()
        ([0.5, 0.5], [0.0, 0.0])

    Book: Frontiers, "From zeros to speed".
    """
    values: dict[str, Tensor] = {}
    arrives, leaves = {}, {}
    layers = {reader.layer for channels in wiring.sets for reader in channels.readers}
    for step in wiring.steps:
        inputs = [values[name] for name in step.inputs]
        values[step.name] = step.constant(*inputs)
        if step.module in layers:
            n_in, _ = widths_of(model.get_submodule(step.module))  # type: ignore[arg-type]
            arrives[step.module], leaves[step.module] = expand(inputs[0], n_in), values[step.name]
    return arrives, leaves


def _spread(wiring: Wiring, needs: dict[str, Tensor], keep: tuple[Tensor, ...]) -> bool:
    """Keep what outputs that stay need, in place; whether there was any."""
    before = sum(int(k.sum()) for k in keep)
    for name in reversed(needs):
        wanted = needs[name][wiring.outputs(name, keep)].any(0)
        ports = wiring.modules[name]
        parts = torch.split(wanted.reshape(-1, ports.repeat).any(1), [wiring.sets[i].size for i in ports.inputs])
        for i, part in zip(ports.inputs, parts, strict=True):
            keep[i].logical_or_(part)
    return sum(int(k.sum()) for k in keep) > before


def _first_if_none(keep: Tensor) -> Tensor:
    first = torch.zeros_like(keep)
    first[0] = not keep.any()
    return first
