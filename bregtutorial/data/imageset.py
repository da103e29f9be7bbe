"""A set of labelled images in memory, with what is needed to tell it from another one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bregtutorial.data.splits import stratified_rank


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Labelled images of one size: the whole set is two tensors.

    Args:
        images: uint8, ``(N, C, H, W)``.
        labels: int64, ``(N,)``, indices into ``classes``.
        classes: their names.
        name: of the data set.
        split: ``"train"`` or ``"test"``, or a name of your own.
        source: one line that says where the images come from.
        mean, std: constants of every channel in [0, 1], with which a loader normalises. :func:`load_dataset` takes
            them from the training split for both splits. Default: those of ``images``.

    Raises:
        ValueError: the tensors do not fit together.

    Example:
        >>> images = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
        >>> dots = ImageSet(images, torch.tensor([0, 1]), ("dark", "bright"), "dots")
        >>> dots, dots.mean, dots.std
        (ImageSet dots/train: 2 images of 1x1x1, 2 classes, fingerprint 57bab5a5127427e3, (0.5,), (0.5,))

    Book: Foundations, "A first sparse network".
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str
    split: str = "train"
    source: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(f"images must be uint8 (N, C, H, W), got {self.images.dtype} {tuple(self.images.shape)}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            want = f"int64 ({len(self.images)},), one for each image"
            raise ValueError(f"labels must be {want}, got {self.labels.dtype} {tuple(self.labels.shape)}")
        if len(self.labels) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            found = f"{int(self.labels.min())} to {int(self.labels.max())}"
            raise ValueError(f"labels must be indices into the {len(self.classes)} classes, got {found}")
        if not self.mean:
            mean, std = channel_moments(self.images)
            object.__setattr__(self, "mean", mean)
            object.__setattr__(self, "std", std)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.images.shape[1:]))
        size = f"{len(self)} images of {shape}, {len(self.classes)} classes"
        return f"ImageSet {self.name}/{self.split}: {size}, fingerprint {self.fingerprint()}"

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits of the SHA-256 of shape, class names, images and labels.

        Equal sets have equal fingerprints on every machine; recorded runs store them.
        """
        digest = hashlib.sha256(repr((tuple(self.images.shape), self.classes)).encode())
        digest.update(self.images.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().contiguous().numpy().astype("<i8").data)
        return digest.hexdigest()[:16]

    def to(self, device: torch.device | str) -> ImageSet:
        """Return the same set with its tensors on ``device``."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def subset(self, rows: Tensor, split: str | None = None) -> ImageSet:
        """Return the images of the given rows, in that order; ``mean`` and ``std`` stay those of the whole."""
        rows = rows.to(self.labels.device)
        return replace(self, images=self.images[rows], labels=self.labels[rows], split=split or self.split)

    def hold_out(self, n: int, seed: int = 0) -> tuple[ImageSet, ImageSet]:
        """Return the set without ``n`` images, and these as a stratified validation set.

        Args:
            n: images to hold out, between 1 and the size of the set less 1.
            seed: chooses them.

        Raises:
            ValueError: ``n`` leaves one side empty.

        Example:
            >>> import bregtutorial as bt
            >>> train, valid = bt.load_dataset("textures", size=100).hold_out(20)
            >>> len(train), valid.split, valid.labels.bincount().tolist()
            (80, 'valid', [2, 2, 2, 2, 2, 2, 2, 2, 2, 2])

        Book: Experiments, "MNIST and the MLP".
        """
        if not 0 < n < len(self):
            raise ValueError(f"n must leave images on both sides, so lie in 1 .. {len(self) - 1}, got {n}")
        rank = stratified_rank(self.labels.cpu().numpy(), "hold out", seed)
        order = torch.from_numpy(rank).argsort(stable=True)
        return self.subset(order[:-n]), self.subset(order[-n:], "valid")


def channel_moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of every channel of uint8 images, in units of 255.

    They are made of the integer counts of the 256 values, so that every device gives the same floats.

    Raises:
        ValueError: there is no image.

    Example:
        >>> channel_moments(torch.tensor([0, 0, 255, 255], dtype=torch.uint8).reshape(1, 2, 1, 2))
        ((0.0, 1.0), (0.0, 0.0))
    """
    if images.numel() == 0:
        raise ValueError(f"images must hold at least one pixel, got shape {tuple(images.shape)}")
    means, stds = [], []
    for channel in images.unbind(1):
        counts = torch.bincount(channel.flatten(), minlength=256).tolist()
        n = sum(counts)
        first = sum(k * c for k, c in enumerate(counts))
        second = sum(k * k * c for k, c in enumerate(counts))
        means.append(first / (255 * n))
        stds.append((n * second - first**2) ** 0.5 / (255 * n))
    return tuple(means), tuple(stds)
