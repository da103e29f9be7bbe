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

TUNED = "to be tuned."


def _recipe(experiment: str, variant: str, **settings: Any) -> Recipe:
    common: dict[str, Any] = {"model": "convnet", "schedule": "cosine", "warmup": 0.05, "channels_last": True}
    return Recipe(
        name=f"{experiment}/{variant}",
        how=TUNED,
        quick=Budget("digits", 10, (16, 16, 64)),
        colab=Budget("fashion-mnist", 15, (64, 64, 128)),
        full=Budget("fashion-mnist", 50, (64, 64, 128)),
        **{**common, **settings},
    )


def _table(experiment: str, lams: dict[str, tuple[float, float]], prune: float, threshold: float) -> tuple[Recipe, ...]:
    """The seven rows of a table: kernels as groups in the second, single weights in the first."""
    groups = "kernels" if experiment == "convnet-groups" else None
    reg = GroupL2("kernels") if groups else L1()

    def row(variant: str, **settings: Any) -> Recipe:
        if variant in lams:
            conv, linear = lams[variant]
            settings |= {"conv": Penalty(conv, reg), "linear": Penalty(linear)}
        if variant in ("linbreg", "linbreg-momentum", "adabreg"):
            settings |= {"density": 0.01, "init_groups": groups}
        return _recipe(experiment, variant, **settings)

    return (
        row("adam", optimizer="adam", lr=1e-3),
        row("pruning", optimizer="sgd", lr=0.05, momentum=0.9, prune_density=prune, init_groups=groups),
        row("lasso", optimizer="sgd", lr=0.05, momentum=0.9, threshold=threshold),
        row("proxsgd", optimizer="proxsgd", lr=0.1),
        row("linbreg", lr=0.1),
        row("linbreg-momentum", lr=0.1, momentum=0.9),
        row("adabreg", optimizer="adabreg", lr=1e-3),
    )


L1_LAMS = {
    "lasso": (1e-4, 1e-4),
    "proxsgd": (1e-3, 1e-3),
    "linbreg": (0.5, 0.5),
    "linbreg-momentum": (0.5, 0.5),
    "adabreg": (0.1, 0.1),
}
GROUP_LAMS = {
    "lasso": (1e-4, 1e-4),
    "proxsgd": (1e-3, 1e-3),
    "linbreg": (0.5, 0.5),
    "linbreg-momentum": (0.5, 0.5),
    "adabreg": (0.1, 0.1),
}
RECIPES = (
    *_table("convnet-l1", L1_LAMS, prune=0.05, threshold=1e-3),
    *_table("convnet-groups", GROUP_LAMS, prune=0.07, threshold=1e-3),
)
