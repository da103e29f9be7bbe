"""Table 3 of the paper: ResNet-18 on CIFAR-10; and the same network trained as one does it today.

References:
    Bungert, Roith, Tenbrinck, Burger (2022), JMLR 23(192), section 4.5.

Book: Experiments, "CIFAR-10 and ResNet-18".
"""

from __future__ import annotations

from typing import Any

from bregtutorial.recipes.recipe import Budget, Penalty, Recipe

PAPER = "to be written."
RESNET18 = (64, 128, 256, 512)
NARROW = (8, 16, 32, 64)


def _recipe(variant: str, epochs: int = 100, how: str = PAPER, **settings: Any) -> Recipe:
    common: dict[str, Any] = {"model": "resnet18", "augment": "crop-flip", "channels_last": True}
    return Recipe(
        name=f"cifar10-resnet18/{variant}",
        how=how,
        quick=Budget("textures", 5, NARROW, size=2000),
        colab=Budget("cifar10", 10, RESNET18),
        full=Budget("cifar10", epochs, RESNET18),
        **{**common, **settings},
    )


def _sparse(lam: float, **settings: Any) -> dict[str, Any]:
    return {"conv": Penalty(lam), "linear": Penalty(lam), "density": 0.01, **settings}


RECIPES = (
    _recipe("dense-sgd", optimizer="sgd", momentum=0.9, schedule="plateau"),
    _recipe("dense-adam", optimizer="adam", lr=1e-3, schedule="plateau"),
    _recipe(
        "lasso-adam",
        optimizer="adam",
        lr=1e-3,
        schedule="plateau",
        conv=Penalty(1e-5),
        linear=Penalty(1e-5),
        threshold=1e-3,
    ),
    _recipe("linbreg", **_sparse(0.1, schedule="plateau", threshold=1e-3)),
    _recipe("linbreg-momentum", **_sparse(0.1, momentum=0.9, schedule="plateau", threshold=1e-3)),
    _recipe("adabreg", **_sparse(0.1, optimizer="adabreg", lr=1e-3, schedule="plateau", threshold=1e-3)),
)
