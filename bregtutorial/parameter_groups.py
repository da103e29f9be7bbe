"""Split a model's parameters by the kind of module that owns them, every parameter exactly once.

Weights of Linear and Conv layers are penalised. Biases, norm layers and everything else are not: shrinking a norm
layer's scale rescales a whole channel and says nothing about its weights.

Book: Foundations, "A first sparse network".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy

from bregtutorial.layers import NORMS, partition
from bregtutorial.regularizers import L1, GroupL2, Regularizer, SparseGroupL2, Zero

KINDS = ("conv", "linear", "bias", "norm", "other")


def parameter_groups(
    model: nn.Module,
    lam: float = 0.1,
    reg: Regularizer | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
    **options: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Groups named ``conv``, ``linear``, ``bias``, ``norm``, ``other`` for an optimizer; empty ones are left out.

    ``conv`` and ``linear`` get ``reg`` and ``lam``, the others ``Zero()`` and 0. The groups hold named parameters, so
    that reports and errors can name layers. Weights that no Linear or Conv layer owns are ``other``: those of
    embeddings, recurrent layers and the input projections of attention, and all that a parametrization like
    ``weight_norm`` makes a weight of.

    Args:
        model: any module. Frozen parameters (``requires_grad=False``) are grouped too: thaw them whenever you like.
        lam: strength for the penalised groups, >= 0. Its unit depends on the optimizer, see there: 0.1 is a start for
            LinBreg, and for AdaBreg at ``lr=1e-3``; ProxSGD needs about 0.003.
        reg: regularizer for the penalised groups, default ``L1()``.
        kinds: parameter name -> kind, where the type of the owner says the wrong thing, for example
            ``{"head.weight": "other"}`` to leave the last layer dense.
        options: further settings of a kind, for example ``conv={"reg": GroupL2("kernels"), "lam": 0.05}`` or
            ``bias={"lr": 0.01}``. They override ``reg`` and ``lam``.

    Raises:
        ValueError: if a parameter is lazy or shared by modules of different kinds, a name in ``kinds`` does not exist,
            a kind is unknown, or a regularizer of groups meets a convolution whose weight tensor has other groups
            under that name: a transposed one, stored as ``(in, out, *kernel)``, or inputs of one with ``groups > 1``.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 2))
        >>> for group in parameter_groups(model, lam=0.5):
        ...     print(group["name"], group["lam"], [name for name, _ in group["params"]])
        conv 0.5 ['0.weight']
        linear 0.5 ['3.weight']
        bias 0.0 ['0.bias', '3.bias']
        norm 0.0 ['1.weight', '1.bias']

    References:
        Bungert et al. (2022), section 4: weights are regularised, biases and batch normalisation are not.

    Book: Foundations, "A first sparse network".
    """
    _check_kinds("option", options)
    found = _kind_of_every_parameter(model, kinds or {})
    named = dict(model.named_parameters())
    groups = []
    for kind in KINDS:
        penalised = kind in ("conv", "linear")
        members = [(name, named[name]) for name, k in found.items() if k == kind]
        group: dict[str, Any] = {
            "params": members,
            "name": kind,
            "reg": (reg or L1()) if penalised else Zero(),
            "lam": lam if penalised else 0.0,
            **options.get(kind, {}),
        }
        if kind == "conv":
            _refuse_other_groups(model, members, group["reg"])
        if members:
            groups.append(group)
    if not groups:
        raise ValueError(f"{type(model).__name__} has no parameters")
    return groups


def _kind_of_every_parameter(model: nn.Module, overrides: Mapping[str, str]) -> dict[str, str]:
    """Kind by parameter name, in the order of ``model.named_parameters()``."""
    names = {id(p): name for name, p in model.named_parameters()}
    chosen = _by_first_name(model, names, overrides)
    owners: dict[str, dict[str, str]] = {name: {} for name in names.values()}
    for path, module in model.named_modules():
        for attribute, p in module._parameters.items():
            if is_lazy(p):
                raise ValueError(
                    f"parameter {names[id(p)]!r} is lazy and has no shape yet: run one batch through the model first"
                )
            if p is not None:
                owners[names[id(p)]][_kind(module, attribute)] = f"{path or 'model'} ({type(module).__name__})"
    for name, kinds in owners.items():
        if len(kinds) > 1 and name not in chosen:
            said = " and ".join(f"{kind} of {owner}" for kind, owner in kinds.items())
            raise ValueError(
                f"parameter {name!r} is shared: it is {said}. Say which with kinds={{{name!r}: {next(iter(kinds))!r}}}"
            )
    return {name: chosen.get(name) or next(iter(kinds)) for name, kinds in owners.items()}


def _by_first_name(model: nn.Module, names: Mapping[int, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """The overrides, checked; a shared parameter answers to all its names and is listed under the first."""
    _check_kinds("kind", dict.fromkeys(overrides.values()))
    first = {alias: names[id(p)] for alias, p in model.named_parameters(remove_duplicate=False)}
    for name in overrides.keys() - first.keys():
        raise ValueError(f"kinds names {name!r}, which is no parameter of the model{_hint(name, first)}")
    return {first[name]: kind for name, kind in overrides.items()}


def _kind(module: nn.Module, attribute: str) -> str:
    if isinstance(module, NORMS):
        return "norm"
    if attribute.startswith("bias") or attribute.endswith("bias"):  # an LSTM has bias_ih_l0, attention in_proj_bias
        return "bias"
    if attribute == "weight" and isinstance(module, _ConvNd):
        return "conv"
    return "linear" if attribute == "weight" and isinstance(module, nn.Linear) else "other"


def _check_kinds(what: str, kinds: Mapping[str, Any]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"unknown {what} {kind!r}, must be one of {', '.join(KINDS)}{_hint(kind, KINDS)}")


def _hint(word: object, known: Iterable[str]) -> str:
    close = get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _refuse_other_groups(model: nn.Module, members: list[tuple[str, nn.Parameter]], reg: Regularizer) -> None:
    """A regularizer sees the weight tensor alone: its groups must be there what they are called."""
    if not isinstance(reg, (GroupL2, SparseGroupL2)):
        return
    layers = {id(layer.weight): layer for layer in model.modules() if isinstance(layer, _ConvNd)}
    for name, p in members:
        if id(p) not in layers:  # named a convolution by hand
            continue
        try:
            actual = partition(layers[id(p)], reg.groups)
        except ValueError as error:
            raise ValueError(f"{name!r}: {error}") from None
        if actual != reg.groups:
            raise ValueError(
                f"{name!r} belongs to a {type(layers[id(p)]).__name__}, whose weight is (in, out, *kernel): "
                f"groups={reg.groups!r} would group the other side. Use kinds={{{name!r}: 'other'}} and "
                f"other={{'reg': {type(reg).__name__}({actual!r}), 'lam': ...}}"
            )
