"""How sparse a network is: one number, or a table by layer.

*Density* is the fraction of non-zeros; *sparsity* is 1 - density. Both count the weights of Linear and Conv layers;
biases and norm layers are not counted.

References:
    Bungert, Roith, Tenbrinck, Burger (2022), JMLR 23(192), section 4: N_total, N_linear and N_conv.

Book: Foundations, "A first sparse network".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from bregtutorial.layers import Weighted, weighted_layers, whole
from bregtutorial.tables import format_table


@dataclass(frozen=True)
class LayerSparsity:
    """Counts of one layer. ``kernels`` is ``(0, 0)`` for a layer without a kernel.

    Attributes:
        name: name of the module.
        shape: shape of its weight.
        weights: (non-zero, all) weights.
        filters: (active, all) outputs: rows of a matrix, output channels of a convolution.
        inputs: (active, all) inputs: columns of a matrix, input channels of a convolution.
        kernels: (active, all) single kernels of a convolution.

    Book: Foundations, "A first sparse network".
    """

    name: str
    shape: tuple[int, ...]
    weights: tuple[int, int]
    filters: tuple[int, int]
    inputs: tuple[int, int]
    kernels: tuple[int, int]

    @property
    def density(self) -> float:
        """Fraction of the layer's weights that are not zero; 0 for a layer without weights."""
        return self.weights[0] / max(self.weights[1], 1)


@dataclass(frozen=True, repr=False)
class SparsityReport:
    """The sparsity of a network, layer by layer; shows as a table.

    Attributes:
        rows: the counts of every layer.

    Book: Foundations, "A first sparse network".
    """

    rows: tuple[LayerSparsity, ...]

    @property
    def density(self) -> float:
        """Fraction of all counted weights that are not zero."""
        return sum(r.weights[0] for r in self.rows) / sum(r.weights[1] for r in self.rows)

    def __repr__(self) -> str:
        def part(count: tuple[int, int]) -> str:
            return f"{count[0]:,}/{count[1]:,}" if count[1] else "-"

        body = []
        for r in self.rows:
            groups = (part(r.filters), part(r.inputs), part(r.kernels))
            body.append((r.name, "x".join(map(str, r.shape)), part(r.weights), f"{r.density:.2%}", *groups))
        total = (sum(r.weights[0] for r in self.rows), sum(r.weights[1] for r in self.rows))
        body.append(("all", "", part(total), f"{self.density:.2%}", "", "", ""))
        return format_table(["layer", "shape", "weights", "density", "filters/rows", "inputs", "kernels"], body)


def density(model: nn.Module) -> float:
    r"""Fraction of non-zero weights of the Linear and Conv layers, in [0, 1].

    .. math:: \frac{\#\{\text{non-zero weights}\}}{\#\{\text{weights}\}}

    Biases and norm layers are not counted; a weight that two layers share counts once. A weight that is NaN counts as
    non-zero.

    Raises:
        ValueError: if the model has no such layer.

    Example:
        >>> layer = nn.Linear(4, 2)
        >>> _ = layer.weight.detach()[0].zero_()
        >>> density(layer)
        0.5

    References:
        The quantity that the paper's tables call N_total, as its published code computes it.

    Book: Foundations, "A first sparse network".
    """
    return sparsity_report(model).density


@torch.no_grad()
def sparsity_report(model: nn.Module) -> SparsityReport:
    """Non-zero weights, active filters (rows), inputs (columns) and kernels of every Linear and Conv layer.

    A group is active if one of its weights is not zero. Filters are outputs and inputs are inputs also where the weight
    tensor orders them otherwise: in transposed convolutions and in those with ``groups > 1``. The counts leave the
    device together, in one transfer.

    Raises:
        ValueError: if the model has no such layer.

    Example:
        >>> layer = nn.Linear(4, 2)
        >>> _ = layer.weight.detach()[0].zero_()
        >>> sparsity_report(nn.Sequential(layer))
        layer  shape  weights  density  filters/rows  inputs  kernels
        -----  -----  -------  -------  ------------  ------  -------
        0        2x4      4/8   50.00%           1/2     4/4        -
        all               4/8   50.00%

    References:
        Bungert et al. (2022), section 4: N_linear and N_conv.

    Book: Foundations, "A first sparse network"; Algorithms, "Group sparsity".
    """
    layers = list(weighted_layers(model))
    if sum(layer.weight.numel() for _, layer in layers) == 0:
        raise ValueError(f"{type(model).__name__} has no Linear or Conv layer whose weights could be counted")
    active = [_active_counts(layer) for _, layer in layers]
    counts = torch.stack([c.to(active[0].device) for c in active]).tolist()
    rows = []
    for (name, layer), found in zip(layers, counts, strict=True):
        totals = _total_counts(layer)
        rows.append(LayerSparsity(name or "model", tuple(layer.weight.shape), *zip(found, totals, strict=True)))
    return SparsityReport(tuple(rows))


def _active_counts(layer: Weighted) -> Tensor:
    """Non-zero weights, active outputs, inputs and kernels."""
    w, g = whole(layer.weight), _conv_groups(layer)
    kernels = (w != 0).flatten(2).any(2) if w.ndim > 2 else w != 0
    blocks = kernels.reshape(g, w.shape[0] // g, w.shape[1])  # dim 1 of the weight counts within a block
    along_0, along_1 = kernels.any(1).sum(), blocks.any(1).sum()
    outputs, inputs = (along_1, along_0) if isinstance(layer, _ConvTransposeNd) else (along_0, along_1)
    single = kernels.sum() if w.ndim > 2 else torch.zeros_like(outputs)
    return torch.stack([(w != 0).sum(), outputs, inputs, single])


def _total_counts(layer: Weighted) -> tuple[int, int, int, int]:
    w = layer.weight
    along_0, along_1 = w.shape[0], w.shape[1] * _conv_groups(layer)
    outputs, inputs = (along_1, along_0) if isinstance(layer, _ConvTransposeNd) else (along_0, along_1)
    return w.numel(), outputs, inputs, w.shape[0] * w.shape[1] if w.ndim > 2 else 0


def _conv_groups(layer: Weighted) -> int:
    return 1 if isinstance(layer, nn.Linear) else layer.groups
