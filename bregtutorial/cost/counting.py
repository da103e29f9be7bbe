"""FLOPs, two a MAC: of a forward pass, of a layer, of a training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from bregtutorial.layers import all_layers
from bregtutorial.tables import format_table


@dataclass(frozen=True)
class LayerFlops:
    """FLOPs of one Linear or Conv layer in one forward pass.

    Attributes:
        name: name of the module.
        dense: all of them, zeros included. A layer that is called twice counts twice.
        density: fraction of its weights that are not zero.

    Book: Frontiers, "From zeros to speed".
    """

    name: str
    dense: int
    density: float

    @property
    def sparse(self) -> float:
        """FLOPs with non-zero weights. Each weight serves as many places as any other, so this is density x dense."""
        return self.density * self.dense


@dataclass(frozen=True, repr=False)
class Flops:
    """FLOPs of one forward pass, layer by layer; shows as a table.

    Attributes:
        layers: the Linear and Conv layers, in the order of their names in the model.
        rest: FLOPs outside of them, for example of attention.

    Book: Frontiers, "From zeros to speed".
    """

    layers: tuple[LayerFlops, ...]
    rest: int = 0

    @property
    def dense(self) -> int:
        """All FLOPs, zeros included: what is really computed."""
        return self.rest + sum(layer.dense for layer in self.layers)

    @property
    def sparse(self) -> float:
        """FLOPs that are left if every zero weight were skipped for free: a bound, not a measurement."""
        return self.rest + sum(layer.sparse for layer in self.layers)

    def __repr__(self) -> str:
        rows = [(f.name, f"{f.dense:,}", f"{f.density:.2%}", f"{f.sparse:,.0f}") for f in self.layers]
        if self.rest:
            rows.append(("elsewhere", f"{self.rest:,}", "", f"{self.rest:,}"))
        share = self.sparse / self.dense if self.dense else 0.0
        rows.append(("all", f"{self.dense:,}", f"{share:.2%}", f"{self.sparse:,.0f}"))
        return format_table(["layer", "FLOPs", "density", "without zeros"], rows)


def flops(model: nn.Module, x: Tensor) -> Flops:
    """FLOPs of ``model(x)``: counted by torch on tensors without data, so that a large network costs nothing.

    Args:
        model: is not changed, and not run on real data.
        x: input; only its shape and type matter.

    Raises:
        ValueError: for a lazy layer whose weight has no shape yet.

    Example:
        >>> layer = nn.Conv2d(3, 8, 5, padding=2)
        >>> _ = layer.weight.detach()[:6].zero_()
        >>> flops(nn.Sequential(layer), torch.zeros(1, 3, 10, 10))
        layer    FLOPs  density  without zeros
        -----  -------  -------  -------------
        0      120,000   25.00%         30,000
        all    120,000   25.00%         30,000

    Book: Frontiers, "From zeros to speed".
    """
    layers = dict(all_layers(model))
    dense = dict.fromkeys(layers, 0)
    from torch.utils.flop_counter import FlopCounterMode  # here, because it imports triton

    state = {key: value.detach().to("meta") for key, value in [*model.named_parameters(), *model.named_buffers()]}
    training = [module for module in model.modules() if module.training]
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        hooks = [hook for name, layer in layers.items() for hook in _watch(layer, name, dense, counter.get_total_flops)]
        try:
            functional_call(model.eval(), state, (x.to("meta"),))
        finally:
            for hook in hooks:
                hook.remove()
            for module in training:
                module.training = True
    found = tuple(LayerFlops(name or "model", dense[name], _density(layer.weight)) for name, layer in layers.items())
    return Flops(found, counter.get_total_flops() - sum(dense.values()))


def _watch(layer: nn.Module, name: str, dense: dict[str, int], total: Callable[[], int]) -> list[Any]:
    """Hooks that add what is counted between the layer's start and its end."""

    def add(sign: int, *_: Any) -> None:
        dense[name] += sign * total()

    return [layer.register_forward_pre_hook(partial(add, -1)), layer.register_forward_hook(partial(add, 1))]


def _density(weight: Tensor) -> float:
    return weight.count_nonzero().item() / max(weight.numel(), 1)


def training_flops(dense: float, sparse: float | None = None, *, coarse_steps: int = 0) -> float:
    r"""FLOPs of one training step, on average over a cycle of one dense step and ``coarse_steps`` coarse ones.

    With :math:`f_D` (``dense``) and :math:`f_S` (``sparse``) for a forward pass and :math:`m` coarse steps:

    .. math:: \frac{(2f_S+f_D)+m\,3f_S}{m+1}

    A training step costs three passes: forward, gradients of the activations, gradients of the weights. With sparse
    weights the first two are sparse, but a zero weight still has a gradient, and LinBreg needs it: the third is dense.
    A coarse step leaves zero weights out altogether. This counts arithmetic; whether zeros save time is another
    question.

    Args:
        dense: FLOPs of a forward pass of the dense network; 1 gives costs in units of it.
        sparse: FLOPs of a forward pass with non-zero weights only; default: ``dense``, which is SGD's step.
        coarse_steps: :math:`m\ge0`. 0 is LinBreg, AdaBreg and ProxSGD without coarse steps.

    Raises:
        ValueError: unless ``0 <= sparse <= dense`` and ``coarse_steps >= 0``.

    Example:
        >>> sgd = training_flops(1.0)
        >>> round(training_flops(1.0, 0.07) / sgd, 3), round(training_flops(1.0, 0.057, coarse_steps=99) / sgd, 3)
        (0.38, 0.06)

    References:
        Lunk, Scott, Bungert (2026), arXiv 2602.03535. Evci et al. (2020), "Rigging the
        Lottery", for a formula of the same form.

    Book: Frontiers, "Multilevel training".
    """
    sparse = dense if sparse is None else sparse
    if not 0 <= sparse <= dense:
        raise ValueError(f"sparse must be between 0 and dense={dense}, got {sparse}")
    if coarse_steps < 0:
        raise ValueError(f"coarse_steps must be >= 0, got {coarse_steps}")
    return (2 * sparse + dense + coarse_steps * 3 * sparse) / (coarse_steps + 1)
