"""How sparse a network is: one number, or a table by layer.

*Density* is the fraction of non-zeros; *sparsity* is 1 - density. Both count the weights of Linear and Conv layers;
biases and norm layers are not counted.

Book: Foundations, "A first sparse network".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bregtutorial.groups import reduced_dims
from bregtutorial.layers import weighted_layers
from bregtutorial.tables import format_table

_COUNTED = ("filters", "inputs", "kernels")


@dataclass(frozen=True)
class LayerSparsity:
    """Counts of one layer. ``kernels`` is ``(0, 0)`` for a layer without a kernel.

    Attributes:
        name: name of the module.
        shape: shape of its weight, ``(out, in, *kernel)``.
        weights: (non-zero, all) weights.
        filters: (active, all) outputs: rows of a matrix, filters of a convolution.
        inputs: (active, all) inputs: columns of a matrix, input channels of a convolution.
        kernels: (active, all) single kernels of a convolution.
    """

    name: str
    shape: tuple[int, ...]
    weights: tuple[int, int]
    filters: tuple[int, int]
    inputs: tuple[int, int]
    kernels: tuple[int, int]

    @property
    def density(self) -> float:
        """Fraction of the layer's weights that are not zero."""
        return self.weights[0] / self.weights[1]


@dataclass(frozen=True)
class SparsityReport:
    """The sparsity of a network, layer by layer; prints as a table."""

    rows: tuple[LayerSparsity, ...]

    @property
    def density(self) -> float:
        """Fraction of all counted weights that are not zero."""
        return sum(r.weights[0] for r in self.rows) / sum(r.weights[1] for r in self.rows)

    def __str__(self) -> str:
        def part(count: tuple[int, int]) -> str:
            return f"{count[0]:,}/{count[1]:,}" if count[1] else "-"

        body: list[tuple[object, ...]] = [
            (
                r.name,
                "x".join(map(str, r.shape)),
                part(r.weights),
                f"{r.density:.2%}",
                *(part(getattr(r, groups)) for groups in _COUNTED),
            )
            for r in self.rows
        ]
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
        >>> _ = layer.weight.data[0].zero_()
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

    A group is active if one of its weights is not zero. The counts leave the device together, in one transfer.

    Raises:
        ValueError: if the model has no such layer.

    Example:
        >>> layer = nn.Linear(4, 2)
        >>> _ = layer.weight.data[0].zero_()
        >>> print(sparsity_report(nn.Sequential(layer)))
        layer  shape  weights  density  filters/rows  inputs  kernels
        -----  -----  -------  -------  ------------  ------  -------
        0        2x4      4/8   50.00%           1/2     4/4        -
        all               4/8   50.00%

    References:
        Bungert et al. (2022), section 4: N_linear and N_conv.

    Book: Foundations, "A first sparse network"; Algorithms, "Group sparsity".
    """
    layers = [(name or "model", layer.weight) for name, layer in weighted_layers(model)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no Linear or Conv layer whose weights could be counted")
    active = [_active_counts(w) for _, w in layers]
    counts = torch.stack([c.to(active[0].device) for c in active]).tolist()
    rows = []
    for (name, w), found in zip(layers, counts, strict=True):
        totals = (w.numel(), w.shape[0], w.shape[1], w.shape[0] * w.shape[1] if w.ndim > 2 else 0)
        rows.append(LayerSparsity(name, tuple(w.shape), *zip(found, totals, strict=True)))
    return SparsityReport(tuple(rows))


def _active_counts(w: Tensor) -> Tensor:
    alive = w != 0
    counts = [alive.sum()]
    for groups in _COUNTED:
        has_groups = groups != "kernels" or w.ndim > 2
        counts.append(alive.sum(reduced_dims(groups, w.ndim)).count_nonzero() if has_groups else alive.new_zeros((), dtype=torch.int64))
    return torch.stack(counts)
