"""What tells one run from another: shapes, classes and settings, as plain data under names that an error can quote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from bregtutorial import processes
from bregtutorial.regularizers import describe
from bregtutorial.training.step import Step


def identity(take: Step, train: Any) -> dict[str, Any]:
    """What must be the same, before the first step, for a checkpoint to be loaded; the number of epochs may grow."""
    return {
        "model": {
            name: f"{t.dtype} {tuple(t.shape)}" for name, t in take.model.state_dict().items() if isinstance(t, Tensor)
        },
        "optimizer": type(take.optimizer).__name__,
        "schedules": ", ".join(type(s).__name__ for s in take.schedules),
        "coarse_steps": getattr(take.optimizer, "coarse_steps", 0),
        "param_groups": [_settings(group) for group in take.optimizer.param_groups],
        "settings of schedules": [plain(s.state_dict()) for s in take.schedules],
        "precision": take.precision,
        "clip": take.clip,
        "loss and metrics": ", ".join(take.measures),
        "batches of an epoch": len(train),
        "processes": processes.world_size(),
    }


def _settings(group: Mapping[str, Any]) -> Any:
    reg = {"reg": describe(group["reg"])} if "reg" in group else {}
    return plain({**group, **reg, "params": [str(tuple(p.shape)) for p in group["params"]]})


def plain(thing: Any) -> Any:
    """Settings without objects: numbers and strings stay, of tensors only small ones do."""
    if isinstance(thing, Mapping):
        return {str(k): plain(v) for k, v in thing.items()}
    if isinstance(thing, list | tuple):
        return [plain(v) for v in thing]
    if isinstance(thing, Tensor):
        return thing.tolist() if thing.numel() <= 16 else str(tuple(thing.shape))
    return thing if isinstance(thing, str | int | float | None) else type(thing).__name__


def differences(saved: Any, here: Any, name: str = "") -> Iterator[str]:
    """Yield what differs between two identities, in words."""
    if isinstance(saved, Mapping) and isinstance(here, Mapping):
        for key in dict.fromkeys([*saved, *here]):
            path = f"{name}.{key}" if name else key
            yield from differences(saved.get(key, "absent"), here.get(key, "absent"), path)
    elif isinstance(saved, list) and isinstance(here, list) and len(saved) != len(here):
        yield f"{name} were {len(saved)} and are {len(here)}"
    elif isinstance(saved, list) and isinstance(here, list):
        for i, (a, b) in enumerate(zip(saved, here, strict=True)):
            yield from differences(a, b, f"{name}[{i}]")
    elif saved != here and not (saved != saved and here != here):  # NaN is like NaN
        yield f"{name} was {saved!r} and is {here!r}"
