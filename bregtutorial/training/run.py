"""All that a run consists of, as plain data: where it is, and what tells it from another."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from bregtutorial import processes
from bregtutorial.sparsity import density
from bregtutorial.training.evaluation import REMEDY, Sums
from bregtutorial.training.identity import differences, identity
from bregtutorial.training.step import Step

Row = dict[str, float]
LOWEST_SCALE = 2.0**-10  # a GradScaler halves its factor at every step that it skips


class Run:
    """The state of a training: weights, duals, schedules, random numbers, place in the data, history.

    Args:
        take: what is done with a batch.
        train: the batches.
    """

    def __init__(self, take: Step, train: Any) -> None:
        self.take, self.train = take, train
        self.rows: list[Row] = []
        self.step = 0
        self.identity = identity(take, train)  # as it is before the first step
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

    def parts(self) -> Iterator[tuple[str, Any]]:
        """What brings a ``state_dict`` of its own, beside the model."""
        yield "optimizer", self.take.optimizer
        yield from ((f"schedules[{i}]", schedule) for i, schedule in enumerate(self.take.schedules))
        if self.resumable:
            yield "train", self.train

    def add_batch(self, x: Tensor, y: Tensor) -> None:
        """Take one step."""
        self.sums.add(self.take(x, y), len(x))
        self.step += 1

    def settle(self) -> None:
        """Bring the model up to date, for those who look at it: all levels, and the buffers of all processes."""
        if hasattr(self.take.optimizer, "sync"):
            self.take.optimizer.sync()
        processes.share(self.take.model.buffers())

    def not_finite(self) -> str | None:
        """Name of a weight that is NaN or infinite, if there is one."""
        names, weights = zip(*self.take.model.named_parameters(), strict=True)
        good = torch.stack([torch.isfinite(w).all() for w in weights]).tolist()
        return None if all(good) else str(names[good.index(False)])

    def end_epoch(self, results: Row) -> Row:
        """Close the epoch with its row; ``results`` are those of the test sets.

        Raises:
            RuntimeError: a loss or a weight is not finite.
        """
        means = self.sums.means("train")
        if bad := self.not_finite():  # of the last step no other batch would tell
            raise RuntimeError(f"{bad} is not finite after step {self.step}: {REMEDY}")
        if self.take.scaler.get_scale() < LOWEST_SCALE:
            raise RuntimeError(f"float16 overflows in every step up to {self.step}: {REMEDY}, or use 'bfloat16'")
        for schedule in self.take.schedules:
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(means["train_loss"])
        groups = self.take.optimizer.param_groups
        strengths = [float(g["lam"]) for g in groups if g.get("lam")]
        row: Row = {"epoch": len(self.rows) + 1, "step": self.step, **means, **results}
        if hasattr(self.take.optimizer, "sync"):  # one that trains another network writes its weights back
            self.take.optimizer.sync()
        row["density"] = density(self.take.model)
        row |= {"lr": float(groups[0]["lr"]), "lam": strengths[0] if strengths else 0.0, "seconds": self.seconds}
        self.rows.append(row)
        self._begin()
        return row

    def state_dict(self) -> dict[str, Any]:
        """Everything, of all processes; each of them must ask at the same step."""
        self.settle()
        mine = {"random": _random_state(self.take.device), "sums": self.sums.state_dict()}
        if self.resumable:
            mine["batches"] = self.train.state_dict()
        mine["generators"] = [generator.get_state() for generator in _generators(self.train)]
        return {
            "identity": self.identity,
            "step": self.step,
            "rows": self.rows,
            "seconds": self.seconds,
            "model": self.take.model.state_dict(),
            "optimizer": self.take.optimizer.state_dict(),
            "schedules": [schedule.state_dict() for schedule in self.take.schedules],
            "scaler": self.take.scaler.state_dict(),
            "processes": processes.gather(mine),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become the run that was saved.

        Raises:
            ValueError: it is another run; nothing has changed then.
        """
        found = [*differences(state["identity"], self.identity)]
        if found:
            raise ValueError("; ".join(found[:3]))
        mine = state["processes"][processes.rank()]
        if "batches" in mine:
            self.train.load_state_dict(mine["batches"])  # first, since it may still refuse
        self.step, self.rows = state["step"], state["rows"]
        self.take.model.load_state_dict(state["model"])
        self.take.optimizer.load_state_dict(state["optimizer"])
        for schedule, saved in zip(self.take.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
        self.take.scaler.load_state_dict(state["scaler"])
        self._begin(state["seconds"])
        self.sums.load_state_dict(mine["sums"])
        for generator, random in zip(_generators(self.train), mine.get("generators", ()), strict=False):
            generator.set_state(random)
        for kind, random in mine["random"].items():
            if kind in ("cpu", self.take.device.type):  # a run may go on elsewhere
                _random_module(kind).set_rng_state(random, *_which(kind, self.take.device))


def _generators(train: Any) -> list[torch.Generator]:
    """What a ``DataLoader`` and its sampler draw from, where that is not torch's global generator."""
    found = [getattr(owner, "generator", None) for owner in (train, getattr(train, "sampler", None))]
    return [generator for generator in found if isinstance(generator, torch.Generator)]


def _random_module(kind: str) -> Any:
    return torch if kind == "cpu" else getattr(torch, kind)


def _random_state(device: torch.device) -> dict[str, Tensor]:
    kinds = ("cpu", device.type)
    return {kind: _random_module(kind).get_rng_state(*_which(kind, device)) for kind in kinds}


def _which(kind: str, device: torch.device) -> tuple[torch.device, ...]:
    """Whose generator: a GPU must be named, or the current one would be asked."""
    return (device,) if kind == "cuda" else ()
