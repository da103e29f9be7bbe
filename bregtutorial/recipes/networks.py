"""The models of the recipes: from widths, the shape of an image and the number of classes to a module."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from bregtutorial import models

Shape = tuple[int, int, int]  # channels, height, width
Builder = Callable[[Sequence[int], Shape, int, torch.Generator], nn.Module]


def _mlp(widths: Sequence[int], image: Shape, n_classes: int, generator: torch.Generator) -> nn.Module:
    return models.mlp((image[0] * image[1] * image[2], *widths, n_classes), generator=generator)


def _convnet(widths: Sequence[int], image: Shape, n_classes: int, generator: torch.Generator) -> nn.Module:
    *channels, hidden = widths
    return models.convnet((image[0], *channels), (hidden, n_classes), image_size=image[1], generator=generator)


def _resnet18(widths: Sequence[int], image: Shape, n_classes: int, generator: torch.Generator) -> nn.Module:
    return models.resnet(widths, (2, 2, 2, 2), n_classes, in_channels=image[0], generator=generator)


def _autoencoder(widths: Sequence[int], image: Shape, n_classes: int, generator: torch.Generator) -> nn.Module:
    pixels = image[1] * image[2]
    return models.autoencoder((pixels, *widths, pixels), generator=generator)


def _skip_autoencoder(widths: Sequence[int], image: Shape, n_classes: int, generator: torch.Generator) -> nn.Module:
    pixels = image[1] * image[2]
    return models.skip_autoencoder((pixels, *widths, pixels), generator=generator)


MODELS: dict[str, Builder] = {
    "mlp": _mlp,
    "convnet": _convnet,
    "resnet18": _resnet18,
    "autoencoder": _autoencoder,
    "skip-autoencoder": _skip_autoencoder,
}
