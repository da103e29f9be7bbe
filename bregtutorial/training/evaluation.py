"""Loss and metrics of a data set: sums over images, divided once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bregtutorial import processes
from bregtutorial.tiers import one_of

Measure = Callable[[Tensor, Tensor], Tensor]
Batches = Iterable[tuple[Tensor, Tensor]]
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
REMEDY = "take a smaller lr, or clip gradients (clip=1.0), or look for inputs that are not finite"
PENDING = 256  # batches whose loss may wait on the device before it is looked at


def accuracy(output: Tensor, y: Tensor) -> Tensor:
    """Fraction of the images whose largest output is that of their class."""
    hits = output.argmax(dim=1) == y
    return hits.to(torch.float32 if hits.device.type == "mps" else torch.float64).mean()


def measures_of(loss: Measure, metrics: Mapping[str, Measure] | None) -> dict[str, Measure]:
    """The loss under the name ``loss``, then the metrics; the default ones if there are none."""
    if metrics is None:
        metrics = {"accuracy": accuracy} if loss is F.cross_entropy or isinstance(loss, nn.CrossEntropyLoss) else {}
    if "loss" in metrics:
        raise ValueError("metrics must not hold 'loss': that is the name of the loss; choose another")
    return {"loss": loss, **metrics}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which the network computes: half precision where that is asked for and safe."""
    dtype = PRECISIONS[one_of("precision", precision, PRECISIONS)]
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def place(x: Tensor, device: torch.device, channels_last: bool) -> Tensor:
    """Put a batch of images where the model is, in the memory format that it has."""
    x = x.to(device, non_blocking=True)
    return x.contiguous(memory_format=torch.channels_last) if channels_last and x.ndim == 4 else x


class Sums:
    """Loss and metrics times the number of images, summed in float64 and batch by batch, whenever they are looked at.

    A value that is taken from a GPU makes it wait. So values stay there until somebody asks, or there are many.

    Args:
        names: of loss and metrics.
        where: says, for the error, when the loss stopped being a number.
    """

    def __init__(self, names: Sequence[str], where: Callable[[int], str]) -> None:
        self.names, self.where = list(names), where
        self.totals, self.images, self.batches = [0.0] * len(self.names), 0, 0
        self._pending: list[tuple[Tensor, int]] = []

    def add(self, values: Sequence[Tensor], n: int) -> None:
        """Note the means over a batch of ``n`` images."""
        wide = torch.float32 if values[0].device.type == "mps" else torch.float64
        self._pending.append((torch.stack([v.detach().to(values[0].device, wide) for v in values]), n))
        if len(self._pending) >= PENDING:
            self.flush()

    def flush(self) -> None:
        """Add up what waits on the device.

        Raises:
            RuntimeError: a loss is not finite.
        """
        pending, self._pending = self._pending, []
        rows = torch.stack([values for values, _ in pending]).tolist() if pending else []
        for row, (_, n) in zip(rows, pending, strict=True):
            self.batches += 1
            if not math.isfinite(row[0]):
                raise RuntimeError(f"the loss is {row[0]} {self.where(self.batches)}")
            self.totals = [total + value * n for total, value in zip(self.totals, row, strict=True)]
            self.images += n

    def means(self, prefix: str) -> dict[str, float]:
        """Means over the images of all processes, named ``<prefix>_loss`` and so on.

        Raises:
            ValueError: there is no image.
        """
        self.flush()
        *totals, images = processes.total([*self.totals, self.images])
        if images == 0:
            raise ValueError(f"the batches of {prefix} gave no image; an iterator is used up after one pass")
        return {f"{prefix}_{name}": total / images for name, total in zip(self.names, totals, strict=True)}

    def state_dict(self) -> dict[str, object]:
        """Plain numbers, to go on summing after a stop."""
        self.flush()
        return {"totals": self.totals, "images": self.images, "batches": self.batches}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from ``state``."""
        vars(self).update(state)


@contextmanager
def mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Put a network into training or evaluation mode, and afterwards every module back into its own."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, flag in before:
            module.training = flag


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Batches,
    *,
    loss: Measure = F.cross_entropy,
    metrics: Mapping[str, Measure] | None = None,
    precision: str = "float32",
    channels_last: bool = False,
    name: str = "test",
) -> dict[str, float]:
    """Mean loss and metrics over the images of ``batches``, in evaluation mode and without gradients.

    Every batch counts by its number of images, so that a short last one has no more weight than it should. Several
    processes add up what each of them has seen.

    Args:
        model: afterwards, each of its modules is in the mode it was in.
        batches: pairs of a batch and its targets; they are moved to the model's device.
        loss: of outputs and targets, a mean over the batch.
        metrics: name to function, as ``loss``; default: the accuracy where the loss is the cross-entropy.
        precision: of the network's arithmetic, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        channels_last: whether the model has that memory format.
        name: what the results are called, before ``_loss`` and ``_accuracy``.

    Raises:
        ValueError: there is no image.
        RuntimeError: the loss of a batch is not finite.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.eye(2)), model.bias.zero_()
        >>> evaluate(model, [(torch.eye(2), torch.tensor([0, 1])), (torch.eye(2)[:1], torch.tensor([1]))])
        {'test_loss': 0.6465..., 'test_accuracy': 0.6666...}

    Book: Experiments, "MNIST and the MLP".
    """
    measures = measures_of(loss, metrics)
    device = device_of(model)
    sums = Sums(list(measures), lambda batch: f"in batch {batch} of {name}: {REMEDY}")
    with mode(model, training=False):
        for x, y in batches:
            with autocast(device, precision):
                output = model(place(x, device, channels_last))
                y = y.to(device, non_blocking=True)
                value = loss(output, y)
            sums.add([value, *(f(output, y) for f in list(measures.values())[1:])], len(x))
    return sums.means(name)


def device_of(model: nn.Module) -> torch.device:
    """Where the first parameter lies."""
    return next(model.parameters()).device
