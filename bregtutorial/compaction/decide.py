"""Which channels can go: constants from the input to the output, needs from the output to the input.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bregtutorial.layers import Weighted
from bregtutorial.wiring import Wiring, wire
from bregtutorial.wiring.layers import expand, fold, foldable, matrix, widths_of


@dataclass(frozen=True)
class Merge:
    """Inputs of a layer that go because another constant input can do their work.

    Attributes:
        sources: numbers of the inputs that go.
        targets: for each, the number of the input that stays.
        factors: for each, its constant divided by that of the input that stays.

    Book: Frontiers, "From zeros to speed".
    """

    sources: Tensor
    targets: Tensor
    factors: Tensor


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
        merges: for each layer that sees zeros at the border, the constant inputs that go.

    Book: Frontiers, "From zeros to speed".
    """

    wiring: Wiring
    keep: tuple[Tensor, ...]
    idle: tuple[Tensor, ...]
    arrives: Mapping[str, Tensor]
    leaves: Mapping[str, Tensor]
    shifts: Mapping[str, Tensor]
    merges: Mapping[str, Merge]

    def channel_of_inputs(self, layer: str, number: int) -> Tensor:
        """For each input of a layer, which channel of a set it is; -1 for one of another set."""
        ports, sets = self.wiring.modules[layer], self.wiring.sets
        parts = [torch.arange(sets[i].size) if i == number else torch.full((sets[i].size,), -1) for i in ports.inputs]
        return torch.cat(parts).repeat_interleave(ports.repeat)

    def same_as(self, other: Decision) -> bool:
        """Whether two decisions cut the same network in the same way."""
        mine, theirs = self._tensors(), other._tensors()
        return mine.keys() == theirs.keys() and all(torch.equal(tensor, theirs[key]) for key, tensor in mine.items())

    def _tensors(self) -> dict[str, Tensor]:
        kept = {f"keep {i}": k for i, k in enumerate(self.keep)}
        shifts = {f"shift {name}": shift for name, shift in self.shifts.items()}
        return kept | shifts | {f"merge {name}": merge.factors for name, merge in self.merges.items()}


@torch.no_grad()
def decide(model: nn.Module) -> Decision:
    """Find the fewest channels that the network's output depends on.

    A layer needs an input if it has a weight for it, of an output that stays, and the input varies. Fixed channels stay
    from the start; what they need follows, from the output to the input, until nothing changes. Constant inputs go into
    a bias. Where the layer pads with zeros no bias is right at the border; there one constant input stays and does the
    work of all.

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
    layers: dict[str, Weighted] = {name: model.get_submodule(name) for name in arrives}  # type: ignore[misc]
    read = {name: (matrix(layer) != 0).any(2) for name, layer in layers.items()}
    varying = {name: read[name] & ~c.isfinite() for name, c in arrives.items()}
    blocked = {name: read[name] & c.isfinite() & ~foldable(layers[name], c) for name, c in arrives.items()}
    keep = tuple(torch.full((s.size,), s.fixed is not None) for s in wiring.sets)
    while _spread(wiring, varying, keep) or _appoint(wiring, blocked, arrives, keep):
        pass
    merges = _merges(wiring, blocked, arrives, keep)
    shifts = {}
    for name, c in arrives.items():
        gone = ~wiring.inputs(name, keep)
        if gone.any():
            shift = fold(layers[name], torch.where(gone & foldable(layers[name], c), c, 0.0))
            shifts[name] = torch.where(wiring.outputs(name, keep), shift, 0.0)
    idle = tuple(_first_if_none(k) for k in keep)
    keep = tuple(k | i for k, i in zip(keep, idle, strict=True))
    return Decision(wiring, keep, idle, arrives, leaves, shifts, merges)


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


def _spread(wiring: Wiring, varying: dict[str, Tensor], keep: tuple[Tensor, ...]) -> bool:
    """Keep what outputs that stay need, in place; whether there was any."""
    before = sum(int(k.sum()) for k in keep)
    for name in reversed(varying):
        wanted = varying[name][wiring.outputs(name, keep)].any(0)
        for i, part in _by_set(wiring, name, wanted.reshape(-1, wiring.modules[name].repeat).any(1)):
            keep[i].logical_or_(part)
    return sum(int(k.sum()) for k in keep) > before


def _by_set(wiring: Wiring, name: str, per_channel: Tensor) -> Iterator[tuple[int, Tensor]]:
    """A vector over the channels that a layer reads, cut into those of each set."""
    numbers = wiring.modules[name].inputs
    return zip(numbers, torch.split(per_channel, [wiring.sets[i].size for i in numbers]), strict=True)


def _appoint(
    wiring: Wiring, blocked: Mapping[str, Tensor], arrives: Mapping[str, Tensor], keep: tuple[Tensor, ...]
) -> bool:
    """Keep one constant channel for each padded reader of some that go, in place; whether one was needed."""
    for name, lost in _lost(wiring, blocked, keep).items():
        parts = zip(_by_set(wiring, name, lost), _by_set(wiring, name, arrives[name]), strict=True)
        for (i, part), (_, values) in parts:
            size = torch.where(values.isfinite(), values.abs(), 0.0)
            if part.any() and not (keep[i] & (size > 0)).any():
                keep[i][torch.where(part, size, 0.0).argmax()] = True
                return True
    return False


def _lost(wiring: Wiring, blocked: Mapping[str, Tensor], keep: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Constant inputs that go although the padding shows; only convolutions pad, so that an input is a channel."""
    lost = {name: b[wiring.outputs(name, keep)].any(0) & ~wiring.inputs(name, keep) for name, b in blocked.items()}
    return {name: inputs for name, inputs in lost.items() if inputs.any()}


def _merges(
    wiring: Wiring, blocked: Mapping[str, Tensor], arrives: Mapping[str, Tensor], keep: tuple[Tensor, ...]
) -> dict[str, Merge]:
    """Which constant inputs of padded readers go, and which does their work: the largest, so that factors are small."""
    found = {}
    for name, lost in _lost(wiring, blocked, keep).items():
        c, target = arrives[name], torch.zeros(len(lost), dtype=torch.long)
        usable = torch.where(wiring.inputs(name, keep) & c.isfinite(), c.abs(), 0.0)
        start = 0
        for _, part in _by_set(wiring, name, usable):
            target[start : start + len(part)] = start + part.argmax()
            start += len(part)
        found[name] = Merge(lost.nonzero()[:, 0], target[lost], c[lost] / c[target[lost]])
    return found


def _first_if_none(keep: Tensor) -> Tensor:
    first = torch.zeros_like(keep)
    first[0] = not keep.any()
    return first
