"""Which rows and channels of a network may rest during coarse steps, which do, and what they pass on meanwhile.

Book: Frontiers, "Multilevel training".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.optim import Optimizer

from bregtutorial.layers import Weighted, all_layers
from bregtutorial.regularizers import L1, GroupL2, L1NonNegative, Regularizer, Zero
from bregtutorial.wiring import Wiring, wire
from bregtutorial.wiring.layers import expand

ROWS = GroupL2("filters")
GENERIC = 0.7  # a constant that hardly any operation maps to a special value


@dataclass(frozen=True)
class Support:
    """What is awake.

    Attributes:
        keep: the channels of every set that are on the coarse level, as booleans.
        rows: the active rows of every layer that may shrink, as booleans.

    Book: Frontiers, "Multilevel training".
    """

    keep: tuple[Tensor, ...]
    rows: dict[str, Tensor]


class Plan:
    """What may shrink in a network under an optimizer, and why the rest may not.

    Args:
        model: the network.
        optimizer: its optimizer.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        self.model = model
        self.regs: dict[int, Regularizer] = {
            id(p): g["reg"] for g in optimizer.param_groups for p in g["params"] if p.requires_grad
        }
        self.reasons: dict[str, str] = {}
        try:
            self.wiring = wire(model)
        except ValueError as error:
            self.wiring = Wiring((), {}, ())
            self.reasons["the network"] = str(error)
        self.modules = dict(model.named_modules())
        self.layers: dict[str, Weighted] = dict(all_layers(model))
        self.shrinking = [name for name in self.layers if self._may_lose_rows(name)]
        self.free = [False] * len(self.wiring.sets)
        wanted = [self._may_lose_channels(i) for i in range(len(self.free))]
        reaches = self._reaches(wanted)
        self.free = [w and r for w, r in zip(wanted, reaches, strict=True)]
        sets = [s for s, free in zip(self.wiring.sets, self.free, strict=True) if free]
        readers = {reader.layer for s in sets for reader in s.readers}
        self.cut = [name for name in self.layers if name in self.shrinking or name in readers]
        self.cut_norms = [name for s in sets for name in s.channelwise]
        self.places = dict.fromkeys(self.layers, 1)  # at which a layer's weights are used in one image
        for name, layer in self.layers.items():
            self._watch(name, layer)

    def _watch(self, name: str, layer: Weighted) -> None:
        """Note in the first forward pass how many places a layer has."""

        def note(_: nn.Module, __: tuple[Tensor, ...], y: Tensor) -> None:
            handle.remove()
            self.places[name] = max(1, y[0].numel() // len(layer.weight)) if y.ndim > 1 else 1

        handle = layer.register_forward_hook(note)

    def drops_outputs(self, name: str) -> bool:
        """Whether dead outputs of a layer leave the network for a while."""
        return self.free[self.wiring.modules[name].outputs[0]]

    def fraction(self, support: Support) -> float:
        """Multiplications of the small network, as a fraction of those of the network."""
        small = whole = 0.0
        for name, layer in self.layers.items():
            each: float = layer.weight.numel() * self.places[name]
            whole += each
            if name in self.cut:
                rows, columns = support.rows.get(name), self.wiring.inputs(name, support.keep)
                each = each * columns.double().mean().item() * (1.0 if rows is None else rows.double().mean().item())
            small += each
        return small / whole

    def _may_lose_rows(self, name: str) -> bool:
        layer = self.layers[name]
        if id(layer.weight) in self.regs and self.regs[id(layer.weight)] == Zero():
            return False  # asked for: nothing to explain
        if name not in self.wiring.modules or (isinstance(layer, _ConvNd) and (layer.transposed or layer.groups > 1)):
            why = "its channels are not understood"
        elif id(layer.weight) not in self.regs:
            why = "the optimizer does not train its weight"
        elif self.regs[id(layer.weight)] != ROWS:
            why = f"{self.regs[id(layer.weight)]!r} has no rows for groups: zeros inside a dense matrix save nothing"
        else:
            return True
        self.reasons.setdefault(name, why)
        return False

    def _may_lose_channels(self, number: int) -> bool:
        """Whether dead channels of a set can leave all that write, hold and read them."""
        channels = self.wiring.sets[number]
        if channels.fixed or not channels.writers:
            return False
        why = None
        for name in channels.writers:
            if name not in self.shrinking:
                why = f"{name} writes the same channels and keeps its rows"
        for name in channels.channelwise:
            if not isinstance(self.modules[name], _BatchNorm):
                why = f"{name} is a {type(self.modules[name]).__name__} between them"
        for reader in channels.readers:
            weight = self.layers[reader.layer].weight
            if self.regs.get(id(weight)) not in (ROWS, Zero()):
                why = f"{reader.layer} reads them, and its regularizer tells single inputs apart"
        vectors = [p for n in (*channels.writers, *channels.channelwise) for p in self._vectors(n)]
        if any(not isinstance(self.regs.get(id(p), Zero()), (Zero, L1, L1NonNegative)) for p in vectors):
            why = "biases or scales of theirs are regularized as a whole"
        if why:
            for name in channels.writers:
                self.reasons.setdefault(name, f"its dead outputs stay: {why}")
        return why is None

    def _vectors(self, name: str) -> list[Tensor]:
        """Parameters of a module that have one entry a channel."""
        module = self.modules[name]
        return [p for p in module.parameters(recurse=False) if p.ndim == 1]

    def _reaches(self, wanted: list[bool]) -> list[bool]:
        """Whether constants of dead channels are still constants where they are read."""
        keep = tuple(torch.full((s.size,), not w) for s, w in zip(self.wiring.sets, wanted, strict=True))
        inputs = self.constants(Support(keep, {}), generic=True)
        fine = list(wanted)
        for name in filter(inputs.__contains__, self.layers):
            constants = inputs[name]
            lost = ~self.wiring.inputs(name, keep) & constants.isnan()
            for number in self.wiring.modules[name].inputs:
                if wanted[number] and lost.any():
                    fine[number] = False
                    for writer in self.wiring.sets[number].writers:
                        self.reasons.setdefault(
                            writer, f"its dead outputs stay: no longer constant where {name} reads them"
                        )
        return fine

    def support(self) -> Support:
        """What is awake now: rows that are not zero, and channels that one of their writers has such a row for."""
        rows = {name: (self.layers[name].weight.detach() != 0).flatten(1).any(1) for name in self.shrinking}
        keep = []
        for free, channels in zip(self.free, self.wiring.sets, strict=True):
            awake = [rows[name] for name in channels.writers] if free else [torch.ones(channels.size, dtype=torch.bool)]
            keep.append(torch.stack([a.cpu() for a in awake]).any(0))
        return Support(tuple(keep), {name: r.cpu() for name, r in rows.items()})

    def constants(self, support: Support, *, generic: bool = False) -> dict[str, Tensor]:
        """For every layer what each of its inputs carries in training: a constant, or NaN for what varies."""
        values: dict[str, Tensor] = {}
        found = {}
        for step in self.wiring.steps:
            inputs = [values[name] for name in step.inputs]
            module = self.modules.get(step.module) if step.module else None
            if isinstance(module, (nn.Linear, _ConvNd)):
                n_in = module.weight.shape[1]
                if step.module in self.wiring.modules:
                    found[step.module] = expand(inputs[0], n_in)
                values[step.name] = self._of_dead_rows(step.module, support, generic)
            elif isinstance(module, _BatchNorm):
                found[step.module] = expand(inputs[0], module.num_features)
                values[step.name] = _of_norm(module, inputs[0], generic) if module.training else step.constant(*inputs)
            elif _drops(module, step.name):
                values[step.name] = torch.where(inputs[0] == 0, 0.0, torch.nan)
            else:
                values[step.name] = step.constant(*inputs)
        return found

    def _of_dead_rows(self, name: str, support: Support, generic: bool) -> Tensor:
        """A dead row of weights leaves the bias."""
        if name not in self.shrinking:
            return torch.tensor(torch.nan, dtype=torch.float64)
        bias = self.layers[name].bias
        size = len(self.layers[name].weight)
        b = torch.zeros(size, dtype=torch.float64) if bias is None else bias.detach().double().cpu()
        if generic:
            return torch.full_like(b, GENERIC)
        return torch.where(support.rows[name], torch.nan, b)


def _of_norm(norm: _BatchNorm, constants: Tensor, generic: bool) -> Tensor:
    """A batch of one and the same number has no variance: the shift is left."""
    c = expand(constants, norm.num_features)
    shift = torch.zeros_like(c) if norm.bias is None else norm.bias.detach().double().cpu()
    return torch.where(c.isnan(), torch.nan, GENERIC if generic else shift)


def _drops(module: nn.Module | None, name: str) -> bool:
    if module is None:
        return "dropout" in name
    return isinstance(module, nn.modules.dropout._DropoutNd) and module.training and module.p > 0
