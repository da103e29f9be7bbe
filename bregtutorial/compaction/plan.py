"""What compaction will do, to look at before it is done.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Generic

import torch
from torch import nn

from bregtutorial.compaction.apply import cut, planned_widths
from bregtutorial.compaction.constructors import constructor
from bregtutorial.compaction.decide import Decision, decide
from bregtutorial.compaction.remarks import remarks
from bregtutorial.compaction.resize import Model, Widths, all_widths, rebuild, resized
from bregtutorial.tables import format_table


@dataclass(frozen=True)
class LayerPlan:
    """What becomes of one layer. Pairs are (before, after).

    Attributes:
        name: name of the layer.
        inputs: columns of a matrix, input channels of a convolution.
        outputs: rows of a matrix, filters of a convolution.
        parameters: weights and biases.
        constant: outputs that go because they are constant wherever they are read.
        unread: outputs that vary and go because nobody reads them.
        remarks: why dead outputs stay, and what else there is to say.

    Book: Frontiers, "From zeros to speed".
    """

    name: str
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    parameters: tuple[int, int]
    constant: int
    unread: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, repr=False, eq=False)
class Plan(Generic[Model]):
    """What compaction will do to a network; shows as a table.

    Attributes:
        model: the network. It stays as it is.
        decision: the channels that stay, and the constants of those that go.

    Book: Frontiers, "From zeros to speed".
    """

    model: Model
    decision: Decision

    @cached_property
    def layers(self) -> tuple[LayerPlan, ...]:
        """What becomes of every layer, in the order of computation."""
        before, after = all_widths(self.model), self.widths
        return tuple(self._layer(name, before[name], after[name]) for name in self.decision.arrives)

    @cached_property
    def widths(self) -> Widths:
        """The widths of the small network: (inputs, outputs, bias) of layers, (channels,) of norm layers."""
        return planned_widths(self.model, self.decision)

    @property
    def parameters(self) -> tuple[int, int]:
        """Numbers of parameters of the network, before and after."""
        small = rebuild(self.model, self.widths)
        return _count(self.model), _count(small)

    @property
    def constructor(self) -> str | None:
        """For a network of the book, the call that builds one of the new widths; None for others."""
        return constructor(rebuild(self.model, self.widths))

    def apply(self) -> Model:
        """The small network: a deep copy whose layers are ordinary smaller ones.

        Raises:
            RuntimeError: if the weights have changed since the plan was made.
        """
        if not decide(self.model).same_as(self.decision):
            raise RuntimeError(
                "the weights have changed since the plan was made: make a new one with compact.plan(model)"
            )
        return cut(self.model, self.decision)

    def _layer(self, name: str, before: tuple[int, ...], after: tuple[int, ...]) -> LayerPlan:
        (number,) = self.decision.wiring.modules[name].outputs
        channels, gone = self.decision.wiring.sets[number], ~self.decision.keep[number]
        unread = gone.clone() if not channels.readers else torch.zeros_like(gone)
        for reader in channels.readers:
            channel = self.decision.channel_of_inputs(reader.layer, number)
            unread[channel[(channel >= 0) & ~self.decision.arrives[reader.layer].isfinite()]] = True
        big = self.model.get_submodule(name)
        return LayerPlan(
            name,
            (before[0], after[0]),
            (before[1], after[1]),
            (_count(big), _count(resized(big, after))),
            int((gone & ~unread).sum()),
            int((gone & unread).sum()),
            remarks(self.model, self.decision, name),
        )

    def __repr__(self) -> str:
        def part(pair: tuple[int, int]) -> str:
            return f"{pair[0]:,} -> {pair[1]:,}" if pair[0] != pair[1] else f"{pair[0]:,}"

        body = [(r.name, *map(part, (r.inputs, r.outputs, r.parameters)), r.constant, r.unread) for r in self.layers]
        total = self.parameters
        rest = [total[i] - sum(r.parameters[i] for r in self.layers) for i in (0, 1)]
        if rest[0]:
            body.append(("others", "", "", part((rest[0], rest[1])), "", ""))
        body.append(("all", "", "", part(total), "", ""))
        table = format_table(["layer", "inputs", "outputs", "parameters", "constant", "unread"], body)
        said = [f"{r.name}: {remark}" for r in self.layers for remark in r.remarks]
        build = self.constructor
        return "\n".join([table, *said, *([f"small network: {build}"] if build else [])])


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
