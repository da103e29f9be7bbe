"""Figure 4 of the paper, an autoencoder that grows while it learns to remove noise; and the same with skips.

The paper states neither noise nor step size. Step size, batch and the scale of the first weights are those of its
published code; that has three noises, 0.05, 0.1 and 0.2, of which this is the largest.

References:
    Bungert, Roith, Tenbrinck, Burger (2022), JMLR 23(192), section 4.6, and (2021), arXiv 2106.02479.

Book: Experiments, "The denoising autoencoder"; Experiments, "Architecture search".
"""

from __future__ import annotations

from typing import Any

from bregtutorial.recipes.recipe import Budget, Penalty, Recipe
from bregtutorial.regularizers import GroupL2

WIDE, NARROW = (784,) * 5, (196,) * 5
FOUND = (360, 202, 106, 90, 53)  # active at the end of results/autoencoder/adabreg-full-seed0.json; a test compares
GROWING: dict[str, Any] = {
    "optimizer": "adabreg",
    "lr": 1e-3,
    "linear": Penalty(0.07, GroupL2("rows")),
    "density": 0.01,
    "init_groups": "rows",
    "gain": 0.5,
}
BLURRED: dict[str, Any] = {"noise": 0.05, "blur": (9, 5.0)}
HOW = (
    "Network, strength, density and 100 epochs are the paper's, which states neither noise nor step size. Step size "
    "and halved first weights are its published code's, the noise is the largest of three there; lr stays constant."
)
DENSE = "As AdaBreg's, but for dense first weights and no penalty."
SMALL = (
    "A dense network of the widths that AdaBreg's recorded run found, from scratch, first weights halved as there: "
    "architecture without its weights."
)
SKIPS = "As the autoencoder's; the strength for the scalars, 28 times that for the rows, is the published code's."


def _recipe(name: str, how: str, quick_epochs: int = 60, wide: tuple[int, ...] = WIDE, **settings: Any) -> Recipe:
    common: dict[str, Any] = {"model": "autoencoder", "task": "restoration", "noise": 0.2}
    return Recipe(
        name=name,
        how=how,
        quick=Budget("digits", quick_epochs, NARROW, density=0.04 if "density" in settings else None),
        colab=Budget("mnist", 20, wide),
        full=Budget("mnist", 100, wide),
        **{**common, **settings},
    )


def _with_skips(variant: str, **settings: Any) -> Recipe:
    scalars = Penalty(28 * 0.07)
    return _recipe(
        f"skip-autoencoder/{variant}", SKIPS, 100, model="skip-autoencoder", other=scalars, **GROWING, **settings
    )


RECIPES = (
    _recipe("autoencoder/dense-sgd", DENSE, optimizer="sgd", lr=1.0, momentum=0.9),
    _recipe("autoencoder/dense-adam", DENSE, optimizer="adam", lr=1e-3),
    _recipe("autoencoder/adabreg", HOW, **GROWING),
    _recipe("autoencoder/found-adam", SMALL, wide=FOUND, optimizer="adam", lr=1e-3, gain=GROWING["gain"]),
    _with_skips("denoise"),
    _with_skips("deblur", **BLURRED),
    _recipe("skip-autoencoder/deblur-without", "As deblur, in the network without skips.", 100, **GROWING, **BLURRED),
)
