"""Tables 1 and 2 of the paper: a small ConvNet on Fashion-MNIST, single weights and whole kernels.

References:
    Bungert, Roith, Tenbrinck, Burger (2022), JMLR 23(192), section 4.4. Zhu and Gupta (2017), "To prune, or not to
    prune", for the ramp of the pruning baseline.

Book: Experiments, "Fashion-MNIST and the ConvNet".
"""

from __future__ import annotations

from typing import Any

from bregtutorial.recipes.recipe import Budget, Penalty, Recipe
from bregtutorial.regularizers import L1, GroupL2

TRIALS = (
    "Of two step sizes, {rates}, the one with more held-out images right near a density of 4 %, and of up to three "
    "strengths for each the one nearest to it: 12,500 MNIST images, held-out 2,500, batch 32, 2,346 steps, the quick "
    "tier's network. A wider network or a longer training comes out at another density."
)
UNTUNED = "The usual step size. Nothing was tuned."
GROUPED = (
    "Step size and strengths of the same row of convnet-l1, which were tuned there; nothing was tuned for kernels."
)
# variant: step size, strength, what its step size was compared with
TUNED = {
    "lasso": (0.02, 3e-3, "0.05 and 0.02"),
    "proxsgd": (0.3, 4.9e-3, "0.1 and 0.3"),
    "linbreg": (0.3, 0.58, "0.1 and 0.3"),
    "linbreg-momentum": (0.3, 0.59, "0.1 and 0.3"),
    "adabreg": (3e-3, 0.73, "0.001 and 0.003"),
}


def _recipe(experiment: str, variant: str, how: str, **settings: Any) -> Recipe:
    common: dict[str, Any] = {"model": "convnet", "schedule": "cosine", "warmup": 0.05, "channels_last": True}
    return Recipe(
        name=f"{experiment}/{variant}",
        how=how,
        quick=Budget("digits", 30, (16, 16, 64)),
        colab=Budget("fashion-mnist", 15, (64, 64, 128)),
        full=Budget("fashion-mnist", 50, (64, 64, 128)),
        **{**common, **settings},
    )


def _table(experiment: str, groups: str | None, prune: float) -> tuple[Recipe, ...]:
    """The seven rows of a table, with kernels of convolutions as groups or with single weights."""
    reg = GroupL2(groups) if groups else L1()

    def tuned(variant: str, **settings: Any) -> Recipe:
        lr, lam, rates = TUNED[variant]
        how = GROUPED if groups else TRIALS.format(rates=rates)
        return _recipe(experiment, variant, how, lr=lr, conv=Penalty(lam, reg), linear=Penalty(lam), **settings)

    sparse: dict[str, Any] = {"density": 0.01, "init_groups": groups}
    ramp: dict[str, Any] = {"prune_density": prune, "init_groups": groups}
    return (
        _recipe(experiment, "adam", UNTUNED, optimizer="adam", lr=1e-3),
        _recipe(experiment, "pruning", UNTUNED, optimizer="sgd", lr=0.05, momentum=0.9, **ramp),
        tuned("lasso", optimizer="sgd", momentum=0.9, threshold=1e-3),
        tuned("proxsgd", optimizer="proxsgd"),
        tuned("linbreg", **sparse),
        tuned("linbreg-momentum", momentum=0.9, **sparse),
        tuned("adabreg", optimizer="adabreg", **sparse),
    )


RECIPES = (*_table("convnet-l1", None, prune=0.05), *_table("convnet-groups", "kernels", prune=0.07))
