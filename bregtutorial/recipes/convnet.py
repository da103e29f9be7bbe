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

DENSITY = 0.04  # near that of the paper's rows, and the same for all
TRIALS = "MNIST, 5,000 images held out, full width. "
STEERED = TRIALS + (
    "Of two step sizes, {rates}, and two starts, 1 % of the weights or 30 % that fall to 4 % along a ramp, the one "
    "with more held-out images right after two epochs."
)
PRICED = TRIALS + (
    "Of three strengths the one that should come nearest to a density of 4 % in five epochs; step size of two, "
    "{rates}, on the quick tier's network. A threshold, where there is one, was not tuned."
)
UNTUNED = "The usual step size. Nothing was tuned."
GROUPED = "As the same row of convnet-l1, which was tuned there; trials with kernels gave no reason to change it."


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


def _table(experiment: str, groups: str | None) -> tuple[Recipe, ...]:
    """The seven rows of a table, with kernels of convolutions as groups or with single weights."""
    reg = GroupL2(groups) if groups else L1()

    def tuned(variant: str, how: str, rates: str, lam: float = 0.1, **settings: Any) -> Recipe:
        how = GROUPED if groups else how.format(rates=rates)
        return _recipe(experiment, variant, how, conv=Penalty(lam, reg), linear=Penalty(lam), **settings)

    sparse: dict[str, Any] = {"density": 0.01, "init_groups": groups, "target_density": DENSITY}
    falling: dict[str, Any] = {**sparse, "density": 0.3, "target_start": 0.3}
    ramp: dict[str, Any] = {"prune_density": DENSITY, "init_groups": groups}
    return (
        _recipe(experiment, "adam", UNTUNED, optimizer="adam", lr=1e-3),
        _recipe(experiment, "pruning", UNTUNED, optimizer="sgd", lr=0.05, momentum=0.9, **ramp),
        tuned("lasso", PRICED, "0.05 and 0.02", 6e-4, optimizer="sgd", lr=0.02, momentum=0.9, threshold=1e-3),
        tuned("proxsgd", PRICED, "0.3 and 0.1", 2e-3, optimizer="proxsgd", lr=0.1),
        tuned("linbreg", STEERED, "0.3 and 0.1", lr=0.1, **sparse),
        tuned("linbreg-momentum", STEERED, "0.1 and 0.3", lr=0.3, momentum=0.9, **sparse),
        tuned("adabreg", STEERED, "1e-3 and 3e-3", optimizer="adabreg", lr=3e-3, **falling),
    )


RECIPES = (*_table("convnet-l1", None), *_table("convnet-groups", "kernels"))
