"""Images that grow while a network learns: small ones first, because they are cheap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from bregtutorial.data.loader import Loader


class Resized:
    """Iterate over ``(images, labels)`` of a loader with images of a size that depends on the epoch.

    The cost of a convolution is proportional to the number of pixels: at half the side an epoch costs a quarter.
    A network that ends in a mean over the pixels, such as :func:`bregtutorial.models.resnet`, takes every size. Images
    are scaled by linear interpolation with a filter against aliasing.

    Args:
        loader: gives the images, augmented at their full size.
        sizes: first epoch, counted from 0, -> side in pixels from then on. Before the first, images stay as they are.
        clock: for a test set, the training loader whose last epoch decides; default: ``loader``, by its own epochs.

    Raises:
        ValueError: ``sizes`` is empty, an epoch is negative or a side is not positive.

    Example:
        >>> import bregtutorial as bt
        >>> loader = Loader(bt.load_dataset("textures", size=20), 20)
        >>> train = Resized(loader, {0: 16, 2: 32})
        >>> [images.shape[-1] for epoch in range(3) for images, labels in train]
        [16, 16, 32]

    References:
        Tan and Le (2021), "EfficientNetV2: Smaller Models and Faster Training", section 4, where images grow.

    Book: Experiments, "CIFAR-10 and ResNet-18".
    """

    def __init__(self, loader: Loader, sizes: Mapping[int, int], *, clock: Loader | None = None) -> None:
        if not sizes or any(epoch < 0 or side < 1 for epoch, side in sizes.items()):
            raise ValueError(f"sizes must map epochs >= 0 to sides >= 1, such as {{0: 16, 8: 32}}, got {dict(sizes)}")
        self.loader, self.clock = loader, clock
        self.sizes = {int(epoch): int(side) for epoch, side in sorted(sizes.items())}

    def __len__(self) -> int:
        return len(self.loader)

    @property
    def epoch(self) -> int:
        """Number of the epoch that decides on the size."""
        # a training loader counts on when its epoch is over, which is when a test set is asked for
        return self.loader.epoch if self.clock is None else max(self.clock.epoch - 1, 0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in self.loader:
            side = next((side for first, side in reversed(self.sizes.items()) if first <= self.epoch), None)
            if side is not None and images.shape[-2:] != (side, side):
                images = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
            yield images, labels

    def state_dict(self) -> dict[str, Any]:
        """Return plain data: the loader's state and the sizes."""
        return {**self.loader.state_dict(), "sizes": [[epoch, side] for epoch, side in self.sizes.items()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was saved.

        Raises:
            ValueError: the state has other sizes or is of another loader; the message names what differs.
        """
        sizes = {int(epoch): int(side) for epoch, side in state.get("sizes", ())}
        if sizes != self.sizes:
            raise ValueError(f"the state was saved with sizes={sizes}, here they are {self.sizes}")
        self.loader.load_state_dict(state)
