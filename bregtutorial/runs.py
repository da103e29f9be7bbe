"""From the name of a recipe to a result, on a CPU, a GPU or several.

Book: Experiments, "MNIST and the MLP".
"""

from __future__ import annotations

import copy
import datetime
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bregtutorial import processes
from bregtutorial.recipes import TASKS, Experiment, Recipe, Setting, build, get, to_plain
from bregtutorial.recipes.pruning import cut_small_, remove_masks
from bregtutorial.results import Result, environment, revision
from bregtutorial.sparsity import sparsity_report
from bregtutorial.tiers import current_tier
from bregtutorial.training import evaluate, fit
from bregtutorial.training.folder import claim

__all__ = ["run"]
Row = dict[str, float]


def run(
    recipe: str | Recipe,
    tier: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = True,
    save: str | os.PathLike[str] | None = None,
    log: Callable[[Row], Any] | None = None,
    progress: bool | None = None,
    **chosen: Any,
) -> Result:
    """Run a recipe and return what came out. Under ``torchrun`` its processes train one network together.

    Args:
        recipe: a name, see :func:`bregtutorial.recipes.names`, or a recipe of your own, by ``dataclasses.replace``.
        tier: ``"quick"``, ``"colab"`` or ``"full"``; default: the variable ``BREGTUTORIAL_TIER``, else ``"quick"``.
        seed: of initialisation, order of batches and augmentation; default: the recipe's.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``; default: ``"cuda"`` if there is such a device, else ``"cpu"``.
        checkpoint: folder to keep the state of the training in; ``run.json`` there says of which recipe and images.
        resume: go on from that state.
        save: folder below which the result is recorded.
        log: called with every row of the history.
        progress: show a bar; default: in a terminal.
        **chosen: the other fields of :class:`bregtutorial.recipes.Setting`: ``data``, ``data_note``, ``epochs``,
            ``size``, ``precision``, ``threads``, ``compile``.

    Raises:
        ValueError: a name or setting is unknown or out of range, or the checkpoints are another run's.
        RuntimeError: the loss is not finite.

    Example:
        >>> result = run("mnist-mlp/linbreg-0.1", tier="quick", epochs=1, size=500)
        >>> result.recipe.optimizer, result.setting.seed, len(result.history)
        ('linbreg', 0, 1)

    Book: Experiments, "MNIST and the MLP".
    """
    recipe = get(recipe) if isinstance(recipe, str) else recipe
    settings = {"tier": current_tier(tier), "seed": recipe.seed if seed is None else seed, "device": device, **chosen}
    Setting(**settings)  # now, before processes join: what is out of range is refused
    before = revision()  # of the source that was imported, whatever happens to it meanwhile
    keeping = {"checkpoint": checkpoint, "resume": resume, "log": log, "progress": progress}
    with processes.distributed(device) as here, _threads(settings.get("threads")):
        setting = Setting(**settings, processes=here.world_size)
        experiment = build(recipe, setting, device=here.device, rank=here.rank, world_size=here.world_size)
        if checkpoint is not None and here.rank == 0:
            claim(Path(checkpoint), _facts(recipe, experiment.data), anew=not resume)
        history = _train(recipe, setting, experiment, keeping)
        result = Result(
            recipe,
            setting,
            experiment.data,
            history,
            _final(recipe, setting, experiment, history),
            environment(here.device, here.world_size),
            before,
            datetime.date.today().isoformat(),
            experiment.model,
        )
        if save is not None and here.rank == 0:
            result.save(save)
    return result


def _train(recipe: Recipe, setting: Setting, experiment: Experiment, keeping: dict[str, Any]) -> list[Row]:
    history = fit(
        experiment.model,
        experiment.optimizer,
        experiment.train,
        epochs=experiment.budget.epochs,
        test=experiment.test,
        loss=experiment.loss,
        metrics=experiment.metrics,
        schedules=experiment.schedules,
        compile=setting.compile,
        clip=recipe.clip,
        observe=TASKS[recipe.task].observe,
        **keeping,
        **_arithmetic(recipe, setting),
    )
    remove_masks(experiment.model)
    return history


def _facts(recipe: Recipe, data: Mapping[str, Any]) -> dict[str, Any]:
    """By what a checkpoint is refused to another recipe or to other images."""
    free = ("name", "how", *recipe.budgets)  # may change without changing what is trained
    return {
        "recipe": {name: value for name, value in to_plain(recipe).items() if name not in free},
        "images": {split: facts["fingerprint"] for split, facts in data.items() if isinstance(facts, dict)},
    }


def _arithmetic(recipe: Recipe, setting: Setting) -> dict[str, Any]:
    return {"precision": setting.precision or recipe.precision, "channels_last": recipe.channels_last}


def _final(recipe: Recipe, setting: Setting, experiment: Experiment, history: list[Row]) -> Row:
    """The numbers at the end of training and, for a recipe with a threshold, after it."""
    last = history[-1]
    kept = [f"{split}_{name}" for split in ("train", *experiment.test) for name in ("loss", *experiment.metrics)]
    final = {name: last[name] for name in kept} | _counts(experiment.model)
    options: dict[str, Any] = {"loss": experiment.loss, **_arithmetic(recipe, setting)}
    if slow := TASKS[recipe.task].final_metrics:
        for name, batches in experiment.test.items():
            final |= evaluate(experiment.model, batches, metrics=slow, name=name, **options)
    if recipe.threshold is not None:
        cut = copy.deepcopy(experiment.model)
        cut_small_(cut, recipe.threshold, {k: getattr(p.reg, "groups", None) for k, p in recipe.penalties.items()})
        numbers = _counts(cut)
        for name, batches in experiment.test.items():
            numbers |= evaluate(cut, batches, metrics=experiment.metrics, name=name, **options)
        final |= {f"thresholded_{name}": value for name, value in numbers.items()}
    return final


def _counts(model: nn.Module) -> Row:
    """Density, of each layer as ``density/<layer>``, and the paper's N_linear and N_conv where it has such layers."""
    report = sparsity_report(model)
    found = {"density": report.density}
    found |= {f"density/{row.name}": row.weights[0] / row.weights[1] for row in report.rows}
    for name, pairs in (
        ("n_linear", [r.weights for r in report.rows if not r.kernels[1]]),
        ("n_conv", [r.kernels for r in report.rows if r.kernels[1]]),
    ):
        if pairs:
            found[name] = sum(active for active, _ in pairs) / sum(whole for _, whole in pairs)
    return found


@contextmanager
def _threads(n: int | None) -> Iterator[None]:
    """Compute with ``n`` threads; afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
