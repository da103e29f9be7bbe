"""What single operations do to channels, and what modules without parameters do.

The tables here and in ``functions`` list operations that leave every channel to itself. An operation that is not listed
may mix channels, so that none of what goes into it can be cut.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["elementwise", "identity", "spatial", "flatten", "mean", "join", "cat", "batch", "unknown"]
Constant = Callable[..., Tensor]


@dataclass(frozen=True)
class Rule:
    """What an operation does to the channels of its arguments.

    Attributes:
        kind: how channels come out: untouched entry by entry ("elementwise", "identity"), untouched as images
            ("spatial"), with pixels as inputs of their own ("flatten"), as one number an image ("mean"), coupled with
            those of other arguments ("join"), one after another ("cat"); "batch" is a number of images and no tensor.
        constant: what becomes of constant channels, see :class:`~bregtutorial.wiring.Step`.
        dims: dims of the images that a "spatial" operation takes; None for any.

    Book: Frontiers, "From zeros to speed".
    """

    kind: Kind
    constant: Constant
    dims: int | None = None


def _types(names: str) -> frozenset[type[nn.Module]]:
    return frozenset(getattr(nn, name) for name in names.split())


def _by_dims(names: str) -> dict[type[nn.Module], int]:
    return {getattr(nn, f"{name}{d}d"): d for name in names.split() for d in (1, 2, 3) if hasattr(nn, f"{name}{d}d")}


# Exact types: a subclass may do anything.
ENTRYWISE = _types(
    "ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Softplus Softsign Sigmoid LogSigmoid Tanh Hardtanh Hardswish "
    "Hardsigmoid Softshrink Hardshrink Tanhshrink Threshold"
)
NOTHING = _types("Identity Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout")
KEEPING = _by_dims("MaxPool AdaptiveAvgPool AdaptiveMaxPool ReflectionPad ReplicationPad CircularPad")
RESIZING = _types("Upsample UpsamplingNearest2d UpsamplingBilinear2d")
AVERAGING, FILLING = _by_dims("AvgPool"), _by_dims("ZeroPad ConstantPad")


def same(v: Tensor, *_: Tensor) -> Tensor:
    """The constant of an operation that leaves constants alone."""
    return v


def varies(*_: Tensor) -> Tensor:
    """The constant of an operation about which nothing is known: not a number, of any length."""
    return torch.tensor(torch.nan, dtype=torch.float64)


def only(value: float) -> Constant:
    """Padding with a value leaves those channels constant that have this value already."""
    return lambda v: torch.where(v == value, v, torch.nan)


def keep_varying(function: Constant) -> Constant:
    """Not every function returns NaN for NaN, but a function of what varies varies."""

    def constant(*vectors: Tensor) -> Tensor:
        result = function(*vectors)
        for v in vectors:
            result = torch.where(v.isnan(), torch.nan, result)
        return result

    return constant


UNKNOWN = Rule("unknown", varies)


def rule_of_module(module: nn.Module) -> Rule:
    """The rule of a module without parameters, by its exact type: a subclass may do anything.

    Example:
        >>> rule_of_module(nn.MaxPool2d(2)).kind, rule_of_module(nn.Softmax(1)).kind
        ('spatial', 'unknown')

    Book: Frontiers, "From zeros to speed".
    """
    kind = type(module)
    if kind is not getattr(nn, kind.__name__, None):
        return UNKNOWN
    if kind in ENTRYWISE:
        return Rule("elementwise", keep_varying(lambda v: module(v.clone())))
    if kind in NOTHING:
        return Rule("identity", same)
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
        return Rule("flatten", same)
    if kind in RESIZING or (kind in KEEPING and not getattr(module, "return_indices", False)):
        return Rule("spatial", same, KEEPING.get(kind))
    if kind in AVERAGING:
        return Rule("spatial", same if _averages_ones_to_one(module) else only(0.0), AVERAGING[kind])
    if kind in FILLING:
        return Rule("spatial", only(float(getattr(module, "value", 0.0))), FILLING[kind])
    return UNKNOWN


def _averages_ones_to_one(pool: nn.Module) -> bool:
    """Not so at a border where the zeros of the padding are counted."""
    padding, counted = getattr(pool, "padding", 0), getattr(pool, "count_include_pad", True)
    padded = any(padding) if isinstance(padding, tuple) else padding != 0
    return getattr(pool, "divisor_override", None) is None and not (padded and counted)
