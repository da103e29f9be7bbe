"""Several processes that train one network together: which of them is this, and the little that they tell each other.

Started by ``torchrun --nproc-per-node 4 script.py``, which puts rank and number of the processes into the environment.

Book: Frontiers, "Scaling out".
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

__all__ = ["Process", "distributed"]
_MEETINGS = itertools.count()


@dataclass(frozen=True)
class Process:
    """One of the processes that train together.

    Attributes:
        rank: its number, from 0.
        world_size: how many there are.
        device: where it computes.

    Book: Frontiers, "Scaling out".
    """

    rank: int
    world_size: int
    device: torch.device


@contextmanager
def distributed(device: str | torch.device | None = None, *, timeout: float = 600.0) -> Iterator[Process]:
    """Join the other processes that ``torchrun`` started; alone, be the only one.

    GPUs speak NCCL, CPUs gloo.

    Args:
        device: ``"cuda"`` (one GPU a process) or ``"cpu"``; default: CUDA if it is there.
        timeout: seconds that a process waits for the others before it gives up, so that no death goes unnoticed.

    Yields:
        This process: give ``rank`` and ``world_size`` to the loaders, and put the model on ``device``.

    Raises:
        ValueError: there are more processes on this machine than GPUs.

    Example:
        >>> with distributed("cpu") as here:
        ...     print(here.rank, here.world_size)
        0 1

    Book: Frontiers, "Scaling out".
    """
    rank, local, world = (int(os.environ.get(k, d)) for k, d in (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 1)))
    place = _place(device)
    if place.type == "cuda":
        if world == 1 and place.index is not None:
            local = place.index
        if local >= torch.cuda.device_count():
            found = torch.cuda.device_count()
            way_out = "start torchrun with fewer processes" if found else "take device='cpu'"
            raise ValueError(f"process {local} needs a GPU of its own, found {found}: {way_out}")
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
    if world == 1:
        yield Process(0, 1, place)
        return
    if _joined():  # by an outer block, which will also leave
        yield Process(rank, world, place)
        return
    limit, backend = timedelta(seconds=timeout), "nccl" if place.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=_meeting_point(limit), rank=rank, world_size=world, timeout=limit)
    try:
        yield Process(rank, world, place)
    finally:
        dist.destroy_process_group()


def _place(device: str | torch.device | None) -> torch.device:
    try:
        return torch.device(device if device is not None else "cuda" if torch.cuda.is_available() else "cpu")
    except RuntimeError as error:
        raise ValueError(f"device must be 'cpu', 'cuda' or 'mps', got {device!r}") from error


@functools.cache
def _board() -> Any:
    """Where processes leave word for each other, kept by ``torchrun`` as long as it runs."""
    return next(dist.rendezvous("env://"))[0]  # type: ignore[attr-defined]


def _meeting_point(limit: timedelta) -> Any:
    """A part of the board for those who meet now: the addresses of their last meeting are still on it."""
    _board().set_timeout(limit)
    return dist.PrefixStore(f"meeting-{next(_MEETINGS)}", _board())  # type: ignore[attr-defined]


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Number of this process, 0 if it is alone."""
    return dist.get_rank() if _joined() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _joined() else 1


def total(numbers: Sequence[float]) -> list[float]:
    """Sum every number over the processes; all get the result."""
    if world_size() == 1:
        return list(numbers)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    sums = torch.tensor(numbers, dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    return list(sums.tolist())


def gather(thing: Any) -> list[Any]:
    """What every process has under this name, by rank; all get the list."""
    things = [thing] * world_size()
    if world_size() > 1:
        dist.all_gather_object(things, thing)
    return things


def tell(thing: Any) -> Any:
    """What process 0 has, for all of them."""
    things = [thing]
    if world_size() > 1:
        dist.broadcast_object_list(things)
    return things[0]


@torch.no_grad()
def share(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors by those of process 0, such as the running statistics of batch normalisation."""
    if world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


@torch.no_grad()
def average(gradients: Iterable[Tensor | None]) -> None:
    """Overwrite gradients by their mean over the processes, in one message."""
    present = [g for g in gradients if g is not None]
    if world_size() == 1 or not present:
        return
    message = torch.cat([g.reshape(-1) for g in present])
    dist.all_reduce(message)
    message /= world_size()
    for g, mean in zip(present, torch.split(message, [g.numel() for g in present]), strict=True):
        g.copy_(mean.view_as(g))
