"""A step of multilevel training against a step of dense training: by size, and where its time goes.

python benchmarks/multilevel_steps.py --threads 2
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import _harness
import torch
from _race import ACTIVE, ROWS, Loss, layers_of
from torch import Tensor, nn
from torch.nn import functional as F

import bregtutorial as bt
from bregtutorial.cost import timings

STEPS = {"network": "", "threads": "d", "active rows": ".0%", "multiplications": ".1%", "ms": ".2f"}
STEPS |= {"dense / coarse": ".2f"}
PARTS = {"part of a step": "", "dense ms": ".2f", "coarse ms": ".2f", "dense / coarse": ".2f"}


def step_of(model: nn.Module, optimizer: Any, loss: Loss, x: Tensor, y: Tensor) -> Callable[[], None]:
    def step() -> None:
        value = loss(getattr(optimizer, "network", model)(x), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return step


def coarse_step(
    build: Callable[[], Any], active: Iterable[float], loss: Loss, x: Tensor, y: Tensor
) -> tuple[Any, bt.Multilevel]:
    """A step that stays on the coarse level, with these shares of the hidden layers' rows active."""
    model = build()
    with torch.no_grad():
        for layer, share in zip(layers_of(model)[:-1], active, strict=False):
            layer.weight[torch.randperm(len(layer.weight))[round(share * len(layer.weight)) :]] = 0
    groups = bt.parameter_groups(model, 1.0, ROWS)
    ml = bt.Multilevel(model, bt.AdaBreg(groups, lr=1e-6), None, break_even=math.inf)
    step = step_of(model, ml, loss, x, y)
    step()
    return step, ml


def by_size(options: Any) -> list[_harness.Row]:
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
            alternatives[str(share)], levels[share] = coarse_step(build, itertools.repeat(share), loss, image, y)
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
    return rows


def products(model: nn.Module, batch: int = 128) -> Callable[[], None]:
    """The three matrix products of every layer and nothing else: what remains if all the rest were free."""
    shapes = [layer.weight.shape for layer in layers_of(model)]
    layers = [(torch.rand(n, k), torch.rand(batch, k), torch.rand(batch, n)) for n, k in shapes]

    def run() -> None:
        for w, x, g in layers:
            x @ w.T, g @ w, g.T @ x

    return run


def by_part(options: Any) -> list[_harness.Row]:
    """Where the time of the autoencoder's step goes, on one thread, with the rows that the race of autoencoders has."""
    torch.set_num_threads(1)
    x = torch.rand(128, 1, 28, 28)
    dense = bt.models.autoencoder()
    adam = torch.optim.Adam(dense.parameters(), fused=True)
    coarse, ml = coarse_step(bt.models.autoencoder, [n / 784 for n in ACTIVE], F.mse_loss, x, x)
    whole = {"dense": step_of(dense, adam, F.mse_loss, x, x), "coarse": coarse}
    alternatives: dict[str, Callable[[], Any]] = {}
    for level, model, optimizer in (("dense", dense, adam), ("coarse", ml.network, ml)):
        alternatives |= {
            f"matrix products, {level}": products(model),
            f"forward and backward, {level}": lambda model=model: F.mse_loss(model(x), x).backward(),
            f"optimizer, {level}": optimizer.step,
            f"the whole step, {level}": whole[level],
        }
    samples = timings(alternatives, rounds=options.rounds, seconds=0.05)

    def row(part: str, old: str, new: str) -> _harness.Row:
        ratio = _harness.median(d / c for d, c in zip(samples[old], samples[new], strict=True))
        ms = [1e3 * _harness.median(samples[name]) for name in (old, new)]
        return {"part of a step": part, "dense ms": ms[0], "coarse ms": ms[1], "dense / coarse": ratio}

    parts = ("matrix products", "forward and backward", "optimizer", "the whole step")
    return [row(part, f"{part}, dense", f"{part}, coarse") for part in parts]


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(__doc__, argv)
    tables = {"main": (STEPS, by_size(options)), "parts": (PARTS, by_part(options))}
    torch.set_num_threads(options.threads)
    _harness.record("multilevel_steps", tables)


if __name__ == "__main__":
    main()
