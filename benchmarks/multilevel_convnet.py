"""Multilevel training of the paper's ConvNet against dense training: whole epochs, and the final result.

    python benchmarks/multilevel_convnet.py --threads 2

Needs MNIST in BREGTUTORIAL_DATA.
"""

from collections.abc import Callable, Sequence
from typing import Any

import _harness
import torch
from _race import COLUMNS, Contestant, Watch, adabreg, layers_of, race
from torch import nn
from torch.nn import functional as F

import bregtutorial as bt
from bregtutorial.data import Loader


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(__doc__, argv, epochs=4, coarse_steps=99, lam=0.04, lr=0.004, density=0.35, seed=0)
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
    total = sum(contestants[1].seconds)
    shares = {"down_and_up": watch.seconds / total, "waiting_for_batches": contestants[1].waited / total}
    _harness.record("multilevel_convnet", {"main": (COLUMNS, rows)}, settings=vars(options), **shares)


if __name__ == "__main__":
    main()
