"""Batches from a data set that lies, as one 8-bit tensor, on the device that trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from bregtutorial.data._random import permutation
from bregtutorial.data.augment import AUGMENTS, crop_flip, draw
from bregtutorial.data.imageset import ImageSet
from bregtutorial.tiers import one_of


class Loader:
    """Iterate over the batches ``(images, labels)`` of a data set; each ``for`` loop is the next epoch.

    The images stay 8-bit on the device, and only a batch becomes float32: ``(x / 255 - mean) / std``. Order, crops and
    flips are drawn on the CPU from ``seed`` and the number of the epoch, so they are the same on every device and
    touch no global generator. There are no worker processes.

    Args:
        dataset: an :class:`ImageSet`.
        batch_size: images of a batch of this process, at least 1. One step of all sees ``world_size`` times as many.
        shuffle: draw a new order for every epoch.
        augment: ``"crop"`` shifts each image by up to 4 pixels either way and fills with 0, ``"flip"`` mirrors each
            with probability 1/2, ``"crop-flip"`` does both, ``None`` neither. For training only.
        normalise: ``True`` takes the data set's ``mean`` and ``std``, which are those of the training split; a pair
            ``(mean, std)`` of sequences, one number a channel, takes these; ``False`` leaves pixels in [0, 1].
        drop_last: leave out a last batch that is not full. Needed to train with ``world_size > 1``, because the
            processes take equally many steps only then.
        seed: names the random draws.
        device: where the set lies and the batches come from. Default: where ``dataset`` lies.
        rank, world_size: this process and how many there are. Together they see each image once, and their batches
            number ``k`` together are batch ``k`` of one process with ``world_size * batch_size``.

    Raises:
        ValueError: an argument is out of range, or no batch is left.

    Example:
        >>> import bregtutorial as bt
        >>> train = bt.load_dataset("textures", size=50)
        >>> loader = Loader(train, 20, augment="crop-flip", seed=1)
        >>> [tuple(images.shape) for images, labels in loader]
        [(20, 3, 32, 32), (20, 3, 32, 32), (10, 3, 32, 32)]
        >>> loader.epoch
        1

    References:
        Jordan (2024), "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", whose loader keeps the set on the device, too.

    Book: Experiments, "CIFAR-10 and ResNet-18".
    """

    def __init__(
        self,
        dataset: ImageSet,
        batch_size: int,
        *,
        shuffle: bool = True,
        augment: str | None = None,
        normalise: bool | tuple[Sequence[float], Sequence[float]] = True,
        drop_last: bool = False,
        seed: int = 0,
        device: torch.device | str | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size must be an integer of at least 1, got {batch_size!r}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must lie in 0 .. world_size - 1 = {world_size - 1}, got {rank}")
        if augment is not None:
            one_of("augment", augment, AUGMENTS)
        self.dataset = dataset.to(dataset.images.device if device is None else device)
        self.batch_size, self.shuffle, self.augment, self.seed = batch_size, shuffle, augment, seed
        self.drop_last, self.rank, self.world_size = drop_last, rank, world_size
        self._shift, self._scale = self._normalisation(normalise)
        self._now = self._next = (0, 0)  # epoch and number of batches given out
        self._rows = torch.arange(0)  # places in the set of the images in the batch given out last
        if len(self) == 0:
            asked = f"batch_size={batch_size}, drop_last={drop_last}, rank={rank}, world_size={world_size}"
            raise ValueError(f"{len(dataset)} images give no batch with {asked}; take a smaller batch_size")

    def _normalisation(self, normalise: bool | tuple[Sequence[float], Sequence[float]]) -> tuple[Tensor, Tensor]:
        """Shift and scale in units of the 8-bit pixels; a constant channel is only shifted."""
        channels = self.dataset.images.shape[1]
        mean: Sequence[float] = (0.0,) * channels
        std: Sequence[float] = (1.0,) * channels
        if normalise is True:
            mean, std = self.dataset.mean, self.dataset.std
        elif normalise is not False:
            mean, std = normalise
        if len(mean) != channels or len(std) != channels:
            raise ValueError(f"normalise needs mean and std of {channels} channels, got {len(mean)} and {len(std)}")
        shift, scale = ([255 * value for value in values] for values in (mean, (s or 1.0 for s in std)))
        device = self.dataset.images.device
        return torch.tensor(shift, device=device).view(-1, 1, 1), torch.tensor(scale, device=device).view(-1, 1, 1)

    @property
    def epoch(self) -> int:
        """Number of the epoch that was begun last or, once it is over, of the next."""
        return self._now[0]

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size * self.world_size)
        return full + (not self.drop_last and rest > self.rank)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch, start = self._next
        self._now, self._next = (epoch, start), (epoch + 1, 0)
        device, n = self.dataset.images.device, len(self.dataset)
        order = torch.from_numpy(permutation(n, "order", self.seed, epoch)) if self.shuffle else torch.arange(n)
        moves = draw(n, self.augment, self.seed, epoch).to(device) if self.augment else None
        order = order.to(device)
        together = self.batch_size * self.world_size
        for batch in range(start, len(self)):
            rows = order[batch * together : (batch + 1) * together][self.rank :: self.world_size]
            images = self.dataset.images[rows]
            if moves is not None:
                images = crop_flip(images, moves[rows])
            self._now, self._rows = (epoch, batch + 1), rows
            yield images.float().sub_(self._shift).div_(self._scale), self.dataset.labels[rows]
        self._now = (epoch + 1, 0)

    def _recipe(self) -> dict[str, object]:
        """What must be the same for a resumed epoch to go on with the very same batches."""
        names = ("batch_size", "shuffle", "augment", "drop_last", "seed", "world_size")
        data = {"data": f"{self.dataset.name}/{self.dataset.split}", "images": len(self.dataset)}
        return {**data, **{name: getattr(self, name) for name in names}}

    def state_dict(self) -> dict[str, object]:
        """Return plain numbers: the epoch, the batches given out in it, and the recipe of the batches.

        Saved inside the loop, after the step on a batch, the next batch to come is the one after it.

        Example:
            >>> import bregtutorial as bt
            >>> loader = Loader(bt.load_dataset("textures", size=50), 20)
            >>> images, labels = next(iter(loader))
            >>> loader.state_dict()["epoch"], loader.state_dict()["batch"]
            (0, 1)
        """
        return {"epoch": self._now[0], "batch": self._now[1], **self._recipe()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where ``state`` was saved: the next ``for`` loop gives the rest of that epoch.

        Raises:
            ValueError: the state is of a loader with another recipe; the message names what differs.
        """
        for name, value in self._recipe().items():
            if state.get(name) != value:
                raise ValueError(f"the state was saved with {name}={state.get(name)!r}, this loader has {value!r}")
        epoch, batch = state.get("epoch"), state.get("batch")
        if not isinstance(epoch, int) or not isinstance(batch, int):
            raise ValueError(f"the state needs the integers epoch and batch, got {epoch!r} and {batch!r}")
        self._now = self._next = (epoch, batch)
