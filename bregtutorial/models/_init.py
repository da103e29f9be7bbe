"""Dense initialisation of the book's networks."""

from __future__ import annotations

import torch
from torch import nn

from bregtutorial.layers import fan_in, weighted_layers


@torch.no_grad()
def he_normal_(model: nn.Module, generator: torch.Generator | None = None) -> None:
    r"""Weights normal with variance :math:`2/n_{in}`, biases uniform on :math:`[0, 1/\sqrt{n_{in}}]`, in place.

    References:
        He, Zhang, Ren, Sun (2015), "Delving Deep into Rectifiers", Eq. 10.
    """
    for _, layer in weighted_layers(model):
        n = fan_in(layer)
        layer.weight.normal_(0.0, (2 / n) ** 0.5, generator=generator)
        if layer.bias is not None:
            layer.bias.uniform_(0.0, n**-0.5, generator=generator)
