"""Small runs that the tests of the training loop share: seconds of training that still exercise every part."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

import bregtutorial as bt
from bregtutorial.data import ImageSet, Loader

N, BATCH = 22, 4  # six batches, the last one short


def images(n: int = N, seed: int = 0) -> ImageSet:
    """Random images of 1x4x4 with three labels."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return ImageSet(pixels, torch.randint(0, 3, (n,), generator=generator), ("a", "b", "c"), "noise")


def batches(n: int = N, **options: Any) -> Loader:
    return Loader(images(n), **{"batch_size": BATCH, "seed": 3, **options})


def network(seed: int = 0, dropout: float = 0.2) -> nn.Sequential:
    """Two layers with dropout, so that random numbers matter, and batch normalisation, so that modes do."""
    generator = torch.Generator().manual_seed(seed)
    model = bt.models.mlp((16, 8, 3), generator=generator)
    bt.sparse_init_(model, density=0.5, generator=generator)
    return nn.Sequential(model[:2], nn.BatchNorm1d(8), nn.Dropout(dropout), model[2:])


def linbreg(model: nn.Module, **options: Any) -> Any:
    return bt.LinBreg(bt.parameter_groups(model, lam=0.05), **{"lr": 0.1, **options})


OPTIMIZERS: dict[str, Callable[[nn.Module], Any]] = {
    "LinBreg": linbreg,
    "momentum": lambda model: linbreg(model, momentum=0.9),
    "AdaBreg": lambda model: bt.AdaBreg(bt.parameter_groups(model, lam=0.05), lr=0.01),
    "ProxSGD": lambda model: bt.ProxSGD(bt.parameter_groups(model, lam=0.01), lr=0.1, momentum=0.9),
    "SGD": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "AdamW": lambda model: torch.optim.AdamW(model.parameters(), lr=0.01),
}
SCHEDULES: dict[str, Callable[[Any], list[Any]]] = {
    "none": lambda opt: [],
    "one cycle": lambda opt: [lr_scheduler.OneCycleLR(opt, max_lr=0.2, total_steps=40)],
    "plateau": lambda opt: [lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=0, threshold=0.5)],
    "two": lambda opt: [lr_scheduler.MultiStepLR(opt, [3, 9], 0.5), lr_scheduler.ReduceLROnPlateau(opt, patience=0)],
}


class Hook:
    """A schedule without numbers: it calls a function after every step of the optimizer."""

    def __init__(self, call: Callable[[int], Any] = lambda step: None) -> None:
        self.steps, self.call = 0, call

    def step(self) -> None:
        self.steps += 1
        self.call(self.steps)

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


def state_of(model: nn.Module, optimizer: Any) -> dict[str, Any]:
    """Weights, buffers and all of the optimizer, detached from what happens next."""
    buffer = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return {name: torch.clone(x) if isinstance(x, torch.Tensor) else x for name, x in leaves(buffer)}


def leaves(thing: Any, name: str = "") -> list[tuple[str, Any]]:
    """The tensors and numbers in nested dicts and lists, each with its path."""
    if isinstance(thing, dict | list | tuple):
        pairs = thing.items() if isinstance(thing, dict) else enumerate(thing)
        return [leaf for key, value in pairs for leaf in leaves(value, f"{name}/{key}")]
    return [(name, thing)]


def assert_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    """To the last bit."""
    assert a.keys() == b.keys()
    different = [k for k, x in a.items() if not (torch.equal(x, b[k]) if isinstance(x, torch.Tensor) else x == b[k])]
    assert not different


def without_time(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    assert all(row["seconds"] > 0 and math.isfinite(row["seconds"]) for row in rows)
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
