"""What a network is asked to do: the loss, what is measured, and what happens to the images before it sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from bregtutorial.data import Loader
from bregtutorial.recipes.recipe import Recipe
from bregtutorial.training.evaluation import accuracy

Metric = Callable[[Tensor, Tensor], Tensor]


def as_they_are(loader: Loader, recipe: Recipe, split: str) -> Any:
    """The batches of images and labels of the loader."""
    return loader


@dataclass(frozen=True)
class Task:
    """What a network is asked to do.

    Attributes:
        loss: of output and target, a mean over the batch.
        metrics: name -> function of output and target, a mean over the batch.
        batches: makes of a loader, the recipe and the name of the split (``"train"``, ``"valid"``, ``"test"``) an
            iterable of pairs (input, target).
        normalise: whether images are normalised by mean and deviation, or left in [0, 1].

    Book: Experiments, "MNIST and the MLP".
    """

    loss: Callable[..., Tensor]
    metrics: Mapping[str, Metric]
    batches: Callable[[Loader, Recipe, str], Any] = as_they_are
    normalise: bool = True


TASKS = {"classification": Task(F.cross_entropy, {"accuracy": accuracy})}
