"""Following channels through a network, operation by operation.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from bregtutorial.layers import Weighted, all_layers
from bregtutorial.wiring.functions import argument, name_of, rule_of_function
from bregtutorial.wiring.layers import (
    LAYERS,
    NORMS,
    depthwise,
    depthwise_constant,
    layer_constant,
    norm_constant,
    prelu_constant,
    widths_of,
)
from bregtutorial.wiring.rules import UNKNOWN, Constant, Rule, rule_of_module, varies
from bregtutorial.wiring.sets import Ports, Step, Wiring
from bregtutorial.wiring.trace import Ownership, changes_its_argument, trace
from bregtutorial.wiring.values import Channels, Opaque, Sets, concatenated, joined, single


def wire(model: nn.Module) -> Wiring:
    """Which channels of a network are the same, who writes and who reads them, and which must stay.

    The model is traced with :mod:`torch.fx`, not run. It gets a batch: dim 0 of its inputs counts images.

    Args:
        model: any network whose operations do not depend on the data.

    Raises:
        ValueError: if it cannot be traced, has a layer without a shape yet, or changes a tensor in place that it reads
            again.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10))
        >>> for channels in wire(model).sets:
        ...     print(channels.size, channels.writers, [r.layer for r in channels.readers], channels.fixed)
        1 () ['0'] input of the network
        8 ('0',) ['3'] None
        10 ('3',) [] output of the network

    Book: Frontiers, "From zeros to speed".
    """
    list(all_layers(model))  # refuses lazy layers by name
    graph = trace(model)
    walk = _Walk(model, graph)
    for node in graph.nodes:
        walk.visit(node)
    sets, modules = walk.sets.freeze(walk.ports, frozenset(walk.paths), walk.paths)
    return Wiring(sets, modules, tuple(walk.steps))


class _Walk:
    """The state of a walk through the graph: what every tensor is, and what has been learned about the channels."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        self.model = model
        self.ownership = Ownership(model, graph)
        self.sets = Sets()
        self.ports: dict[str, Ports] = {}
        self.paths: dict[str, tuple[str, ...]] = {}  # to layers, and to nothing else
        self.steps: list[Step] = []
        self.values: dict[fx.Node, Channels | Opaque] = {}
        self.trails: dict[fx.Node, tuple[str, ...]] = {}
        self.owns: dict[fx.Node, bool] = {}  # whether a result has a storage of its own

    def visit(self, node: fx.Node) -> None:
        """One operation: what tensor it makes, and the step."""
        if node.op == "output":
            value = self.fix(node.all_input_nodes, "output of the network")
            self.record(node, node.all_input_nodes, value, varies, owns=True)
        elif node.op in ("placeholder", "get_attr"):
            why = "input of the network" if node.op == "placeholder" else f"{node.target}, a tensor of the network"
            self.record(node, (), Opaque(why), varies, owns=True)
        elif node.op == "call_module":
            self.refuse_lost_values(node)
            self.module(node, str(node.target), self.model.get_submodule(str(node.target)))
        else:
            self.refuse_lost_values(node)
            self.follow(node, rule_of_function(node), f"{name_of(node)} (operation {node.name!r})")

    def record(
        self,
        node: fx.Node,
        inputs: Sequence[fx.Node],
        value: Channels | Opaque,
        constant: Constant,
        *,
        owns: bool,
        starts: bool = False,
    ) -> None:
        """Keep what is known of a result; ``starts`` if a reader need not look further back to see what it reads."""
        self.values[node], self.owns[node] = value, owns
        before = () if starts or not inputs else self.trails[inputs[0]]
        self.trails[node] = (*before, str(node.target) if node.op == "call_module" else name_of(node))
        module = str(node.target) if node.op == "call_module" else ""
        self.steps.append(Step(node.name, tuple(n.name for n in inputs), module, constant))

    def fix(self, nodes: Sequence[fx.Node], why: str) -> Opaque:
        """No channel of these tensors may go."""
        for node in nodes:
            value = self.values[node]
            for i in value.sets if isinstance(value, Channels) else ():
                self.sets.fix(i, why)
        return Opaque(why)

    def refuse_lost_values(self, node: fx.Node) -> None:
        """Work in place is understood only on tensors that nobody reads afterwards, under this or another name."""
        waiting = node.all_input_nodes[:1] if changes_its_argument(node, self.model) else []
        out = node.kwargs.get("out")
        waiting += [out] if isinstance(out, fx.Node) else []
        while waiting:
            changed = waiting.pop()
            if len(changed.users) > 1:
                other = next(user for user in changed.users if user is not node)
                raise ValueError(
                    f"{node.name!r} changes {changed.name!r} in place, which {other.name!r} uses too: what that one "
                    f"reads cannot be followed. Use the variant that returns a new tensor (inplace=False)"
                )
            waiting += [] if self.owns[changed] else changed.all_input_nodes

    def module(self, node: fx.Node, name: str, module: nn.Module) -> None:
        """A call of a module: of a layer, of a channelwise module, or of an operation without weights."""
        weighted = isinstance(module, (nn.Linear, _ConvNd, _BatchNorm, nn.PReLU))
        trouble = self.ownership.trouble(name, module) if weighted else None
        what, plain = f"{type(module).__name__} {name!r}", len(node.args) == 1 and not node.kwargs
        if trouble or not plain:
            self.follow(node, UNKNOWN, what, trouble)
        elif isinstance(module, nn.PReLU):
            self.channelwise(node, len(module.weight), (0, 1, 2, 3), partial(prelu_constant, module))
        elif isinstance(module, _BatchNorm) and type(module) in NORMS:
            self.channelwise(node, module.num_features, NORMS[type(module)], partial(norm_constant, module))
        elif isinstance(module, _ConvNd) and depthwise(module):
            dims, constant = (LAYERS[type(module)],), partial(depthwise_constant, module)
            self.channelwise(node, module.in_channels, dims, constant)
        elif isinstance(module, _ConvNd) and module.groups > 1:
            self.follow(node, UNKNOWN, f"{what} with groups={module.groups}")
        elif isinstance(module, (nn.Linear, _ConvNd)) and type(module) in LAYERS:
            self.layer(node, module)
        else:
            self.follow(node, rule_of_module(module), what)

    def layer(self, node: fx.Node, layer: Weighted) -> None:
        """A layer reads the channels of its input and writes new ones."""
        name, (n_in, n_out), dims = str(node.target), widths_of(layer), LAYERS[type(layer)]
        source = node.all_input_nodes[0]
        sets, repeat = self.match(source, n_in, (dims,))
        if not sets:
            why = self.fix([source], f"{name!r} reads another dim of it")
            value = self.values[source]
            sets, repeat = (self.sets.new(n_in, value.why if isinstance(value, Opaque) else why.why),), 1
        written = self.sets.new(n_out)
        self.ports[name] = Ports(sets, (written,), repeat)
        self.paths[name] = self.trails[source]
        value = Channels((written,), dims)
        self.record(node, [source], value, partial(layer_constant, layer), owns=True, starts=True)

    def channelwise(self, node: fx.Node, size: int, dims: tuple[int, ...], constant: Constant) -> None:
        """Numbers for every channel, or one for all."""
        source = node.all_input_nodes[0]
        sets, repeat = self.match(source, size, dims)
        if sets:
            self.ports[str(node.target)] = Ports(sets, sets, repeat)
        elif size > 1:
            self.fix([source], f"{node.target!r} acts on another dim of it")
        self.record(node, [source], self.values[source], constant if sets or size == 1 else varies, owns=True)

    def match(self, source: fx.Node, width: int, dims: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
        """The sets that a module of this width sees, and how often each channel; no sets if that is not clear."""
        value = self.values[source]
        if isinstance(value, Opaque) or value.spatial not in dims:
            return (), 1
        repeat, rest = divmod(width, sum(self.sets.sizes[i] for i in value.sets))
        return ((), 1) if rest or repeat < 1 or (repeat > 1 and not value.flattened) else (value.sets, repeat)

    def follow(self, node: fx.Node, rule: Rule, what: str, trouble: str | None = None) -> None:
        """An operation without weights, or one that is not understood."""
        nodes = list(argument(node, "tensors", 0)) if rule.kind == "cat" else node.all_input_nodes
        inputs = [n for n in nodes if not self.is_number(n)]
        value = Opaque("a number of images") if rule.kind == "batch" else self.result(node, rule, inputs)
        constant = rule.constant
        if value is None:
            value, constant = self.fix(inputs, trouble or f"{what} needs all channels"), varies
        owns = rule.kind in ("spatial", "mean", "join", "cat") or (
            rule.kind == "elementwise" and not changes_its_argument(node, self.model)
        )
        self.record(node, inputs, value, constant, owns=owns, starts=len(inputs) > 1)

    def is_number(self, node: fx.Node) -> bool:
        """Whether this is a number of images."""
        return self.values[node] == Opaque("a number of images")

    def result(self, node: fx.Node, rule: Rule, inputs: Sequence[fx.Node]) -> Channels | Opaque | None:
        """The channels that an operation returns; None if they are not known."""
        values = [self.values[n] for n in inputs]
        known = [v for v in values if isinstance(v, Channels)]
        counts = len(inputs) < len(node.all_input_nodes) and rule.kind in ("elementwise", "join")
        if rule.kind == "unknown" or not values or counts:
            return None
        if len(known) < len(values):
            return values[0] if len(values) == 1 else None
        first = known[0]
        if rule.kind == "cat":
            return concatenated(known, rule.dims)
        if rule.kind == "join" and len(known) > 1:
            return joined(self.sets, known)
        if len(known) > 1:
            return None
        return single(node, rule, first)
