"""Noisy and blurred images beside the clean ones, the same on every device."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bregtutorial.data._random import bits
from bregtutorial.data.loader import Loader

STEPS = 2**16


class Corrupted:
    r"""Iterate over ``(corrupted, clean)`` instead of ``(images, labels)``, with pixels in units where white is 1.

    .. math:: \text{corrupted} = k * \text{clean} + \sigma\,\varepsilon,\qquad
        \varepsilon_i\sim\mathcal N(0, 1)\ \text{independent}

    with a Gaussian kernel :math:`k` or none. The noise is not clipped to [0, 1]. It depends on the loader's ``seed``,
    the epoch and the image's place in the data set, not on batches, processes or the device: it is drawn on the CPU
    from raw random bits, and the blur adds shifted images in one order. An epoch's noise takes two bytes a pixel.

    Args:
        loader: gives the clean images, cropped and flipped if it does so; built with ``normalise=False``.
        noise: :math:`\sigma`, standard deviation of the noise, >= 0.
        blur: ``(size, sigma)`` of the kernel in pixels, ``size`` odd; ``None`` leaves images sharp. Beyond the border
            the pixels of the border are repeated.
        fresh: draw new noise for every epoch, for training. ``False`` repeats that of the first, so that a test set
            stays one and the same.

    Raises:
        ValueError: ``noise`` or ``blur`` is out of range, or the loader normalises.

    Example:
        >>> import bregtutorial as bt
        >>> loader = Loader(bt.load_dataset("digits", "test"), 500, shuffle=False, normalise=False)
        >>> test = Corrupted(loader, noise=0.2, fresh=False)
        >>> noisy, clean = next(iter(test))
        >>> tuple(noisy.shape), f"{(noisy - clean).std():.2f}"
        ((500, 1, 28, 28), '0.20')

    References:
        Vincent et al. (2010), "Stacked denoising autoencoders", JMLR 11, section 3; Bungert et al. (2022), section 4.6.

    Book: Experiments, "The denoising autoencoder"; Experiments, "Architecture search".
    """

    def __init__(
        self, loader: Loader, *, noise: float = 0.1, blur: tuple[int, float] | None = None, fresh: bool = True
    ) -> None:
        if not 0 <= noise < math.inf:
            raise ValueError(f"noise is a standard deviation and must be finite and >= 0, got {noise}")
        if bool((loader._shift != 0).any()) or bool((loader._scale != 255).any()):
            raise ValueError("noise is in units where white is 1: build the loader with normalise=False")
        self.loader, self.noise, self.blur, self.fresh = loader, float(noise), blur, fresh
        self.device = loader.dataset.images.device
        self._kernel = None if blur is None else gaussian_kernel(*blur)
        self._levels = (normal_levels() * self.noise).to(self.device)
        self._drawn: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for clean, _ in self.loader:
            images = clean if self._kernel is None else blurred(clean, self._kernel)
            if self.noise > 0:
                images = images + self._levels.index_select(0, self._levels_of(self.loader._rows)).view_as(clean)
            yield images, clean

    @property
    def epoch(self) -> int:
        """Number of the epoch, as the loader counts."""
        return self.loader.epoch

    def _levels_of(self, rows: Tensor) -> Tensor:
        """Which of the levels of noise every pixel of the images ``rows`` gets in the present epoch, in one row."""
        epoch = self.loader.epoch if self.fresh else 0
        if self._drawn is None or self._drawn[0] != epoch:
            shape = self.loader.dataset.images.shape
            stream = "noise" if self.fresh else "fixed noise"  # so that a test set shares none with training
            raw = bits(-(-shape.numel() // 4), stream, self.loader.seed, epoch)
            words = raw.astype("<u8", copy=False).view("<i2").astype(np.int16, copy=False)  # one order of the bytes
            self._drawn = epoch, torch.from_numpy(words[: shape.numel()].reshape(shape)).to(self.device)
        return self._drawn[1][rows].view(-1).int() + STEPS // 2

    def state_dict(self) -> dict[str, object]:
        """Return plain data: the loader's state, and how images are corrupted."""
        blur = None if self.blur is None else list(self.blur)
        return {**self.loader.state_dict(), "noise": self.noise, "blur": blur, "fresh": self.fresh}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where ``state`` was saved: the next ``for`` loop gives the rest of that epoch, with its noise.

        Raises:
            ValueError: the state is of another corruption or another loader; the message names what differs.
        """
        for name in ("noise", "blur", "fresh"):
            mine = self.state_dict()[name]
            if state.get(name) != mine:
                raise ValueError(f"the state was saved with {name}={state.get(name)!r}, here it is {mine!r}")
        self.loader.load_state_dict(state)


@functools.cache
def normal_levels() -> Tensor:
    """Return 65,536 equally likely numbers, in order, with mean 0 and variance 1: the normal law in 16 bits.

    They are the quantiles in the middle of as many equal parts. To draw one is to look up 16 random bits, which gives
    the same float32 on every device; logarithms and cosines would not.

    Example:
        >>> levels = normal_levels()
        >>> f"{levels.max():.2f}", f"{(levels.abs() < 1.96).float().mean():.3f}"
        ('4.32', '0.950')
    """
    quantiles = torch.special.ndtri((torch.arange(STEPS, dtype=torch.float64) + 0.5) / STEPS)
    levels: Tensor = quantiles / quantiles.square().mean().sqrt()
    return levels.float()


def gaussian_kernel(size: int, sigma: float) -> list[float]:
    """Return ``size`` weights that add to 1 and fall as a Gaussian of ``sigma`` pixels.

    Raises:
        ValueError: ``size`` is not odd and positive, or ``sigma`` not positive.

    Example:
        >>> [round(weight, 2) for weight in gaussian_kernel(3, 1.0)]
        [0.27, 0.45, 0.27]
    """
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise ValueError(f"blur=(size, sigma) needs an odd number of pixels as its size, got {size!r}")
    if not 0 < sigma < math.inf:
        raise ValueError(f"blur=(size, sigma) needs a sigma > 0, got {sigma}")
    weights = [math.exp(-0.5 * ((k - size // 2) / sigma) ** 2) for k in range(size)]
    return [weight / sum(weights) for weight in weights]


def blurred(images: Tensor, kernel: list[float]) -> Tensor:
    """Convolve ``(B, C, H, W)`` with the product of ``kernel`` along rows and along columns.

    It sums shifted images one after the other: a convolution would add in an order that differs between devices.

    Example:
        >>> blurred(torch.tensor([[[[0.0, 0.0, 4.0, 0.0, 0.0]]]]), [0.25, 0.5, 0.25])
        tensor([[[[0., 1., 2., 1., 0.]]]])
    """
    reach = len(kernel) // 2
    for dim, pad in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
        padded, n = F.pad(images, pad, mode="replicate"), images.shape[dim]
        shifted = [padded.narrow(dim, k, n) * weight for k, weight in enumerate(kernel)]
        images = functools.reduce(torch.add, shifted)
    return images
