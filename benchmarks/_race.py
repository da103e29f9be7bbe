"""Contestants that train in one process, an epoch of each in turns, on the same batches.

A time is that of a whole epoch, data included, averaged over the run; dense and coarse steps, going down and up are in
it.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import _harness
from torch import Tensor, nn

import bregtutorial as bt
from bregtutorial.multilevel.coarse import Coarse

COLUMNS = {"contestant": "", "epochs": "", "test loss": ".5f", "accuracy": ".2%", "density": ".1%", "s/epoch": ".2f"}
COLUMNS |= {"dense / this": ".1f", "in all": ".1f"}
ROWS = bt.GroupL2("rows")
ACTIVE = (128, 128, 128, 128, 256)  # rows of the autoencoder that are active when its race starts
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Contestant:
    """A network in training."""

    name: str
    model: nn.Module
    optimizer: Any
    train: Any
    epochs: int
    seconds: list[float] = field(default_factory=list)
    waited: float = 0.0  # for batches, in seconds

    def epoch(self, loss: Loss) -> None:
        """Train for an epoch, and take the time; the step size follows a cosine over all epochs."""
        total, done = self.epochs * len(self.train), len(self.seconds) * len(self.train)
        first = [group.setdefault("initial_lr", group["lr"]) for group in self.optimizer.param_groups]
        start = time.perf_counter()
        for step, (x, y) in enumerate(self._batches(), start=done + 1):
            value = loss(getattr(self.optimizer, "network", self.model)(x), y)
            self.optimizer.zero_grad()
            value.backward()
            self.optimizer.step()
            for group, lr in zip(self.optimizer.param_groups, first, strict=True):
                group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / total))
        self.seconds.append(time.perf_counter() - start)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        batches, end = iter(self.train), (None, None)
        while True:
            start = time.perf_counter()
            x, y = next(batches, end)
            self.waited += time.perf_counter() - start
            if x is None:
                return
            yield x, y


def race(contestants: Sequence[Contestant], loss: Loss, test: Any) -> list[_harness.Row]:
    """Train them in turns; ratios are to the first."""
    for epoch in range(max(c.epochs for c in contestants)):
        for contestant in contestants if epoch % 2 else reversed(contestants):
            if epoch < contestant.epochs:
                contestant.epoch(loss)
    rows, first = [], contestants[0].seconds
    for c in contestants:
        found = bt.evaluate(c.model, test, loss=loss)
        mean = sum(c.seconds) / c.epochs
        rows.append(
            {
                "contestant": c.name,
                "epochs": c.epochs,
                "test loss": found["test_loss"],
                "accuracy": found.get("test_accuracy"),
                "density": bt.density(c.model),
                "s/epoch": mean,
                "dense / this": sum(first) / len(first) / mean,
                "in all": sum(first) / sum(c.seconds),
                "seconds": c.seconds,
                "rows": active_rows(c.model),
            }
        )
    return rows


def layers_of(model: nn.Module) -> list[Any]:
    return [layer for layer in model if hasattr(layer, "weight")]


def active_rows(model: nn.Module) -> list[int]:
    return [int((layer.weight != 0).flatten(1).any(1).sum()) for layer in layers_of(model)]


class Watch:
    """Adds up the time that going down and up takes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        for name in ("gather", "scatter"):
            setattr(Coarse, name, self._timed(getattr(Coarse, name)))

    def _timed(self, method: Callable[..., None]) -> Callable[..., None]:
        def timed(*args: Any) -> None:
            start = time.perf_counter()
            method(*args)
            self.seconds += time.perf_counter() - start

        return timed


def adabreg(model: nn.Module, lam: float, lr: float, coarse_steps: int, **options: Any) -> bt.Multilevel:
    return bt.Multilevel(model, bt.AdaBreg(bt.parameter_groups(model, lam, ROWS, **options), lr=lr), coarse_steps)
