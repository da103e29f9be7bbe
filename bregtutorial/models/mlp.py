"""Fully connected networks: the classifier and the autoencoder of the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from bregtutorial.models._init import he_normal_


def mlp(widths: Sequence[int] = (784, 200, 80, 10), *, generator: torch.Generator | None = None) -> nn.Sequential:
    """Flatten, then Linear layers with ReLU between them and none after the last.

    Args:
        widths: number of inputs, of every hidden layer's neurons, of outputs.
        generator: source of the weights.

    Raises:
        ValueError: if there are fewer than two widths, or one is less than 1.

    Example:
        >>> mlp((784, 30, 10))(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])

    References:
        Bungert et al. (2022), section 4.2: 784-200-80-10.

    Book: Foundations, "A first sparse network".
    """
    return _stack(widths, nn.Flatten(), generator)


def autoencoder(widths: Sequence[int] = (784,) * 7, *, generator: torch.Generator | None = None) -> nn.Sequential:
    """An image in, an image of the same shape out; Linear layers with ReLU between them and none after the last.

    Args:
        widths: as for :func:`mlp`; the first and the last are the pixels of a square image with one channel.
        generator: source of the weights.

    Raises:
        ValueError: if input and output differ in width, or their width is no square number.

    Example:
        >>> autoencoder((784, 50, 784))(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 1, 28, 28])

    References:
        Bungert et al. (2022), section 4.6: seven layers of 784 neurons.

    Book: Experiments, "The denoising autoencoder".
    """
    model = _stack(widths, nn.Flatten(), generator)
    if widths[0] != widths[-1]:
        raise ValueError(f"an autoencoder's first and last width must be equal, got {widths[0]} and {widths[-1]}")
    side = math.isqrt(widths[0])
    if side**2 != widths[0]:
        raise ValueError(f"widths[0] must be a square number of pixels, got {widths[0]}")
    return model.append(nn.Unflatten(1, (1, side, side)))


def _stack(widths: Sequence[int], first: nn.Module, generator: torch.Generator | None) -> nn.Sequential:
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths needs an input and an output, all at least 1, got {tuple(widths)}")
    layers: list[nn.Module] = [first]
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    he_normal_(model, generator)
    return model
