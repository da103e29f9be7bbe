"""A network's graph of operations, and modules whose weights are not only their own.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

import operator
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from torch import fx, nn
from torch.nn.utils.parametrize import is_parametrized

from bregtutorial.wiring.functions import name_of


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Torch's own modules are one operation each, also where their weight is computed."""
        return super().is_leaf_module(m, module_qualified_name) or is_parametrized(m)


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    flags = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag


def trace(model: nn.Module) -> fx.Graph:
    """The operations of the model in evaluation mode, in order.

    Raises:
        ValueError: if they depend on the data.

    Example:
        >>> [node.op for node in trace(nn.Sequential(nn.Linear(3, 2))).nodes]
        ['placeholder', 'call_module', 'output']

    Book: Frontiers, "From zeros to speed".
    """
    with _evaluation(model):
        try:
            return _Tracer().trace(model)
        except Exception as error:
            raise ValueError(
                f"{type(model).__name__} cannot be traced: {str(error).splitlines()[0]}. Its forward must be the same "
                "operations for all data: no if, for, len or int() that asks a tensor. Compact its parts one by one; "
                "of a wrapped model (torch.compile, DataParallel) compact the module inside"
            ) from error


class Ownership:
    """Who uses which weights: what makes a module more than a layer with weights of its own.

    Args:
        model: the network.
        graph: its operations.

    Example:
        >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> a.weight = b.weight
        >>> model = nn.Sequential(a, b)
        >>> Ownership(model, trace(model)).trouble("0", a)
        "'0' shares its weight with '1'"

    Book: Frontiers, "From zeros to speed".
    """

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        called = (model.get_submodule(str(n.target)) for n in graph.nodes if n.op == "call_module")
        self._calls = Counter(id(module) for module in called)
        self._owners: dict[int, list[str]] = defaultdict(list)
        for name, module in model.named_modules():
            for p in module._parameters.values():
                self._owners[id(p)].append(name)
        bare = (str(n.target).rpartition(".") for n in graph.nodes if n.op == "get_attr")
        self._bare = {id(getattr(model.get_submodule(owner), name)) for owner, _, name in bare}

    def trouble(self, name: str, module: nn.Module) -> str | None:
        """Why the module must stay as it is, in words; None if it is a plain layer."""
        parameters = [(key, p) for key, p in module._parameters.items() if p is not None]
        if is_parametrized(module) or "weight" not in module._parameters:
            return f"the weight of {name!r} is computed from other parameters (prune, weight_norm): make it plain first"
        if module._forward_hooks or module._forward_pre_hooks:
            return f"{name!r} has hooks, which may change what it returns"
        if self._calls[id(module)] > 1:
            return f"{name!r} is called {self._calls[id(module)]} times"
        for key, p in parameters:
            others = [other or "model" for other in self._owners[id(p)] if other != name]
            if others:
                return f"{name!r} shares its {key} with {others[0]!r}"
            if id(p) in self._bare:
                return f"the {key} of {name!r} is used outside of it"
        return None


def changes_its_argument(node: fx.Node, model: nn.Module) -> bool:
    """Whether an operation works in place.

    Example:
        >>> model = nn.Sequential(nn.ReLU(inplace=True))
        >>> [changes_its_argument(node, model) for node in trace(model).nodes]
        [False, True, False]

    Book: Frontiers, "From zeros to speed".
    """
    if node.op == "call_module":
        return bool(getattr(model.get_submodule(str(node.target)), "inplace", False))
    name = name_of(node)
    in_place = name.endswith("_") and not name.startswith("_")
    hidden = (operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.setitem)
    return in_place or node.target in hidden or bool(node.kwargs.get("inplace")) or "out" in node.kwargs
