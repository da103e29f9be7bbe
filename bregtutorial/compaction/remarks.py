"""Why channels that look superfluous stay, in words.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn

from bregtutorial.compaction.decide import Decision
from bregtutorial.layers import Weighted
from bregtutorial.wiring import Reader
from bregtutorial.wiring.layers import foldable, matrix


def remarks(model: nn.Module, decision: Decision, name: str) -> tuple[str, ...]:
    """What there is to say about the outputs of a layer.

    Example:
        >>> from bregtutorial.compaction.decide import decide
        >>> model = nn.Sequential(nn.Linear(3, 2))
        >>> remarks(model, decide(model), "0")
        ('all outputs stay: output of the network',)

    Book: Frontiers, "From zeros to speed".
    """
    number = decision.wiring.modules[name].outputs[0]
    channels = decision.wiring.sets[number]
    if channels.fixed is not None:
        return (f"all outputs stay: {channels.fixed}",)
    if decision.idle[number].any():
        return ("no output is needed: one stays, because no layer can have width 0",)
    found, readers = [], channels.readers if name == channels.writers[0] else ()
    reads = [_Reading(model, decision, number, reader) for reader in readers]
    varies = torch.stack([r.varies for r in reads]).any(0) if reads else torch.zeros(channels.size, dtype=torch.bool)
    for reading in reads:
        stuck = reading.blocked & ~varies
        if stuck.any():
            kept = int((stuck & decision.keep[number]).sum())
            become = f"become {kept}" if kept else "go into others"
            found.append(f"{int(stuck.sum())} constant outputs {become}: {reading.text(stuck)}")
    coupled = ~decision.leaves[name].isnan() & decision.keep[number]
    if coupled.any() and len(channels.writers) > 1:
        partners = ", ".join(repr(writer) for writer in channels.writers if writer != name)
        found.append(f"{int(coupled.sum())} constant outputs stay: they are added to those of {partners}")
    return tuple(found)


class _Reading:
    """What one reader does with the channels of a set."""

    def __init__(self, model: nn.Module, decision: Decision, number: int, reader: Reader) -> None:
        self.reader, channel = reader, decision.channel_of_inputs(reader.layer, number)
        layer: Weighted = model.get_submodule(reader.layer)  # type: ignore[assignment]
        outputs = decision.wiring.outputs(reader.layer, decision.keep)
        read = (matrix(layer)[outputs] != 0).any(2).any(0) & (channel >= 0)
        c = decision.arrives[reader.layer]
        blocked = read & c.isfinite() & ~foldable(layer, c)
        size = decision.wiring.sets[number].size
        self.varies, self.blocked = (torch.zeros(size, dtype=torch.bool) for _ in range(2))
        self.varies[channel[read & ~c.isfinite()]] = True
        self.blocked[channel[blocked]] = True
        self.values = torch.zeros(size, dtype=c.dtype).index_put((channel[blocked],), c[blocked])

    def text(self, stuck: Tensor) -> str:
        """Why a bias cannot stand for these channels."""
        what = reduce(lambda inner, outer: f"{outer}({inner})", self.reader.path)
        return f"{what} = {float(self.values[stuck][0]):.2g} meets the zeros around the image in {self.reader.layer!r}"
