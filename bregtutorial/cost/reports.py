"""All costs of a network, and of a network before and after."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn

from bregtutorial.cost.counting import flops
from bregtutorial.cost.memory import peak_memory
from bregtutorial.cost.timing import timings
from bregtutorial.tables import format_table

UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
LABELS = {
    "parameters": "parameters",
    "nonzero": "parameters that are not zero",
    "bytes": "bytes on disk",
    "flops": "FLOPs",
    "sparse_flops": "FLOPs if zeros cost nothing",
    "seconds": "seconds, measured",
    "memory": "bytes in memory at most",
}


@dataclass(frozen=True, repr=False)
class Cost:
    """What one network costs, for one forward pass of a given batch; shows as a table.

    Attributes:
        parameters: entries of all parameters.
        nonzero: those that are not zero.
        bytes: size of the file that ``torch.save`` makes of the ``state_dict``.
        flops: two a MAC, zeros included: what is really computed.
        sparse_flops: FLOPs that are left if every zero weight were skipped for free: theory, a bound.
        seconds: median time of a forward pass in evaluation mode, without gradients.
        memory: what such a pass holds at most beyond model and input, see :func:`peak_memory`.

    Book: Frontiers, "From zeros to speed".
    """

    parameters: int
    nonzero: int
    bytes: int
    flops: int
    sparse_flops: float
    seconds: float
    memory: int

    def __repr__(self) -> str:
        return format_table(["cost", "value"], [(label, _short(getattr(self, k))) for k, label in LABELS.items()])


@dataclass(frozen=True, repr=False)
class CostReport:
    """The costs of two networks side by side; shows as a table.

    Attributes:
        before: of the first.
        after: of the second.
        speedup: time before / time after: the median over rounds in which both had their turn.
        conditions: batch, device and number of threads of the measurement.

    Book: Frontiers, "From zeros to speed".
    """

    before: Cost
    after: Cost
    speedup: float
    conditions: str

    def __repr__(self) -> str:
        rows = []
        for key, label in LABELS.items():
            old, new = getattr(self.before, key), getattr(self.after, key)
            ratio = self.speedup if key == "seconds" else old / new if new else float("inf")
            rows.append((label, _short(old), _short(new), f"{ratio:.2f}"))
        return f"{self.conditions}\n{format_table(['cost', 'before', 'after', 'before / after'], rows)}"


def measure(model: nn.Module, x: Tensor, *, rounds: int = 15) -> Cost:
    """Count and measure what ``model(x)`` costs, in evaluation mode and without gradients.

    Args:
        model: on the same device as ``x``. Its mode is restored.
        x: the batch; time, FLOPs and memory are those of all of it.
        rounds: passes whose median is the time.

    Raises:
        ValueError: if ``rounds`` is less than 1 or torch cannot tell the memory of this device.

    Example:
        >>> cost = measure(nn.Linear(100, 10), torch.zeros(8, 100), rounds=3)
        >>> cost.parameters, cost.flops, cost.memory
        (1010, 16000, 320)

    Book: Frontiers, "From zeros to speed".
    """
    return _measure([model], x, rounds)[0][0]


def report(before: nn.Module, after: nn.Module, x: Tensor, *, rounds: int = 15) -> CostReport:
    """Costs of two networks for the same batch, their times measured in turns.

    Three rows speak of FLOPs: those of ``before`` are what a dense network computes, *if zeros cost nothing* is what
    its zeros promise, and those of ``after`` are what is left to compute if it is the compacted network.

    Args:
        before: for example the network as it was trained.
        after: for example ``bt.compact(before)``.
        x: the batch.
        rounds: turns of each.

    Raises:
        ValueError: as for :func:`measure`.

    Example:
        >>> wide, narrow = nn.Linear(100, 10), nn.Linear(100, 5)
        >>> found = report(wide, narrow, torch.zeros(8, 100), rounds=3)
        >>> found.before.flops / found.after.flops
        2.0

    Book: Frontiers, "From zeros to speed".
    """
    costs, times = _measure([before, after], x, rounds)
    speedup = median(a / b for a, b in zip(*times, strict=True))
    batch, threads = "x".join(map(str, x.shape)), torch.get_num_threads()
    where = torch.cuda.get_device_name(x.device) if x.is_cuda else f"{x.device.type}, {threads} threads"
    return CostReport(costs[0], costs[1], speedup, f"batch {batch}, {where}; 2 FLOPs a MAC")


def _measure(models: Sequence[nn.Module], x: Tensor, rounds: int) -> tuple[list[Cost], list[list[float]]]:
    counted = [flops(model, x) for model in models]
    with torch.no_grad(), _evaluating(models):
        calls = {str(i): partial(model, x) for i, model in enumerate(models)}
        times = list(timings(calls, rounds=rounds).values())
        peaks = [peak_memory(call, x.device) for call in calls.values()]
    costs = [
        Cost(
            sum(p.numel() for p in model.parameters()),
            sum(int(p.count_nonzero()) for p in model.parameters()),
            _file_size(model),
            found.dense,
            found.sparse,
            median(seconds),
            peak,
        )
        for model, found, seconds, peak in zip(models, counted, times, peaks, strict=True)
    ]
    return costs, times


@contextmanager
def _evaluating(models: Sequence[nn.Module]) -> Iterator[None]:
    training = [module for model in models for module in model.modules() if module.training]
    try:
        for model in models:
            model.eval()
        yield
    finally:
        for module in training:
            module.training = True


def _file_size(model: nn.Module) -> int:
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.tell()


def _short(x: float) -> str:
    """Three digits and a letter for thousands, millions, billions."""
    if 0 < x < 1:
        return f"{1e3 * x:.3g}m"
    return next((f"{x / size:.3g}{letter}" for size, letter in UNITS if x >= size), f"{x:g}")
