"""What is known of a tensor on its way through a network, and which channels turned out to be the same.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import fx

from bregtutorial.wiring.functions import argument
from bregtutorial.wiring.rules import Rule
from bregtutorial.wiring.sets import ChannelSet, Ports, Reader


@dataclass(frozen=True)
class Channels:
    """A tensor whose channels are known: dim 1 of images, the last dim of anything else.

    Attributes:
        sets: the sets of channels, one after another.
        spatial: dims of the images, 0 if these are no images.
        flattened: whether every pixel of the images has become an input of its own.

    Book: Frontiers, "From zeros to speed".
    """

    sets: tuple[int, ...]
    spatial: int
    flattened: bool = False


@dataclass(frozen=True)
class Opaque:
    """A tensor whose channels are not known, and why.

    Attributes:
        why: where it comes from, in words.

    Book: Frontiers, "From zeros to speed".
    """

    why: str


class Sets:
    """Sets of channels, united as their members turn out to be the same.

    Example:
        >>> sets = Sets()
        >>> a, b = sets.new(8), sets.new(8)
        >>> sets.unite(a, b)
        >>> sets.find(b) == sets.find(a)
        True

    Book: Frontiers, "From zeros to speed".
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._parent: list[int] = []
        self._fixed: list[str | None] = []

    def new(self, size: int, fixed: str | None = None) -> int:
        """Another set; ``fixed`` says why no channel of it may go."""
        self.sizes.append(size)
        self._parent.append(len(self._parent))
        self._fixed.append(fixed)
        return len(self._parent) - 1

    def find(self, i: int) -> int:
        """The number that stands for all sets united with this one."""
        while self._parent[i] != i:
            i = self._parent[i]
        return i

    def unite(self, i: int, j: int) -> None:
        """From now on channel c of one is channel c of the other."""
        i, j = sorted((self.find(i), self.find(j)))
        self._fixed[i] = self._fixed[i] or self._fixed[j]
        self._parent[j] = i

    def fix(self, i: int, why: str) -> None:
        """No channel of this set may go."""
        i = self.find(i)
        self._fixed[i] = self._fixed[i] or why

    def freeze(
        self, ports: Mapping[str, Ports], layers: frozenset[str], paths: Mapping[str, tuple[str, ...]]
    ) -> tuple[tuple[ChannelSet, ...], dict[str, Ports]]:
        """The sets with their members, and the modules' ends in terms of these sets."""
        roots = sorted({self.find(i) for i in range(len(self.sizes))})
        number = {i: roots.index(self.find(i)) for i in range(len(self.sizes))}
        renamed = {
            name: Ports(tuple(number[i] for i in p.inputs), tuple(number[i] for i in p.outputs), p.repeat)
            for name, p in ports.items()
        }
        found = []
        for i, root in enumerate(roots):
            writers = tuple(name for name, p in renamed.items() if name in layers and i in p.outputs)
            between = tuple(name for name, p in renamed.items() if name not in layers and i in p.outputs)
            readers = tuple(
                Reader(name, p.repeat, paths[name]) for name, p in renamed.items() if name in layers and i in p.inputs
            )
            found.append(ChannelSet(self.sizes[root], writers, between, readers, self._fixed[root]))
        return tuple(found), renamed


def joined(sets: Sets, values: Sequence[Channels]) -> Channels | None:
    """Entry by entry: channel c of one tensor is channel c of the others from now on; None if they do not correspond.

    Example:
        >>> sets = Sets()
        >>> values = [Channels((sets.new(4),), 2), Channels((sets.new(4),), 2)]
        >>> joined(sets, values) == values[0], sets.find(1)
        (True, 0)

    Book: Frontiers, "From zeros to speed".
    """
    first, *others = values
    for other in others:
        sizes = [[sets.sizes[i] for i in v.sets] for v in (first, other)]
        if (other.spatial, other.flattened) != (first.spatial, first.flattened) or sizes[0] != sizes[1]:
            return None
        for i, j in zip(first.sets, other.sets, strict=True):
            sets.unite(i, j)
    return first


def concatenated(values: Sequence[Channels], dims: int | None) -> Channels | None:
    """Channels one after another; images with images only."""
    spatial = {v.spatial for v in values}
    if len(spatial) > 1 or any(v.flattened for v in values) or (dims is not None and spatial != {dims}):
        return None
    return Channels(tuple(i for v in values for i in v.sets), values[0].spatial)


def single(node: fx.Node, rule: Rule, value: Channels) -> Channels | None:
    """The channels of one tensor after an operation on every channel."""
    if rule.kind == "spatial":
        return value if value.spatial and rule.dims in (None, value.spatial) else None
    if rule.kind == "flatten":
        return Channels(value.sets, 0, flattened=True) if value.spatial else value
    if rule.kind == "mean":
        dims = argument(node, "dim", 1)
        dims = [dims] if isinstance(dims, int) else dims or []
        images = {d % (value.spatial + 2) for d in dims} == set(range(2, value.spatial + 2)) and dims
        keeps = argument(node, "keepdim", 2, False)
        return None if not images else value if keeps else Channels(value.sets, 0)
    return value
