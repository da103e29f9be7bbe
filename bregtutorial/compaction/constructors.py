"""The call that builds one of the book's networks anew, with the widths of a given one.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from bregtutorial import models

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


def constructor(model: nn.Module) -> str | None:
    """The call of :mod:`bregtutorial.models` that builds a network of the same class and widths, as text.

    Returns:
        None if the model is no network of the book.

    Example:
        >>> constructor(models.mlp((784, 37, 10)))
        'bt.models.mlp((784, 37, 10))'

    Book: Frontiers, "From zeros to speed".
    """
    with torch.device("meta"):  # neither memory nor random numbers for a network that is only looked at
        for name, args, options in _candidates(model):
            try:
                built = getattr(models, name)(*args, **options)
            except ValueError:  # such a network cannot be
                continue
            if str(built) == str(model):
                settings = [repr(arg) for arg in args] + [f"{key}={value!r}" for key, value in options.items()]
                return f"bt.models.{name}({', '.join(settings)})"
    return None


def _candidates(model: nn.Module) -> Iterator[Call]:
    if isinstance(model, models.ResNet):
        yield _resnet(model)
    if not isinstance(model, nn.Sequential):
        return
    convs = [layer for layer in model if isinstance(layer, nn.Conv2d)]
    linears = [layer for layer in model if isinstance(layer, nn.Linear)]
    if not linears:
        return
    widths = tuple(layer.out_features for layer in linears)
    if convs:
        yield from _convnets(convs, linears[0].in_features, widths)
    else:
        for name in ("mlp", "autoencoder"):
            yield name, ((linears[0].in_features, *widths),), {}


def _convnets(convs: list[nn.Conv2d], flat: int, widths: tuple[int, ...]) -> Iterator[Call]:
    channels = (convs[0].in_channels, *(conv.out_channels for conv in convs))
    k = convs[0].kernel_size[0]
    options = {} if k == 5 else {"kernel_size": k}
    yield "convnet", (channels, widths), options
    size = math.isqrt(flat // channels[-1])
    for _ in convs:
        size = 2 * size + k - 1  # the smallest image from which so many pixels are left
    yield "convnet", (channels, widths), options | {"image_size": size}


def _resnet(model: models.ResNet) -> Call:
    stages: list[list[Any]] = [list(stage.children()) for stage in model.stages.children()]
    widths = tuple(stage[-1].conv2.out_channels for stage in stages)
    inner = tuple(block.conv1.out_channels for stage in stages for block in stage)
    options: dict[str, Any] = {} if model.conv.in_channels == 3 else {"in_channels": model.conv.in_channels}
    if inner != tuple(width for width, stage in zip(widths, stages, strict=True) for _ in stage):
        options["inner"] = inner
    return "resnet", (widths, tuple(map(len, stages)), model.fc.out_features), options
