r"""Sparse initialisation that keeps the variance of a dense one.

A dense initialisation draws :math:`\tilde W` with the variance :math:`\alpha` that lets signals pass through depth. If a
mask keeps each weight with probability :math:`r`, the variance falls to :math:`r\alpha`. So

.. math:: W = \tfrac{1}{\sqrt r}\,M\odot\tilde W,\qquad M_{ij}\sim\mathrm{Bernoulli}(r)\ \text{independent},

has the dense variance again. Whole groups share one Bernoulli variable.

References:
    Bungert, Roith, Tenbrinck, Burger (2022), JMLR 23(192), section 4.1, Eqs. 4.3-4.5.

Book: Algorithms, "Sparse initialisation".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bregtutorial.groups import group_shape, reduced_dims
from bregtutorial.layers import Weighted, fan_in, weighted_layers
from bregtutorial.tables import format_table


@dataclass(frozen=True)
class LayerInit:
    """What :func:`sparse_init_` did to one weight."""

    name: str
    shape: tuple[int, ...]
    groups: str
    n_groups: int
    n_active: int


@dataclass(frozen=True)
class InitReport:
    """What :func:`sparse_init_` did, layer by layer; prints as a table."""

    density: float
    rows: tuple[LayerInit, ...]

    def __str__(self) -> str:
        header = ["layer", "shape", "masked", "active", "of", "drawn"]
        return f"asked for density {self.density:.2%}\n" + format_table(
            header,
            [
                (r.name, "x".join(map(str, r.shape)), r.groups, r.n_active, r.n_groups, f"{r.n_active / r.n_groups:.2%}")
                for r in self.rows
            ],
        )


@torch.no_grad()
def sparse_init_(
    target: nn.Module | Tensor,
    density: float = 0.01,
    *,
    groups: str | None = None,
    generator: torch.Generator | None = None,
) -> InitReport:
    r"""Make the present (dense) weights sparse, in place, and keep their variance.

    Every weight, or every group of weights, survives with probability ``density`` and is multiplied by
    ``1 / sqrt(density)``. The biases of the same layers become dense and positive, uniform on
    :math:`[0, 1/\sqrt{n_{\mathrm{in}}}]`: with zero biases all neurons without an input would be the same neuron.
    Norm layers and all other modules stay as they are. Call it before the optimizer is built and before any wrapper
    for distributed training.

    Args:
        target: a module, whose Linear and Conv layers are masked, or one weight tensor.
        density: :math:`r` in (0, 1], the probability of a weight to survive. 0.01 is the paper's.
        groups: ``None`` masks single weights; a name of :mod:`bregtutorial.groups` masks whole groups. Layers without
            such groups (a Linear layer has no kernels) are masked weight by weight.
        generator: source of every random number. Drawn on its device (default: the CPU), then moved, so that one seed
            gives the same network on every device.

    Returns:
        A report that prints as a table: what was asked, what was drawn, by layer.

    Raises:
        ValueError: if ``density`` is outside (0, 1], ``groups`` is unknown, or there is nothing to mask.
        TypeError: if ``target`` is neither a module nor a floating-point tensor.

    Example:
        >>> model = nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 10))
        >>> report = sparse_init_(model, density=0.05, generator=torch.Generator().manual_seed(0))
        >>> [row.name for row in report.rows], bool((model[0].bias > 0).all())
        (['0', '2'], True)

    References:
        Bungert et al. (2022), section 4.1, Eq. 4.3 (entries) and Eqs. 4.4-4.5 (groups).

    Book: Algorithms, "Sparse initialisation".
    """
    if not 0 < density <= 1:
        raise ValueError(f"density is the fraction of weights that survive and must be in (0, 1], got {density}")
    if groups is not None:
        reduced_dims(groups, 4)  # an unknown name fails here, also where no layer has such groups
    if isinstance(target, Tensor):
        if not target.is_floating_point():
            raise TypeError(f"sparse_init_ needs a floating-point tensor, got {target.dtype}")
        return InitReport(density, (_mask_("tensor", target, density, groups, generator),))
    if not isinstance(target, nn.Module):
        raise TypeError(f"sparse_init_ needs a module or a tensor, got {type(target).__name__}")
    rows = []
    for name, layer in weighted_layers(target):
        rows.append(_mask_(name or "model", layer.weight, density, groups, generator))
        if layer.bias is not None:
            _positive_bias_(layer, generator)
    if not rows:
        raise ValueError(f"{type(target).__name__} has no Linear or Conv layer to initialise")
    return InitReport(density, tuple(rows))


def _mask_(name: str, w: Tensor, density: float, groups: str | None, generator: torch.Generator | None) -> LayerInit:
    whole = groups is not None and (w.ndim > 2 or (w.ndim == 2 and groups != "kernels"))
    shape = group_shape(str(groups), w.shape) if whole else tuple(w.shape)
    mask = _uniform(shape, generator) < density
    w.mul_(mask.to(w.device) / density**0.5)
    return LayerInit(name, tuple(w.shape), str(groups) if whole else "weights", mask.numel(), int(mask.sum()))


def _positive_bias_(layer: Weighted, generator: torch.Generator | None) -> None:
    assert layer.bias is not None  # for the type checker: the caller looked
    layer.bias.copy_(_uniform(layer.bias.shape, generator) / fan_in(layer) ** 0.5)


def _uniform(shape: tuple[int, ...] | torch.Size, generator: torch.Generator | None) -> Tensor:
    device = generator.device if generator is not None else "cpu"
    return torch.rand(shape, generator=generator, device=device)
