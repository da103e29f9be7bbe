r"""How close a restored image comes to the clean one: PSNR and SSIM.

Both take images in [0, 1] and clamp them to it first, as a screen would. They return means over a batch, as
:func:`bregtutorial.fit` wants its metrics.

Book: Experiments, "The denoising autoencoder".
"""

from __future__ import annotations

import importlib
import math
from types import ModuleType

import torch
from torch import Tensor

SIGMA = 1.5
REACH = 5  # the window has 2 * 5 + 1 pixels a side
AT_ONCE = 500  # images: more of them leave the processor's cache


def psnr(images: Tensor, clean: Tensor) -> Tensor:
    r"""Peak signal-to-noise ratio in decibels, the mean over a batch.

    .. math:: 10\log_{10}\frac{1}{\operatorname{mean}\,(x-y)^2}

    of each image. Equal images have the value infinity.

    Args:
        images: ``(B, ...)``, what is judged.
        clean: the same shape.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> clean = torch.zeros(2, 1, 28, 28)
        >>> f"{psnr(clean + 0.1, clean):.1f} dB"
        '20.0 dB'

    References:
        Gonzalez, Woods (2018), "Digital Image Processing", section 8.1.

    Book: Experiments, "The denoising autoencoder".
    """
    x, y = _pictures(images, clean)
    return -10 * (x - y).square().flatten(1).mean(1).log10().mean()


def ssim(images: Tensor, clean: Tensor) -> Tensor:
    r"""Structural similarity, at most 1, the mean over a batch of grey images.

    .. math:: \frac{(2\mu_x\mu_y+0.01^2)(2\sigma_{xy}+0.03^2)}
        {(\mu_x^2+\mu_y^2+0.01^2)(\sigma_x^2+\sigma_y^2+0.03^2)}

    of the means, variances and the covariance within a Gaussian window of 11x11 pixels with standard deviation 1.5, for
    data in [0, 1], averaged over all windows that lie within the image. It is scikit-image's
    ``structural_similarity``, called once for hundreds of images.

    Args:
        images: ``(B, 1, H, W)`` of at least 11x11 pixels, what is judged.
        clean: the same shape.

    Raises:
        ValueError: the shapes differ, or the images are not grey or have fewer than 11x11 pixels.
        ImportError: scikit-image is not installed.

    Example:
        >>> clean = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
        >>> f"{ssim(clean, clean):.3f} {ssim(1 - clean, clean):.1f}"
        '1.000 -1.0'

    References:
        Wang, Bovik, Sheikh, Simoncelli (2004), "Image quality assessment: from error visibility to structural
        similarity", Eq. 13.

    Book: Experiments, "The denoising autoencoder".
    """
    x, y = _pictures(images, clean)
    if x.ndim != 4 or x.shape[1] != 1 or min(x.shape[2:]) <= 2 * REACH:
        raise ValueError(f"ssim needs grey images (B, 1, H, W) of at least 11x11 pixels, got {tuple(x.shape)}")
    pairs = zip(torch.split(x, AT_ONCE), torch.split(y, AT_ONCE), strict=True)
    total = math.fsum(_ssim_of_a_column(*pair) for pair in pairs)
    return torch.tensor(total / len(x), dtype=torch.float32)


def _ssim_of_a_column(x: Tensor, y: Tensor) -> float:
    """Sum over images that are put one below the other; a window that would see two of them is left out."""
    b, _, h, w = x.shape
    columns = (t.cpu().double().reshape(b * h, w).numpy() for t in (x, y))
    settings = {"gaussian_weights": True, "sigma": SIGMA, "use_sample_covariance": False, "data_range": 1.0}
    _, values = _metrics().structural_similarity(*columns, full=True, **settings)
    inner = values.reshape(b, h, w)[:, REACH:-REACH, REACH:-REACH]
    return float(inner.mean(axis=(1, 2)).sum())


def _pictures(images: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    if images.shape != clean.shape:
        raise ValueError(f"images and clean must have one shape, got {tuple(images.shape)} and {tuple(clean.shape)}")
    return images.detach().float().clamp(0, 1), clean.detach().float().clamp(0, 1)


def _metrics() -> ModuleType:
    try:
        return importlib.import_module("skimage.metrics")
    except ImportError as error:
        raise ImportError('ssim is scikit-image\'s, so it needs pip install "scikit-image>=0.24"') from error
