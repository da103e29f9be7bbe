"""Which weights are awake after each epoch: the record behind the pictures of a network that grows.

    >>> growth = watch("mnist-mlp/linbreg-0.1", tier="quick", epochs=1, size=200)
    >>> [mask.shape for mask in growth.masks.values()]
    [(2, 200, 784), (2, 80, 200), (2, 10, 80)]

Book: Experiments, "MNIST and the MLP".
"""

from __future__ import annotations

import base64
import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bregtutorial.layers import weighted_layers
from bregtutorial.recipes import Recipe, Setting, build, get
from bregtutorial.results import environment, folder, read, revision
from bregtutorial.tiers import current_tier
from bregtutorial.training import fit

__all__ = ["Growth", "load", "watch"]
Mask = NDArray[np.bool_]
_FULL = 255  # a byte that says: add me, and read on


@dataclass(frozen=True, eq=False, repr=False)
class Growth:
    """What was awake at the start and after each epoch.

    Attributes:
        masks: layer to an array of the shape ``(epochs + 1, out, in)``, True where a weight is not zero; or
            ``(epochs + 1, out)``, True where a row of weights, a neuron, has one that is not.
        origin: name of the recipe, command, data, environment, revision and date of the run.

    Book: Experiments, "MNIST and the MLP".
    """

    masks: Mapping[str, Mask]
    origin: Mapping[str, Any]

    def __repr__(self) -> str:
        epochs = len(next(iter(self.masks.values()))) - 1
        return f"Growth of {self.origin['name']} over {epochs} epochs on {self.origin['data']['name']}"

    def until(self, epoch: int) -> Growth:
        """The record up to an epoch: a shorter one to look at.

        Raises:
            ValueError: the record has no such epoch.

        Example:
            >>> load("mnist-mlp/linbreg-0.1").until(30)
            Growth of mnist-mlp/linbreg-0.1 over 30 epochs on mnist
        """
        last = len(next(iter(self.masks.values()))) - 1
        if not 0 <= epoch <= last:
            raise ValueError(f"epoch must be in [0, {last}], the epochs of the record, got {epoch}")
        return Growth({name: mask[: epoch + 1] for name, mask in self.masks.items()}, self.origin)

    def to_plain(self) -> dict[str, Any]:
        """What JSON knows: of each layer its shape, and for every epoch what fell asleep or woke since the last."""
        layers = {
            name: {"shape": list(mask.shape[1:]), "changes": [_encode(step) for step in _changes(mask)]}
            for name, mask in self.masks.items()
        }
        return {**self.origin, "layers": layers}

    def save(self, place: str | os.PathLike[str]) -> Path:
        """Write ``growth/<experiment>-<variant>.json`` below a folder, and return its path."""
        path = Path(place) / "growth" / f"{self.origin['name'].replace('/', '-')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_plain(), indent=1) + "\n", "utf8")
        return path


def watch(
    recipe: str | Recipe, tier: str | None = None, seed: int | None = None, *, rows: bool = False, **chosen: Any
) -> Growth:
    """Train a recipe as :func:`bregtutorial.run` does, on the CPU, and note what is awake.

    Args:
        recipe: a name, or a recipe of your own.
        tier: ``"quick"``, ``"colab"`` or ``"full"``; default: the variable ``BREGTUTORIAL_TIER``, else ``"quick"``.
        seed: of initialisation, order of batches and augmentation; default: the recipe's.
        rows: note neurons only, which is all there is to see if groups of rows were penalised.
        **chosen: ``data``, ``data_note``, ``epochs``, ``size``, ``precision``, ``threads`` of
            :class:`bregtutorial.recipes.Setting`.

    Raises:
        ValueError: a name or setting is unknown or out of range, or another device is asked for.
        RuntimeError: the loss is not finite.

    Example:
        >>> growth = watch("autoencoder/adabreg", tier="quick", epochs=2, size=100, rows=True)
        >>> {len(mask) for mask in growth.masks.values()}  # epochs 0, 1 and 2
        {3}

    Book: Experiments, "MNIST and the MLP".
    """
    if chosen.get("compile") or chosen.get("device") not in (None, "cpu"):
        raise ValueError("grow runs on the CPU and does not compile: leave out device and compile")
    recipe = get(recipe) if isinstance(recipe, str) else recipe
    setting = Setting(tier=current_tier(tier), seed=recipe.seed if seed is None else seed, **chosen)
    threads, before = torch.get_num_threads(), revision()
    torch.set_num_threads(setting.threads or threads)
    try:
        experiment = build(recipe, setting)
        seen = [_awake(experiment.model, rows)]
        fit(
            experiment.model,
            experiment.optimizer,
            experiment.train,
            epochs=experiment.budget.epochs,
            loss=experiment.loss,
            metrics={},
            schedules=experiment.schedules,
            precision=setting.precision or recipe.precision,
            channels_last=recipe.channels_last,
            clip=recipe.clip,
            observe=lambda model: seen.append(_awake(model, rows)) or {},  # type: ignore[func-returns-value]
        )
        origin = _origin(recipe, setting, experiment.data, before, rows)
    finally:
        torch.set_num_threads(threads)
    return Growth({name: np.stack([masks[name] for masks in seen]) for name in seen[0]}, origin)


def load(name: str) -> Growth:
    """The recorded growth of a recipe's network.

    Args:
        name: of the recipe, such as ``"mnist-mlp/linbreg-0.1"``.

    Raises:
        ValueError: none is recorded.

    Example:
        >>> load("mnist-mlp/linbreg-0.1").origin["data"]["name"]
        'mnist'

    Book: Experiments, "MNIST and the MLP".
    """
    path = folder() / "growth" / f"{name.replace('/', '-')}.json"
    if not path.is_file():
        recorded = ", ".join(sorted(read(other)["name"] for other in path.parent.glob("*.json")))
        raise ValueError(
            f"no growth of {name!r} is recorded, only of {recorded}; `python -m bregtutorial grow` does it"
        )
    content = read(path)
    masks = {}
    for layer, stored in content.pop("layers").items():
        flat = np.zeros((len(stored["changes"]), int(np.prod(stored["shape"]))), dtype=bool)
        for step, text in zip(flat, stored["changes"], strict=True):
            step[_decode(text)] = True
        masks[layer] = np.logical_xor.accumulate(flat).reshape(-1, *stored["shape"])
    return Growth(masks, content)


def _awake(model: nn.Module, rows: bool) -> dict[str, Mask]:
    alive = {name: layer.weight.detach().flatten(1) != 0 for name, layer in weighted_layers(model)}
    return {name: (mask.any(1) if rows else mask).cpu().numpy() for name, mask in alive.items()}


def _origin(recipe: Recipe, setting: Setting, data: Mapping[str, Any], before: str, rows: bool) -> dict[str, Any]:
    command = setting.command(recipe.name).replace("bregtutorial run", "bregtutorial grow")
    return {
        "name": recipe.name,
        "command": f"{command}{' --rows' if rows else ''} --save results",
        "data": dict(data),
        "environment": environment(torch.device("cpu")),
        "revision": before,
        "date": datetime.date.today().isoformat(),
    }


def _changes(mask: Mask) -> Mask:
    flat = mask.reshape(len(mask), -1)
    return np.concatenate([flat[:1], flat[1:] != flat[:-1]])


def _encode(step: Mask) -> str:
    """The distances between the places that changed, a byte each or, where they are long, several."""
    gaps = np.diff(np.flatnonzero(step), prepend=-1)
    parts = [bytes([_FULL] * (gap // _FULL) + [gap % _FULL]) for gap in gaps.tolist()]
    return base64.b64encode(b"".join(parts)).decode()


def _decode(text: str) -> NDArray[np.int64]:
    steps = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return np.cumsum(steps, dtype=np.int64)[steps < _FULL] - 1
