"""Time of alternatives, measured side by side."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch


def timings(
    alternatives: Mapping[str, Callable[[], Any]], *, rounds: int = 15, seconds: float = 0.01
) -> dict[str, list[float]]:
    """Seconds of one call of each alternative, once a round.

    In every round each alternative has its turn, in an order that is reversed from round to round, so that a machine
    that slows down slows them all. Take the median over the rounds for a time, and the median of quotients of the same
    round for a ratio. Every alternative is called twice before the clock starts. On a device with its own queue the
    clock waits for the queue to empty.

    Args:
        alternatives: functions without arguments, by name.
        rounds: turns of each.
        seconds: a turn repeats a function for about so long, at least once, and takes the mean: the clock and the
            waiting cost the same for all.

    Returns:
        For each name one number a round.

    Raises:
        ValueError: if ``rounds`` is less than 1.

    Example:
        >>> x = torch.ones(1000)
        >>> found = timings({"add": lambda: x + x, "sort": lambda: x.sort()}, rounds=3, seconds=0)
        >>> len(found["add"]), min(found["sort"]) > 0
        (3, True)

    Book: Frontiers, "From zeros to speed".
    """
    if rounds < 1:
        raise ValueError(f"rounds must be >= 1, got {rounds}")
    collecting = gc.isenabled()
    gc.disable()  # as timeit does: a collection would fall on whoever has the turn
    try:
        calls = {name: _calls(call, seconds) for name, call in alternatives.items()}
        found: dict[str, list[float]] = {name: [] for name in alternatives}
        for turn in range(rounds):
            order = list(alternatives)
            for name in order if turn % 2 else reversed(order):
                found[name].append(_mean_time(alternatives[name], calls[name]))
        return found
    finally:
        if collecting:
            gc.enable()


def _calls(call: Callable[[], Any], seconds: float) -> int:
    _mean_time(call, 1)  # the first call allocates and compiles
    return max(1, int(seconds / max(_mean_time(call, 1), 1e-9)))


def _mean_time(call: Callable[[], Any], calls: int) -> float:
    _wait()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    _wait()
    return (time.perf_counter() - start) / calls


def _wait() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
