"""What a network's wiring consists of: sets of channels, the modules that touch them, and the order of computation.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Reader:
    """A layer that sums over a set of channels.

    Attributes:
        layer: name of the Linear or Conv layer.
        repeat: inputs of the layer that one channel becomes: more than 1 after a flatten, where every pixel is an
            input of its own.
        path: what happens to the channels on their way from the last layer, norm or sum before: names of operations,
            in the order of computation.

    Book: Frontiers, "From zeros to speed".
    """

    layer: str
    repeat: int = 1
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChannelSet:
    """Channels that can only be removed together, channel ``c`` from all its members at once.

    Attributes:
        size: number of channels.
        writers: layers whose outputs they are. More than one where outputs are added: a residual sum couples the
            channels of all its terms.
        channelwise: modules that treat every channel on its own and hold numbers for each: batch norms, PReLU,
            depthwise convolutions.
        readers: layers whose inputs they are.
        fixed: why no channel may go, in words; None if channels may go.

    Book: Frontiers, "From zeros to speed".
    """

    size: int
    writers: tuple[str, ...]
    channelwise: tuple[str, ...]
    readers: tuple[Reader, ...]
    fixed: str | None = None


@dataclass(frozen=True)
class Ports:
    """The channels at both ends of one module, as numbers of sets; more than one set where outputs were concatenated.

    Attributes:
        inputs: sets along its input, in order.
        outputs: sets along its output, in order: one for a layer, those of the input for a channelwise module.
        repeat: inputs of the module for one channel, see :class:`Reader`.

    Book: Frontiers, "From zeros to speed".
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    repeat: int = 1


@dataclass(frozen=True)
class Step:
    """One operation of the network, in the order of computation.

    Attributes:
        name: name of the operation, unique in the network.
        inputs: names of the steps whose results it takes.
        module: name of the module that it calls; empty for a function.
        constant: what it makes of channels that are constant over batch and pixels, in evaluation mode: vectors of
            float64 in and out, one entry a channel, NaN for a channel that varies.

    Book: Frontiers, "From zeros to speed".
    """

    name: str
    inputs: tuple[str, ...]
    module: str
    constant: Callable[..., Tensor]


@dataclass(frozen=True)
class Wiring:
    """Which channels of a network are the same, and who writes and reads them.

    Attributes:
        sets: the sets of channels; elsewhere a set is named by its number here.
        modules: ends of every layer and channelwise module whose channels are understood, by name, in the order of
            computation. A module that is missing here has only fixed sets at its ends.
        steps: the operations, in the order of computation; the last one is the network's output.

    Book: Frontiers, "From zeros to speed".
    """

    sets: tuple[ChannelSet, ...]
    modules: Mapping[str, Ports]
    steps: tuple[Step, ...]

    def inputs(self, name: str, keep: Sequence[Tensor]) -> Tensor:
        """Which inputs of a module stay, as booleans, if of each set the channels in ``keep`` stay."""
        ports = self.modules[name]
        return torch.cat([keep[i] for i in ports.inputs]).repeat_interleave(ports.repeat)

    def outputs(self, name: str, keep: Sequence[Tensor]) -> Tensor:
        """Which outputs of a module stay, as booleans, if of each set the channels in ``keep`` stay."""
        return torch.cat([keep[i] for i in self.modules[name].outputs])
