"""All that a run consists of, as plain data: where it is, and what tells it from another."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from bregtutorial import processes
from bregtutorial.sparsity import density
from bregtutorial.training.evaluation import REMEDY, Sums
from bregtutorial.training.step import Step

Row = dict[str, float]


class Run:
    """The state of a training: weights, duals, schedules, random numbers, place in the data, rows of the history.

    Args:
        step: what is done with a batch.
        train: the batches.
        schedules: all of them.
    """

    def __init__(self, step: Step, train: Any, schedules: Sequence[Any]) -> None:
        self.take, self.train, self.schedules = step, train, list(schedules)
        self.rows: list[Row] = []
        self.step = 0
        self.identity = _identity(step, train, self.schedules)  # as it is before the first step
        self._begin()

    def _begin(self, seconds: float = 0.0) -> None:
        """Start the sums and the clock of an epoch."""
        self.sums = Sums(list(self.take.measures), self._where)
        self._seconds, self._started = seconds, time.perf_counter()

    def _where(self, batch: int) -> str:
        step = len(self.rows) * len(self.train) + batch
        return f"in epoch {len(self.rows) + 1}, step {step}: {REMEDY}"

    @property
    def seconds(self) -> float:
        """Time spent on this epoch, also before a stop."""
        return self._seconds + time.perf_counter() - self._started

    @property
    def resumable(self) -> bool:
        """Whether the batches can go on in the midst of an epoch."""
        return hasattr(self.train, "state_dict") and hasattr(self.train, "load_state_dict")

    def add_batch(self, x: Tensor, y: Tensor) -> None:
        """Take one step."""
        self.sums.add(self.take(x, y), len(x))
        self.step += 1

    def end_epoch(self, results: Row) -> Row:
        """Close the epoch with its row; ``results`` are those of the test sets."""
        means = self.sums.means("train")
        for schedule in self.schedules:
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(means["train_loss"])
        groups = self.take.optimizer.param_groups
        strengths = [float(g["lam"]) for g in groups if g.get("lam")]
        row: Row = {"epoch": len(self.rows) + 1, "step": self.step, **means, **results}
        row["density"] = density(self.take.model)
        row |= {"lr": float(groups[0]["lr"]), "lam": strengths[0] if strengths else 0.0, "seconds": self.seconds}
        self.rows.append(row)
        self._begin()
        return row

    def state_dict(self) -> dict[str, Any]:
        """Everything, of all processes; each of them must ask at the same step."""
        processes.share_buffers(self.take.model)
        mine = {"random": _random_state(self.take.device)}
        if self.resumable:
            mine["batches"] = self.train.state_dict()
        return {
            "identity": self.identity,
            "step": self.step,
            "rows": self.rows,
            "seconds": self.seconds,
            "sums": self.sums.state_dict(),
            "model": self.take.model.state_dict(),
            "optimizer": self.take.optimizer.state_dict(),
            "schedules": [schedule.state_dict() for schedule in self.schedules],
            "scaler": self.take.scaler.state_dict(),
            "processes": processes.gather(mine),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become the run that was saved.

        Raises:
            ValueError: it is another run.
        """
        for difference in differences(state["identity"], self.identity):
            raise ValueError(difference)
        self.step, self.rows = state["step"], state["rows"]
        self.take.model.load_state_dict(state["model"])
        self.take.optimizer.load_state_dict(state["optimizer"])  # after the weights, which are a function of the duals
        for schedule, saved in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
        self.take.scaler.load_state_dict(state["scaler"])
        mine = state["processes"][processes.rank()]
        if "batches" in mine:
            self.train.load_state_dict(mine["batches"])
        self._begin(state["seconds"])
        self.sums.load_state_dict(state["sums"])
        _restore_random_state(mine["random"])


def _random_state(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = getattr(torch, device.type).get_rng_state()
    return states


def _restore_random_state(states: Mapping[str, Tensor]) -> None:
    for kind, state in states.items():
        (torch if kind == "cpu" else getattr(torch, kind)).set_rng_state(state)


def _identity(step: Step, train: Any, schedules: Sequence[Any]) -> dict[str, Any]:
    """What must be the same when a checkpoint is loaded, under names that an error can quote."""
    groups = [{**g, "params": len(g["params"])} for g in step.optimizer.state_dict()["param_groups"]]
    return {
        "model": {name: f"{t.dtype} {tuple(t.shape)}" for name, t in step.model.state_dict().items()},
        "optimizer": {"class": type(step.optimizer).__name__, "param_groups": _plain(groups)},
        "schedules": [{"class": type(s).__name__, **_plain(s.state_dict())} for s in schedules],
        "precision": step.precision,
        "clip": step.clip,
        "measures": list(step.measures),
        "batches of an epoch": len(train),
        "processes": processes.world_size(),
    }


def _plain(thing: Any) -> Any:
    """Settings without objects: numbers and strings stay, of tensors only small ones do."""
    if isinstance(thing, Mapping):
        return {str(k): _plain(v) for k, v in thing.items()}
    if isinstance(thing, list | tuple):
        return [_plain(v) for v in thing]
    if isinstance(thing, Tensor):
        return thing.tolist() if thing.numel() <= 16 else str(tuple(thing.shape))
    return thing if isinstance(thing, str | int | float | bool | None) else type(thing).__name__


def differences(saved: Any, here: Any, name: str = "") -> Iterator[str]:
    """Yield what differs between two identities, in words."""
    if isinstance(saved, Mapping) and isinstance(here, Mapping):
        for key in [*saved, *(k for k in here if k not in saved)]:
            yield from differences(saved.get(key, "absent"), here.get(key, "absent"), f"{name}.{key}" if name else key)
    elif isinstance(saved, list) and isinstance(here, list) and len(saved) == len(here):
        for i, (a, b) in enumerate(zip(saved, here, strict=True)):
            yield from differences(a, b, f"{name}[{i}]")
    elif saved != here:
        yield f"{name} is {here!r} here and {saved!r} there"
