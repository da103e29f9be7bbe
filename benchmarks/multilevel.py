"""Multilevel training against dense training: whole epochs, the final result, single steps, and when it does not pay.

    python benchmarks/multilevel.py --experiment steps --threads 2
    python benchmarks/multilevel.py --experiment autoencoder --epochs 6 --coarse-epochs 12 --lam 0.15 --lr 0.005
    python benchmarks/multilevel.py --experiment convnet --epochs 4 --lam 0.04 --lr 0.004 --density 0.35 --threads 2

The last two need MNIST in BREGTUTORIAL_DATA.

The contestants of an experiment train in one process, an epoch of each in turns, on the same batches. A time is that of
a whole epoch, data included, averaged over the run; dense and coarse steps, going down and up are in it.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import _harness
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import bregtutorial as bt
from bregtutorial.cost import timings
from bregtutorial.data import Corrupted, Loader
from bregtutorial.multilevel.coarse import Coarse

ROWS = bt.GroupL2("rows")
EPOCHS = {"contestant": "", "epochs": "", "test loss": ".5f", "accuracy": ".2%", "density": ".1%", "s/epoch": ".2f"}
EPOCHS |= {"dense / this": ".1f", "in all": ".1f"}
STEPS = {
    "network": "",
    "threads": "d",
    "active rows": ".0%",
    "multiplications": ".1%",
    "ms": ".2f",
    "dense / coarse": ".2f",
}
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

    def epoch(self, loss: Loss) -> None:
        """Train for an epoch, and take the time; the step size follows a cosine over all epochs."""
        total, done = self.epochs * len(self.train), len(self.seconds) * len(self.train)
        first = [group.setdefault("initial_lr", group["lr"]) for group in self.optimizer.param_groups]
        start = time.perf_counter()
        for step, (x, y) in enumerate(self.train, start=done + 1):
            value = loss(getattr(self.optimizer, "network", self.model)(x), y)
            self.optimizer.zero_grad()
            value.backward()
            self.optimizer.step()
            for group, lr in zip(self.optimizer.param_groups, first, strict=True):
                group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / total))
        self.seconds.append(time.perf_counter() - start)


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


@torch.no_grad()
def mirrored_(model: nn.Sequential, active: Sequence[int], generator: torch.Generator) -> None:
    """``active`` rows of the hidden layers in pairs of opposite sign, so that ReLU pairs pass on what comes in.

    A deep narrow network with independent weights lets little through; here the layers start as isometries. Dead rows
    keep their positive biases, and small weights read them, so that they have a gradient and can wake.
    """
    layers = layers_of(model)
    last = len(layers) - 1
    inputs = torch.arange(layers[0].in_features)
    for i, layer in enumerate(layers):
        n = layer.out_features
        outputs = torch.arange(n) if i == last else torch.randperm(n, generator=generator)[: active[i]]
        half = torch.empty(n if i == last else len(outputs) // 2, len(inputs) // (1 if i == 0 else 2))
        nn.init.orthogonal_(half, generator=generator)
        half = half if i == 0 else torch.cat([half, -half], 1)
        half = half if i == last else torch.cat([half, -half], 0)
        layer.weight.normal_(0.0, 0.5 * (2 / layer.in_features) ** 0.5, generator=generator)
        layer.weight[outputs[:, None], inputs] = half
        dead = torch.ones(n, dtype=torch.bool)
        dead[outputs] = False
        layer.weight[dead] = 0
        layer.bias[outputs] = 0
        inputs = outputs


def adabreg(model: nn.Module, lam: float, lr: float, coarse_steps: int, **options: Any) -> bt.Multilevel:
    return bt.Multilevel(model, bt.AdaBreg(bt.parameter_groups(model, lam, ROWS, **options), lr=lr), coarse_steps)


def autoencoder(options: Any) -> None:
    def batches() -> Corrupted:
        return Corrupted(
            Loader(bt.load_dataset("mnist"), 128, seed=options.seed, normalise=False, drop_last=True), noise=0.2
        )

    test = Loader(bt.load_dataset("mnist", "test"), 1000, shuffle=False, normalise=False)

    def contestant(name: str, active: list[int] | None, epochs: int, make: Callable[[nn.Module], Any]) -> Contestant:
        generator = torch.Generator().manual_seed(options.seed)
        model = bt.models.autoencoder(generator=generator)
        if active is not None:
            mirrored_(model, active, generator)
        return Contestant(name, model, make(model), batches(), epochs)

    def adam(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    contestants = [
        contestant("dense, Adam", None, options.epochs, adam),
        contestant(
            f"Multilevel AdaBreg, {options.coarse_steps} coarse steps",
            [options.active] * 4 + [options.active_last],
            options.coarse_epochs,
            lambda model: adabreg(model, options.lam, options.lr, options.coarse_steps),
        ),
        contestant("dense, Adam, mirrored start", [784] * 5, options.epochs, adam),
    ][: options.contestants]
    watch = Watch()
    rows = race(contestants, F.mse_loss, Corrupted(test, noise=0.2, fresh=False))
    share = watch.seconds / sum(contestants[1].seconds)
    _harness.record("multilevel_autoencoder", {"main": (EPOCHS, rows)}, settings=vars(options), down_and_up=share)


def convnet(options: Any) -> None:
    test = Loader(bt.load_dataset("mnist", "test"), 1000, shuffle=False)

    def contestant(name: str, density: float | None, make: Callable[[nn.Module], Any]) -> Contestant:
        generator = torch.Generator().manual_seed(options.seed)
        model = bt.models.convnet(generator=generator)
        if density is not None:
            for layer in layers_of(model)[:-1]:
                bt.sparse_init_(layer, density, groups="filters", generator=generator)
        batches = Loader(bt.load_dataset("mnist"), 128, seed=options.seed, drop_last=True)
        return Contestant(name, model, make(model), batches, options.epochs)

    contestants = [
        contestant("dense, Adam", None, lambda model: torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)),
        contestant(
            f"Multilevel AdaBreg, {options.coarse_steps} coarse steps",
            options.density,
            lambda m: adabreg(m, options.lam, options.lr, options.coarse_steps, kinds={"9.weight": "other"}),
        ),
    ]
    watch = Watch()
    rows = race(contestants, F.cross_entropy, test)
    share = watch.seconds / sum(contestants[1].seconds)
    _harness.record("multilevel_convnet", {"main": (EPOCHS, rows)}, settings=vars(options), down_and_up=share)


def step_of(model: nn.Module, optimizer: Any, loss: Loss, x: Tensor, y: Tensor) -> Callable[[], None]:
    def step() -> None:
        value = loss(getattr(optimizer, "network", model)(x), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return step


def coarse_step(build: Callable[[], Any], share: float, loss: Loss, x: Tensor, y: Tensor) -> tuple[Any, bt.Multilevel]:
    """A step that stays on the coarse level, with so many rows of every hidden layer active."""
    model = build()
    with torch.no_grad():
        for layer in layers_of(model)[:-1]:
            layer.weight[torch.randperm(len(layer.weight))[round(share * len(layer.weight)) :]] = 0
    groups = bt.parameter_groups(model, 1.0, ROWS)
    ml = bt.Multilevel(model, bt.AdaBreg(groups, lr=1e-6), None, break_even=math.inf)
    step = step_of(model, ml, loss, x, y)
    step()
    return step, ml


def steps(options: Any) -> None:
    image, label = torch.rand(128, 1, 28, 28), torch.randint(10, (128,))
    rows = []
    for name, build, loss, y in (
        ("autoencoder", bt.models.autoencoder, F.mse_loss, image),
        ("convnet", bt.models.convnet, F.cross_entropy, label),
        ("mlp", bt.models.mlp, F.cross_entropy, label),
    ):
        dense = build()
        adam = torch.optim.Adam(dense.parameters(), fused=True)
        alternatives = {"dense": step_of(dense, adam, loss, image, y)}
        levels = {}
        for share in (0.125, 0.25, 0.5, 0.75, 0.875):
            alternatives[str(share)], levels[share] = coarse_step(build, share, loss, image, y)
        flops = bt.cost.flops(dense, image[:1]).dense
        work = {share: bt.cost.flops(ml.network, image[:1]).dense / flops for share, ml in levels.items()}
        for threads in sorted({1, options.threads}):
            torch.set_num_threads(threads)
            samples = timings(alternatives, rounds=options.rounds, seconds=0.05)
            rows += [
                {
                    "network": name,
                    "threads": threads,
                    "active rows": share,
                    "multiplications": work[share],
                    "ms": 1e3 * _harness.median(samples[str(share)]),
                    "dense / coarse": _harness.median(
                        d / c for d, c in zip(samples["dense"], samples[str(share)], strict=True)
                    ),
                }
                for share in levels
            ]
    _harness.record("multilevel_steps", {"main": (STEPS, rows)})


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(
        __doc__,
        argv,
        experiment="steps",
        epochs=8,
        coarse_epochs=12,
        coarse_steps=99,
        lam=0.01,
        lr=1e-3,
        active=128,
        active_last=256,
        density=0.25,
        seed=0,
        contestants=3,
    )
    {"steps": steps, "autoencoder": autoencoder, "convnet": convnet}[options.experiment](options)


if __name__ == "__main__":
    main()
