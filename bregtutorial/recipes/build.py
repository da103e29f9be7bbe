"""From a recipe to what a training loop needs: model, optimizer, batches, loss, schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from bregtutorial.data import ImageSet, Loader, Resized
from bregtutorial.initialization import sparse_init_
from bregtutorial.layers import weighted_layers
from bregtutorial.optim import AdaBreg, LinBreg, ProxSGD
from bregtutorial.parameter_groups import parameter_groups
from bregtutorial.recipes.networks import MODELS
from bregtutorial.recipes.pruning import PruningRamp
from bregtutorial.recipes.recipe import Budget, Penalty, Recipe
from bregtutorial.recipes.sets import describe_sets, load_sets
from bregtutorial.recipes.setting import Setting
from bregtutorial.recipes.tasks import TASKS
from bregtutorial.schedules import Ramp, TargetDensity

EVAL_BATCH = 500


@dataclass
class Experiment:
    """A recipe made ready to train.

    Attributes:
        budget: data, epochs and widths of the run.
        model: the network, initialised and on its device.
        optimizer: of all its parameters.
        train: batches for training.
        test: name -> batches for measuring.
        loss: of output and target.
        metrics: name -> function of output and target.
        schedules: called after every step, or once an epoch.
        data: what a record says of the images.

    Book: Experiments, "MNIST and the MLP".
    """

    budget: Budget
    model: nn.Module
    optimizer: Optimizer
    train: Any
    test: dict[str, Any]
    loss: Callable[[Tensor, Tensor], Tensor]
    metrics: Mapping[str, Callable[[Tensor, Tensor], Tensor]]
    schedules: list[Any]
    data: dict[str, object]


def build(
    recipe: Recipe, setting: Setting, *, device: torch.device | str = "cpu", rank: int = 0, world_size: int = 1
) -> Experiment:
    """Load the data and build everything from the recipe and one seed.

    Args:
        recipe: what to do.
        setting: tier, seed and what else was chosen for this run.
        device: where data and model lie.
        rank: of this process.
        world_size: number of processes; their batches together are those of one.

    Raises:
        ValueError: ``batch_size`` is no multiple of the number of processes.

    Example:
        >>> from bregtutorial.recipes import get
        >>> experiment = build(get("cifar10-resnet18/linbreg"), Setting(size=256))
        >>> type(experiment.optimizer).__name__, len(experiment.train)
        ('LinBreg', 2)

    Book: Experiments, "MNIST and the MLP".
    """
    budget, task = setting.budget(recipe), TASKS[recipe.task]
    sets = load_sets(budget, setting.tier, recipe.holdout)
    loaders = _loaders(recipe, setting, sets, device=device, rank=rank, world_size=world_size)
    image, n_classes = tuple(sets["train"].images.shape[1:]), len(sets["train"].classes)
    model = _model(recipe, budget, setting, image, n_classes).to(device)
    steps = budget.epochs * len(loaders["train"])
    ramp = _pruning(model, recipe, steps)  # before the optimizer: it gives the weights other names
    optimizer = _optimizer(model, recipe)
    batches = {name: task.batches(loader, recipe, name) for name, loader in loaders.items()}
    if recipe.sizes:
        batches = _resized(loaders, {round(share * budget.epochs): side for share, side in recipe.sizes})
    return Experiment(
        budget,
        model,
        optimizer,
        batches.pop("train"),
        batches,
        _loss(model, recipe),
        task.metrics,
        [*ramp, *_schedules(optimizer, recipe, steps)],
        describe_sets(sets, budget, setting.data_note),
    )


def _loaders(
    recipe: Recipe, setting: Setting, sets: Mapping[str, ImageSet], *, world_size: int, **place: Any
) -> dict[str, Loader]:
    batch, rest = divmod(recipe.batch_size, world_size)
    if rest:
        raise ValueError(f"batch_size={recipe.batch_size} must be a multiple of the {world_size} processes")
    shared: dict[str, Any] = {"normalise": TASKS[recipe.task].normalise, "world_size": world_size, **place}
    training: dict[str, Any] = {"augment": recipe.augment, "seed": setting.seed, "drop_last": world_size > 1}
    return {
        name: Loader(part, batch, **training, **shared)
        if name == "train"
        else Loader(part, EVAL_BATCH, shuffle=False, **shared)
        for name, part in sets.items()
    }


def _resized(loaders: Mapping[str, Loader], sizes: Mapping[int, int]) -> dict[str, Any]:
    """Test images as large as the training images of the epoch before."""
    train = loaders["train"]
    return {name: Resized(loader, sizes, clock=None if loader is train else train) for name, loader in loaders.items()}


def _model(recipe: Recipe, budget: Budget, setting: Setting, image: Any, n_classes: int) -> nn.Module:
    generator = torch.Generator().manual_seed(setting.seed)
    model = MODELS[recipe.model](budget.widths, image, n_classes, generator)
    density = recipe.density if budget.density is None else budget.density
    if density < 1:
        sparse_init_(model, density, groups=recipe.init_groups, generator=generator)
    with torch.no_grad():
        for _, layer in weighted_layers(model):
            layer.weight.mul_(recipe.gain)
    return model


def _pruning(model: nn.Module, recipe: Recipe, steps: int) -> list[PruningRamp]:
    if recipe.prune_density is None:
        return []
    start, stop = (round(share * steps) for share in recipe.prune_span)
    return [PruningRamp(model, recipe.prune_density, start, stop, recipe.init_groups)]


def _optimizer(model: nn.Module, recipe: Recipe) -> Optimizer:
    penalties: dict[str, Any] = {k: {"lam": p.lam, "reg": p.reg} for k, p in recipe.penalties.items()}
    groups = parameter_groups(model, lam=0.0, **penalties)
    if recipe.optimizer == "linbreg":
        return LinBreg(groups, recipe.lr, delta=recipe.delta, momentum=recipe.momentum)
    if recipe.optimizer == "adabreg":
        return AdaBreg(groups, recipe.lr, betas=recipe.betas, eps=recipe.eps, delta=recipe.delta)
    if recipe.optimizer == "proxsgd":
        return ProxSGD(groups, recipe.lr, momentum=recipe.momentum)
    decay = {"conv": recipe.weight_decay, "linear": recipe.weight_decay}
    plain = [{"params": [p for _, p in g["params"]], "weight_decay": decay.get(g["name"], 0.0)} for g in groups]
    if recipe.optimizer == "adam":
        kind = AdamW if recipe.weight_decay else Adam
        return kind(plain, recipe.lr, betas=recipe.betas, eps=recipe.eps)
    return torch.optim.SGD(plain, recipe.lr, recipe.momentum, nesterov=recipe.nesterov)


def _schedules(optimizer: Optimizer, recipe: Recipe, steps: int) -> list[Any]:
    found: list[Any] = []
    if recipe.schedule == "plateau":
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
        found.append(plateau(optimizer, factor=0.5, patience=5, threshold=0.01))
    elif recipe.schedule == "cosine":
        found.append(torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_cosine(steps, round(recipe.warmup * steps))))
    if recipe.target_density is not None:
        found.append(TargetDensity(optimizer, density=_target(recipe, recipe.target_density, steps)))
    return found


def _target(recipe: Recipe, density: float, steps: int) -> float | Callable[[int], float]:
    if recipe.target_start is None:
        return density
    begin, end = (round(share * steps) for share in recipe.target_span)
    ramp = Ramp(recipe.target_start, density, max(end - begin, 1), "cubic")
    return lambda step: ramp(step - begin)


def _warm_cosine(steps: int, warm: int) -> Callable[[int], float]:
    """A linear rise over ``warm`` steps, then half a cosine that ends at zero."""

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        return (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1))) / 2

    return factor


def _loss(model: nn.Module, recipe: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    loss = TASKS[recipe.task].loss
    options = {"label_smoothing": recipe.label_smoothing} if recipe.label_smoothing else {}
    penalised = _penalised(model, recipe.penalties) if recipe.optimizer in ("sgd", "adam") else []

    def objective(output: Tensor, y: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return loss(output, y)  # what is measured is the loss alone
        return sum((p.lam * p.reg.value(w) for w, p in penalised), loss(output, y, **options))

    return objective


def _penalised(model: nn.Module, penalties: Mapping[str, Penalty]) -> list[tuple[nn.Parameter, Penalty]]:
    groups = parameter_groups(model, lam=0.0)
    return [(w, penalties[g["name"]]) for g in groups if g["name"] in penalties for _, w in g["params"]]
