r"""Sparse initialisation that keeps the variance of a dense one.

A dense initialisation draws :math:`\tilde W` with the variance :math:`\alpha` that lets signals pass through depth. If
a mask keeps each weight with probability :math:`r`, the variance falls to :math:`r\alpha`. So

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

from bregtutorial.groups import canonical, group_shape
from bregtutorial.layers import Weighted, all_layers, fan_in, partition, weighted_layers
from bregtutorial.tables import format_table


@dataclass(frozen=True)
class LayerInit:
    """What :func:`sparse_init_` did to one weight.

    Attributes:
        name: name of the module.
        shape: shape of its weight.
        groups: what was masked: ``"weights"`` or the name of the groups.
        n_groups: how many of them there are.
        n_active: how many survived.

    Book: Algorithms, "Sparse initialisation".
    """

    name: str
    shape: tuple[int, ...]
    groups: str
    n_groups: int
    n_active: int


@dataclass(frozen=True, repr=False)
class InitReport:
    """What :func:`sparse_init_` did, layer by layer; shows as a table.

    Attributes:
        density: the density that was asked for.
        rows: one entry a weight.

    Example:
        >>> sparse_init_(nn.Linear(4, 100), density=0.1, generator=torch.Generator().manual_seed(1))
        asked for density 10.00%
        layer  shape   masked  active   of  drawn
        -----  -----  -------  ------  ---  -----
        model  100x4  weights      32  400  8.00%

    Book: Algorithms, "Sparse initialisation".
    """

    density: float
    rows: tuple[LayerInit, ...]

    def __repr__(self) -> str:
        body = [
            (
                r.name,
                "x".join(map(str, r.shape)),
                r.groups,
                r.n_active,
                r.n_groups,
                f"{r.n_active / max(r.n_groups, 1):.2%}",
            )
            for r in self.rows
        ]
        table = format_table(["layer", "shape", "masked", "active", "of", "drawn"], body)
        return f"asked for density {self.density:.2%}\n{table}"


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
    :math:`(0, 1/\sqrt{n_{\mathrm{in}}}]`: with zero biases all neurons without an input would be the same neuron.
    Norm layers and all other modules stay as they are. Call it once (a second call masks what the first one left), and
    before the optimizer is built, before parametrizations such as ``weight_norm``, and before any wrapper for
    distributed training.

    Args:
        target: a module, whose Linear and Conv layers are masked, or one weight tensor.
        density: :math:`r` in (0, 1], the probability of a weight to survive. 0.01 is the paper's.
        groups: ``None`` masks single weights; a name of :mod:`bregtutorial.groups` masks whole groups. A weight with
            less than three dims has no kernels and is masked weight by weight then.
        generator: source of every random number, default: torch's global one. It is asked for one number, which seeds
            a stream of its own on the CPU: the same network on every device, and a mask that does not depend on the
            weights even if they came from a generator with the same seed.

    Returns:
        A report that shows as a table: what was asked, what was drawn, by layer.

    Raises:
        ValueError: if ``density`` is outside (0, 1], ``groups`` is unknown or no slices of a weight, or there is
            nothing that can be masked.
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
    if isinstance(target, Tensor):
        if not target.is_floating_point():
            raise TypeError(f"sparse_init_ needs a floating-point tensor, got {target.dtype}")
        return InitReport(density, (_mask_("tensor", target, density, groups, _own_stream(generator)),))
    if not isinstance(target, nn.Module):
        raise TypeError(f"sparse_init_ needs a module or a tensor, got {type(target).__name__}")
    plan = _plan(target, groups)
    if not plan:
        raise ValueError(f"{type(target).__name__} has no Linear or Conv layer to initialise")
    rows, stream = [], _own_stream(generator)
    for name, layer, slices, first in plan:
        if first:
            rows.append(_mask_(name or "model", layer.weight, density, slices, stream))
        if layer.bias is not None:
            _positive_bias_(layer, stream)
    return InitReport(density, tuple(rows))


def _plan(model: nn.Module, groups: str | None) -> list[tuple[str, Weighted, str | None, bool]]:
    """Name, layer, groups of its weight tensor, and whether no layer before has this weight; checks them all."""
    first = {name for name, _ in weighted_layers(model)}
    plan = []
    for name, layer in all_layers(model):
        for kind, p in (("weight", layer.weight), ("bias", layer.bias)):
            if p is not None and not isinstance(p, nn.Parameter):
                raise ValueError(
                    f"the {kind} of layer {name or 'model'!r} is computed from other parameters (a parametrization, "
                    "weight_norm, prune): writing to it would be lost. Call sparse_init_ before that is set up"
                )
        plan.append((name, layer, None if groups is None else partition(layer, groups), name in first))
    return plan


def _own_stream(generator: torch.Generator | None) -> torch.Generator:
    # Weights and mask from two generators with one seed would share their random numbers: the mask would then keep
    # the small normals, and a variance of 0.4 % of the right one was seen.
    device = generator.device if generator is not None else "cpu"
    seed = torch.randint(2**62, (), generator=generator, device=device)
    return torch.Generator().manual_seed(int(seed))


def _mask_(name: str, w: Tensor, density: float, groups: str | None, stream: torch.Generator) -> LayerInit:
    if groups is not None and canonical(groups) == "kernels" and w.ndim < 3:
        groups = None
    shape = tuple(w.shape) if groups is None else group_shape(groups, w.shape)
    mask = _uniform(shape, stream) < density
    w.copy_(torch.where(mask.to(w.device), w / density**0.5, 0.0))  # where, not a product: no -0
    return LayerInit(name, tuple(w.shape), groups or "weights", mask.numel(), int(mask.sum()))


def _positive_bias_(layer: Weighted, stream: torch.Generator) -> None:
    assert layer.bias is not None  # for the type checker: the caller looked
    layer.bias.copy_((1 - _uniform(layer.bias.shape, stream)) / fan_in(layer) ** 0.5)  # in (0, 1]: never 0


def _uniform(shape: tuple[int, ...] | torch.Size, stream: torch.Generator) -> Tensor:
    # float32 by name: another default dtype would draw other numbers from the same seed
    return torch.rand(shape, generator=stream, dtype=torch.float32, device="cpu")
