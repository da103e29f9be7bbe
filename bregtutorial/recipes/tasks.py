"""What a network is asked to do: the loss, what is measured, and what happens to the images before it sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from bregtutorial.data import Corrupted, Loader
from bregtutorial.models import SkipAutoencoder
from bregtutorial.quality import psnr, ssim
from bregtutorial.recipes.recipe import Recipe
from bregtutorial.sparsity import sparsity_report
from bregtutorial.training.evaluation import accuracy

Metric = Callable[[Tensor, Tensor], Tensor]


def as_they_are(loader: Loader, recipe: Recipe, split: str) -> Any:
    """The batches of images and labels of the loader."""
    return loader


def corrupted(loader: Loader, recipe: Recipe, split: str) -> Corrupted:
    """Pairs of a corrupted and a clean image: new noise in every epoch of training, always the same for a test."""
    return Corrupted(loader, noise=recipe.noise, blur=recipe.blur, fresh=split == "train")


def nothing(model: nn.Module) -> dict[str, float]:
    """What is noted of a network of which nothing special is."""
    return {}


def architecture(model: nn.Module) -> dict[str, float]:
    """Active neurons of every layer as ``active/<layer>``, and ``skip/<from>-<to>`` of a network with skips."""
    found = {f"active/{row.name}": float(row.filters[0]) for row in sparsity_report(model).rows}
    if isinstance(model, SkipAutoencoder):
        found |= {f"skip/{i}-{k}": s for (i, k), s in model.skips().items()}
    return found


@dataclass(frozen=True)
class Task:
    """What a network is asked to do.

    Attributes:
        loss: of output and target, a mean over the batch.
        metrics: name -> function of output and target, a mean over the batch.
        batches: makes of a loader, the recipe and the name of the split (``"train"``, ``"valid"``, ``"test"``) an
            iterable of pairs (input, target).
        normalise: whether images are normalised by mean and deviation, or left in [0, 1].
        final_metrics: as ``metrics``, but slow, and therefore of the test images at the end only.
        observe: numbers by name that are noted of the model after every epoch.

    Book: Experiments, "MNIST and the MLP".
    """

    loss: Callable[..., Tensor]
    metrics: Mapping[str, Metric]
    batches: Callable[[Loader, Recipe, str], Any] = as_they_are
    normalise: bool = True
    final_metrics: Mapping[str, Metric] = field(default_factory=dict)
    observe: Callable[[nn.Module], dict[str, float]] = nothing


TASKS = {
    "classification": Task(F.cross_entropy, {"accuracy": accuracy}),
    "restoration": Task(F.mse_loss, {"psnr": psnr}, corrupted, False, {"ssim": ssim}, architecture),
}
