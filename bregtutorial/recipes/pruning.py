"""Magnitude pruning with a ramp: the baseline that removes weights where Bregman iterations add them.

References:
    Zhu and Gupta (2017), "To prune, or not to prune: exploring the efficacy of pruning for model compression", Eq. 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune

from bregtutorial.groups import group_norms, group_size
from bregtutorial.layers import weighted_layers

EVERY = 20  # steps between two cuts


class PruningRamp:
    r"""Cut the smallest weights until ``density`` is left, fast at first and slower as they become dear.

    At the share :math:`t` of the way from ``start`` to ``stop`` the density is :math:`d+(1-d)(1-t)^3`. With
    ``groups="kernels"`` whole kernels of convolutions are cut, by their norm, and single weights of the other layers.
    Layers of either kind compete among each other. It must be built before the optimizer: :mod:`torch.nn.utils.prune`
    replaces the parameter ``weight`` by ``weight_orig`` and a mask.

    Args:
        model: its Linear and Conv layers are pruned.
        density: what is left.
        start, stop: numbers of steps.
        groups: ``"kernels"`` or ``None``.
    """

    def __init__(self, model: nn.Module, density: float, start: int, stop: int, groups: str | None = None) -> None:
        self.density, self.start, self.stop, self.groups, self.count = density, start, stop, groups, 0
        layers = [layer for _, layer in weighted_layers(model)]
        grouped = [layer for layer in layers if groups and layer.weight.ndim > 2]
        self.pools = [pool for pool in (grouped, [layer for layer in layers if layer not in grouped]) if pool]
        for layer in layers:
            prune.identity(layer, "weight")  # type: ignore[no-untyped-call]

    def step(self) -> None:
        """Count an optimizer step, and cut if it is time."""
        self.count += 1
        if self.start <= self.count <= self.stop and (
            (self.count - self.start) % EVERY == 0 or self.count == self.stop
        ):
            t = (self.count - self.start) / max(self.stop - self.start, 1)
            for pool in self.pools:
                self._cut(pool, self.density + (1 - self.density) * (1 - t) ** 3)

    @torch.no_grad()
    def _cut(self, pool: list[Any], density: float) -> None:
        weights = [layer.weight_orig * layer.weight_mask for layer in pool]  # what was cut has size 0: it stays cut
        grouped = self.groups if weights[0].ndim > 2 else None
        sizes = [w.abs() if grouped is None else group_norms(w, grouped) for w in weights]
        # torch's own global_unstructured flattens by view, which weights in channels_last refuse
        every = torch.cat([size.flatten() for size in sizes])
        smallest = every.topk(max(round(density * len(every)), 1)).values[-1]
        for layer, size in zip(pool, sizes, strict=True):
            mask = (size >= smallest).expand_as(layer.weight_mask)
            prune.custom_from_mask(layer, "weight", mask)  # type: ignore[no-untyped-call]
            _forget_old_masks(layer)

    def state_dict(self) -> dict[str, int]:
        """The number of steps; the masks are buffers of the model."""
        return {"count": self.count}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where the state was saved."""
        self.count = state["count"]


def _forget_old_masks(layer: nn.Module) -> None:
    """The last mask holds all earlier cuts; torch keeps a mask a cut, a thousand networks in a long training."""
    for hook in layer._forward_pre_hooks.values():
        if isinstance(hook, prune.PruningContainer):
            hook._pruning_methods = hook._pruning_methods[-1:]


def remove_masks(model: nn.Module) -> None:
    """Make the pruned weights ordinary parameters again, with exact zeros."""
    for _, layer in weighted_layers(model):
        if prune.is_pruned(layer):
            prune.remove(layer, "weight")  # type: ignore[no-untyped-call]


@torch.no_grad()
def cut_small_(model: nn.Module, threshold: float, groups: Mapping[str, str | None]) -> None:
    """Set to zero what is smaller than ``threshold``, in place: weights, or groups by root mean square.

    Args:
        model: its Linear and Conv layers are cut.
        threshold: smallest magnitude to keep.
        groups: kind of layer (``"conv"``, ``"linear"``) -> name of its groups or ``None``.
    """
    for _, layer in weighted_layers(model):
        w = layer.weight
        chosen = groups.get("linear" if isinstance(layer, nn.Linear) else "conv")
        size = w.abs() if chosen is None else group_norms(w, chosen) / group_size(chosen, w.shape) ** 0.5
        w.copy_(torch.where(size < threshold, 0.0, w))
