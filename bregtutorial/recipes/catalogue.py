"""All recipes by name."""

from __future__ import annotations

from bregtutorial.recipes import autoencoder, cifar10, convnet, mnist_mlp
from bregtutorial.recipes.recipe import Recipe
from bregtutorial.tiers import one_of

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for module in (mnist_mlp, convnet, cifar10, autoencoder) for recipe in module.RECIPES
}


def names(experiment: str | None = None) -> list[str]:
    """Names of all recipes, or of those of one experiment, in the order of the paper.

    Raises:
        ValueError: there is no such experiment.

    Example:
        >>> names("cifar10-resnet18")[:2]
        ['cifar10-resnet18/dense-sgd', 'cifar10-resnet18/dense-adam']

    Book: Experiments, "MNIST and the MLP".
    """
    if experiment is None:
        return list(RECIPES)
    one_of("experiment", experiment, dict.fromkeys(r.experiment for r in RECIPES.values()))
    return [name for name, recipe in RECIPES.items() if recipe.experiment == experiment]


def get(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ValueError: there is none; the message names the nearest.

    Example:
        >>> get("mnist-mlp/linberg-0.1")
        Traceback (most recent call last):
        ValueError: recipe must be one of ...; did you mean 'mnist-mlp/linbreg-0.1'?

    Book: Experiments, "MNIST and the MLP".
    """
    return RECIPES[one_of("recipe", name, RECIPES)]
