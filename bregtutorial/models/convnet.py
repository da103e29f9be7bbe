"""The small convolutional network of the paper's Tables 1 and 2."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from bregtutorial.models._init import he_normal_


def convnet(
    channels: Sequence[int] = (1, 64, 64),
    widths: Sequence[int] = (128, 10),
    *,
    kernel_size: int = 5,
    image_size: int = 28,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Convolutions without padding, each with ReLU and 2x2 max-pooling, then Linear layers.

    Args:
        channels: input channels, then the filters of every convolution.
        widths: neurons of every Linear layer, the last is the number of classes.
        kernel_size: side of the square kernels.
        image_size: side of the square images.
        generator: source of the weights.

    Raises:
        ValueError: if the image is too small for the convolutions, or there is no convolution or no Linear layer.

    Example:
        >>> net = convnet()
        >>> net(torch.zeros(2, 1, 28, 28)).shape, sum(m.weight.numel() for m in net if hasattr(m, "weight"))
        (torch.Size([2, 10]), 236352)

    References:
        Bungert et al. (2022), section 4.4: 236,352 weights, 4,160 kernels.

    Book: Experiments, "Fashion-MNIST and the ConvNet".
    """
    if len(channels) < 2 or not widths:
        raise ValueError(f"a convnet needs 2 channels and 1 width at least, got {tuple(channels)} and {tuple(widths)}")
    layers: list[nn.Module] = []
    side = image_size
    for c_in, c_out in pairwise(channels):
        layers += [nn.Conv2d(c_in, c_out, kernel_size), nn.ReLU(), nn.MaxPool2d(2)]
        side = (side - kernel_size + 1) // 2
    if side < 1:
        raise ValueError(f"image_size={image_size} is too small for {len(channels) - 1} convolutions of {kernel_size}")
    layers.append(nn.Flatten())
    n_in = channels[-1] * side**2
    for n_out in widths:
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        n_in = n_out
    model = nn.Sequential(*layers[:-1])
    he_normal_(model, generator)
    return model
