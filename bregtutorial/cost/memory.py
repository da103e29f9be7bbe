"""Peak memory of a call."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile


def peak_memory(call: Callable[[], Any], device: torch.device | str = "cpu") -> int:
    """Bytes that a call holds at most, beyond what was there before it.

    Counts what torch's allocator hands out: tensors, and also the workspaces and rearranged copies that a kernel keeps
    to itself, which are as large as the tensors in some convolutions. It counts neither Python's own memory nor what a
    library takes from the system behind torch's back. It is not the memory of the process, which grows in steps and
    rarely shrinks; so two calls give one number. On a CPU it comes from torch's profiler, on a CUDA device from the
    allocator's own statistics.

    Args:
        call: function without arguments. It is called twice: the first time it may build caches.
        device: where it computes.

    Raises:
        ValueError: if the device is neither a CPU nor a CUDA device.

    Example:
        >>> x = torch.ones(1000)
        >>> peak_memory(lambda: x.exp().log())
        8000

    Book: Frontiers, "From zeros to speed".
    """
    kind = torch.device(device).type
    if kind not in ("cpu", "cuda"):
        raise ValueError(
            f"device must be a CPU or a CUDA device, got {device!r}: torch has no such statistics for others"
        )
    call()
    return _cuda_peak(call, torch.device(device)) if kind == "cuda" else _cpu_peak(call)


def _cuda_peak(call: Callable[[], Any], device: torch.device) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _cpu_peak(call: Callable[[], Any]) -> int:
    with _silence(), profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as record:
        call()
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    steps = [e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]
    return max(accumulate(steps), default=0)


@contextmanager
def _silence() -> Iterator[None]:
    """The profiler's library reports its start from C++, where a redirection in Python is not heard."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
