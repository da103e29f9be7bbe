"""A model and its optimizer, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from bregtutorial.layers import NORMS
from bregtutorial.optim._base import RegularizedOptimizer
from bregtutorial.optim._dual import DualOptimizer
from bregtutorial.regularizers import Zero


@dataclass(frozen=True, eq=False)
class Member:
    """A parameter that both model and optimizer hold; ``key`` is how ``set_lam`` calls its group."""

    name: str
    w: Tensor
    group: dict[str, Any]
    key: int | str
    state: dict[str, Any]
    plain: bool  # a bias, or owned by a norm layer: never to be penalised

    @property
    def label(self) -> str:
        """The group in words."""
        return self.key if isinstance(self.key, str) else f"group {self.key}"

    @property
    def penalised(self) -> bool:
        """Whether anything can become zero."""
        return float(self.group["lam"]) > 0 and not isinstance(self.group["reg"], Zero)

    def prox(self, factor: float = 1.0) -> Tensor:
        """The weights that its dual has under ``factor * lam``."""
        delta, lam = self.group["delta"], self.group["lam"] * factor
        w: Tensor = self.group["reg"].prox(delta * self.state["dual"], delta * lam)
        return w


class Run:
    """What model and optimizer share, what the optimizer lacks, and how far training has come."""

    def __init__(self, model: nn.Module, optimizer: RegularizedOptimizer, progress: float) -> None:
        self.model, self.progress = model, progress
        names = {id(p): name for name, p in model.named_parameters()}
        plain = {id(p) for m in model.modules() for name, p in m.named_parameters(recurse=False) if _is_plain(m, name)}
        self.members = [
            Member(names[id(p)], p, group, group.get("name", i), optimizer.state.get(p, {}), id(p) in plain)
            for i, group in enumerate(optimizer.param_groups)
            for p in group["params"]
            if id(p) in names
        ]
        held = {id(m.w) for m in self.members}
        self.left_out = [(name, p) for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]
        self.started = [m for m in self.members if "dual" in m.state]
        waiting = [m for m in self.members if m.w.requires_grad and "dual" not in m.state]
        self.never_stepped = waiting if self.started and isinstance(optimizer, DualOptimizer) else []

    def penalised_groups(self) -> Iterator[list[Member]]:
        """The members of every group that has a penalty and has begun to train."""
        for key in dict.fromkeys(m.key for m in self.started if m.penalised):
            yield [m for m in self.started if m.key == key]


def _is_plain(module: nn.Module, name: str) -> bool:
    return isinstance(module, NORMS) or name.startswith("bias") or name.endswith("bias")
