"""Split a model's parameters by the kind of module that owns them, every parameter exactly once.

Weights of Linear and Conv layers are penalised. Biases, norm layers and everything else are not: shrinking a norm
layer's scale rescales a whole channel and says nothing about its weights.

Book: Foundations, "A first sparse network".
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

from bregtutorial.layers import NORMS, TRANSPOSED
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
    """Parameter groups for the optimizers of this package, with names ``conv``, ``linear``, ``bias``, ``norm``, ``other``.

    ``conv`` and ``linear`` get ``reg`` and ``lam``, the others ``Zero()`` and 0. Empty groups are left out. The groups
    hold named parameters, so that reports and errors can name layers.

    Args:
        model: any module. Frozen parameters (``requires_grad=False``) are grouped too: thaw them whenever you like.
        lam: strength for the penalised groups, >= 0. Its unit depends on the optimizer, see there.
        reg: regularizer for the penalised groups, default ``L1()``.
        kinds: parameter name -> kind, where the type of the owner says the wrong thing, for example
            ``{"head.weight": "other"}`` to leave the last layer dense.
        options: further settings of a kind, for example ``conv={"reg": GroupL2("kernels"), "lam": 0.05}`` or
            ``bias={"lr": 0.01}``. They override ``reg`` and ``lam``.

    Raises:
        ValueError: if a parameter is shared by modules of different kinds, a name in ``kinds`` does not exist, a kind
            is unknown, or a regularizer of filters or inputs meets a transposed convolution (whose weight is
            ``(in, out, *kernel)``, so that the two words change places).

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 2))
        >>> [(g["name"], g["lam"], [name for name, _ in g["params"]]) for g in parameter_groups(model, lam=0.5)]
        [('conv', 0.5, ['0.weight']), ('linear', 0.5, ['3.weight']), ('bias', 0.0, ['0.bias', '3.bias']), ('norm', 0.0, ['1.weight', '1.bias'])]

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
            _refuse_transposed(model, members, group["reg"])
        if members:
            groups.append(group)
    if not groups:
        raise ValueError(f"{type(model).__name__} has no parameters")
    return groups


def _kind_of_every_parameter(model: nn.Module, overrides: Mapping[str, str]) -> dict[str, str]:
    """Kind by parameter name, in the order of ``model.named_parameters()``."""
    names = {id(p): name for name, p in model.named_parameters()}
    _check_kinds("kind", {k: None for k in overrides.values()})
    for name in overrides.keys() - set(names.values()):
        raise ValueError(f"kinds names {name!r}, which is no parameter of the model{_hint(name, names.values())}")
    owners: dict[str, dict[str, str]] = {name: {} for name in names.values()}
    for path, module in model.named_modules():
        for attribute, p in module._parameters.items():
            if p is not None:
                owners[names[id(p)]][_kind(module, attribute)] = f"{path or 'model'} ({type(module).__name__})"
    for name, kinds in owners.items():
        if len(kinds) > 1 and name not in overrides:
            said = " and ".join(f"{kind} of {owner}" for kind, owner in kinds.items())
            raise ValueError(
                f"parameter {name!r} is shared: it is {said}. Say which with kinds={{{name!r}: {next(iter(kinds))!r}}}"
            )
    return {name: overrides.get(name) or next(iter(kinds)) for name, kinds in owners.items()}


def _kind(module: nn.Module, attribute: str) -> str:
    if isinstance(module, NORMS):
        return "norm"
    if attribute.endswith("bias"):
        return "bias"
    if attribute == "weight" and isinstance(module, _ConvNd):
        return "conv"
    return "linear" if attribute == "weight" and isinstance(module, nn.Linear) else "other"


def _check_kinds(what: str, kinds: Mapping[str, Any]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"unknown {what} {kind!r}, must be one of {', '.join(KINDS)}{_hint(kind, KINDS)}")


def _hint(word: str, known: Any) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _refuse_transposed(model: nn.Module, members: list[tuple[str, nn.Parameter]], reg: Regularizer) -> None:
    if not isinstance(reg, (GroupL2, SparseGroupL2)) or reg.groups == "kernels":
        return
    transposed = {id(m.weight): type(m).__name__ for m in model.modules() if isinstance(m, TRANSPOSED)}
    for name, p in members:
        if id(p) in transposed:
            swapped = "inputs" if reg.groups == "filters" else "filters"
            raise ValueError(
                f"{name!r} belongs to a {transposed[id(p)]}, whose weight is (in, out, *kernel): groups={reg.groups!r} "
                f"would group the other side. Use kinds={{{name!r}: 'other'}} and other={{'reg': "
                f"{type(reg).__name__}({swapped!r}), 'lam': ...}}"
            )
