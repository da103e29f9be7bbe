"""Multilevel training of the paper's autoencoder against dense training: whole epochs, and the final result.

    python benchmarks/multilevel_autoencoder.py

Needs MNIST in BREGTUTORIAL_DATA.
"""

from collections.abc import Callable, Sequence
from typing import Any

import _harness
import torch
from _race import ACTIVE, COLUMNS, Contestant, Watch, adabreg, layers_of, race
from torch import nn
from torch.nn import functional as F

import bregtutorial as bt
from bregtutorial.data import Corrupted, Loader


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


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(
        __doc__,
        argv,
        epochs=6,
        coarse_epochs=12,
        coarse_steps=99,
        lam=0.15,
        lr=0.005,
        seed=0,
        contestants=3,
    )

    def batches() -> Corrupted:
        return Corrupted(
            Loader(bt.load_dataset("mnist"), 128, seed=options.seed, normalise=False, drop_last=True), noise=0.2
        )

    test = Loader(bt.load_dataset("mnist", "test"), 1000, shuffle=False, normalise=False)

    def contestant(
        name: str, active: Sequence[int] | None, epochs: int, make: Callable[[nn.Module], Any]
    ) -> Contestant:
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
            ACTIVE,
            options.coarse_epochs,
            lambda model: adabreg(model, options.lam, options.lr, options.coarse_steps),
        ),
        contestant("dense, Adam, mirrored start", [784] * 5, options.epochs, adam),
    ][: options.contestants]
    watch = Watch()
    rows = race(contestants, F.mse_loss, Corrupted(test, noise=0.2, fresh=False))
    total = sum(contestants[1].seconds)
    shares = {"down_and_up": watch.seconds / total, "waiting_for_batches": contestants[1].waited / total}
    _harness.record("multilevel_autoencoder", {"main": (COLUMNS, rows)}, settings=vars(options), **shares)


if __name__ == "__main__":
    main()
