"""What functions and methods of a traced network do to channels.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional as F

from bregtutorial.wiring.rules import UNKNOWN, Constant, Kind, Rule, keep_varying, only, same, varies

ENTRYWISE = (
    "relu relu6 leaky_relu elu selu celu gelu silu mish softplus softsign sigmoid logsigmoid tanh hardtanh hardswish "
    "hardsigmoid softshrink hardshrink tanhshrink threshold clamp clamp_min clamp_max clip abs neg exp square"
)
JOINS = "add sub mul div truediv maximum minimum"


def _variants(names: str) -> set[str]:
    return {v for name in names.split() for v in (name, f"{name}_", f"i{name}")}


def _functions(names: str) -> set[Any]:
    """Functions of these names in torch, torch.nn.functional and operator, also those that work in place."""
    spaces = (torch, F, operator)
    return {getattr(space, name) for space in spaces for name in _variants(names) if hasattr(space, name)}


FUNCTIONS: dict[Kind, set[Any]] = {
    "elementwise": _functions(ENTRYWISE),
    "identity": _functions("dropout dropout1d dropout2d dropout3d alpha_dropout"),
    "join": _functions(JOINS),
    "cat": _functions("cat concat concatenate"),
    "flatten": _functions("flatten reshape"),
    "mean": _functions("mean amax"),
}
METHODS: dict[Kind, set[Any]] = {
    "elementwise": _variants(ENTRYWISE),
    "identity": {"contiguous"},
    "join": _variants(JOINS),
    "flatten": {"flatten", "view", "reshape"},
    "mean": {"mean", "amax"},
}
POOLS: dict[Any, int] = {
    getattr(F, f"{name}{d}d"): d for name in ("max_pool", "adaptive_avg_pool", "adaptive_max_pool") for d in (1, 2, 3)
}
AVERAGES: dict[Any, int] = {getattr(F, f"avg_pool{d}d"): d for d in (1, 2, 3)}


def rule_of_function(node: fx.Node) -> Rule:
    """The rule of a function or method as it is called in a traced graph.

    Example:
        >>> graph = fx.Graph()
        >>> x = graph.placeholder("x")
        >>> [rule_of_function(graph.call_function(f, (x,))).kind for f in (F.relu, torch.cumsum)]
        ['elementwise', 'unknown']

    Book: Frontiers, "From zeros to speed".
    """
    images = _rule_of_images(node)
    if images is not None:
        return images
    if is_batch_size(node):
        return Rule("batch", varies)
    table = FUNCTIONS if node.op == "call_function" else METHODS
    kind: Kind = next((kind for kind, names in table.items() if node.target in names), "unknown")
    if kind == "elementwise" or kind == "join":
        return Rule(kind, _zero_wins(node) if "mul" in name_of(node) else keep_varying(_call(node)))
    if kind == "cat":
        dim = argument(node, "dim", 1, 0)  # the last dim is that of the channels where there are no images
        return Rule(kind, _cat, 0 if dim == -1 else None) if dim in (1, -1) else UNKNOWN
    if kind == "flatten":
        return Rule(kind, same) if _flattens_images(node) else UNKNOWN
    if (kind == "identity" and node.op == "call_function") or name_of(node) == "stochastic_depth":
        return Rule("identity", same) if argument(node, "training", -1) is False else UNKNOWN
    return Rule(kind, same) if kind != "unknown" else UNKNOWN


def name_of(node: fx.Node) -> str:
    """The name of a function or method, without its place."""
    return str(getattr(node.target, "__name__", node.target))


def argument(node: fx.Node, name: str, place: int, default: Any = None) -> Any:
    """An argument by name, or by its place."""
    if name in node.kwargs:
        return node.kwargs[name]
    return node.args[place] if place < len(node.args) else default


def is_batch_size(node: fx.Node) -> bool:
    """``x.size(0)``, ``x.shape[0]`` or ``x.size()[0]``, or a shape of which only this is used."""
    if node.target == "size" and len(node.args) == 2:
        return bool(node.args[1] == 0)
    if node.target is operator.getitem:
        return _is_shape(node.args[0]) and bool(node.args[1] == 0)
    return _is_shape(node) and all(user.target is operator.getitem and user.args[1] == 0 for user in node.users)


def _is_shape(node: Any) -> bool:
    if not isinstance(node, fx.Node):
        return False
    return node.args[1:] == ("shape",) if node.target is getattr else node.target == "size" and len(node.args) == 1


def _flattens_images(node: fx.Node) -> bool:
    """Whether all dims but the first become one, without naming the number of channels."""
    if name_of(node) == "flatten":
        return (argument(node, "start_dim", 1, 0), argument(node, "end_dim", 2, -1)) == (1, -1)
    shape = node.args[1] if len(node.args) == 2 and isinstance(node.args[1], tuple) else node.args[1:]
    return len(shape) == 2 and isinstance(shape[0], fx.Node) and is_batch_size(shape[0]) and bool(shape[1] == -1)


def _rule_of_images(node: fx.Node) -> Rule | None:
    """Pooling, padding and resizing."""
    target: Any = node.target
    if target in POOLS and not node.kwargs.get("return_indices"):
        return Rule("spatial", same, POOLS[target])
    if target in AVERAGES:
        plain = len(node.args) <= 3 and not node.kwargs.keys() - {"kernel_size", "stride", "ceil_mode"}
        return Rule("spatial", same if plain else only(0.0), AVERAGES[target])
    if target is F.interpolate:
        return Rule("spatial", same)
    if target is F.pad:
        mode, value = argument(node, "mode", 2, "constant"), argument(node, "value", 3) or 0.0
        dims = len(argument(node, "pad", 1)) // 2  # fewer or more than those of the image: not understood
        return Rule("spatial", only(float(value)) if mode == "constant" else same, dims)
    return None


def _call(node: fx.Node) -> Constant:
    """The operation itself, on vectors of constants instead of tensors."""

    def constant(*vectors: Tensor) -> Tensor:
        of = dict(zip(node.all_input_nodes, align(*vectors), strict=True))
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: of[n].clone())
        function: Any = getattr(args[0], node.target) if isinstance(node.target, str) else node.target
        result: Tensor = function(*args[isinstance(node.target, str) :], **kwargs)
        return result

    return constant


def _zero_wins(node: fx.Node) -> Constant:
    """A product with zero is zero, whatever the other factor does."""

    def constant(*vectors: Tensor) -> Tensor:
        result = keep_varying(_call(node))(*align(*vectors))
        for v in align(*vectors):
            result = torch.where(v == 0, 0.0, result)
        return result

    return constant


def _cat(*vectors: Tensor) -> Tensor:
    return varies() if any(v.ndim == 0 for v in vectors) else torch.cat(vectors)


def align(*vectors: Tensor) -> tuple[Tensor, ...]:
    """Vectors of one length: where one has an entry a channel and another one a pixel, entries are repeated.

    Example:
        >>> align(torch.tensor([1, 2]), torch.arange(4))
        (tensor([1, 1, 2, 2]), tensor([0, 1, 2, 3]))

    Book: Frontiers, "From zeros to speed".
    """
    n = max((len(v) for v in vectors if v.ndim), default=1)
    return tuple(v.expand(n) if v.ndim == 0 else v.repeat_interleave(n // len(v)) for v in vectors)
