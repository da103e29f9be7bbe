"""What an autoencoder has to beat: denoisers without a network, on the test images and the noise of the recipes.

    python benchmarks/denoisers.py                    # all 10,000 test images of MNIST
    python benchmarks/denoisers.py --data digits      # those that need no download

PCA keeps the leading components of the training images; the linear filter is the best linear map there is, Wiener's,
which shrinks every component. The others are scikit-image's. Whatever has a parameter is tuned on training images,
by PSNR; its value stands in the table.
"""

from collections.abc import Callable, Iterable, Sequence

import _harness
import numpy as np
import torch
from skimage import restoration
from torch import Tensor

import bregtutorial as bt
from bregtutorial.data import Corrupted, ImageSet, Loader
from bregtutorial.quality import psnr, ssim

COLUMNS = {"denoiser": "", "tuned": "", "SSIM": ".3f", "PSNR": ".2f"}
TUNING = 200  # training images for tuning: the methods of scikit-image take milliseconds an image
Denoiser = Callable[[Tensor], Tensor]


def components(train: ImageSet) -> tuple[Tensor, Tensor, Tensor]:
    """Mean image, variances along the principal directions, largest first, and these directions as columns."""
    x, _ = next(iter(Loader(train, len(train), shuffle=False, normalise=False)))
    x = x.flatten(1).double()
    mean = x.mean(0)
    variances, directions = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    return mean, variances.flip(0).clamp_min(0), directions.flip(1)


def shrink(mean: Tensor, directions: Tensor, factors: Tensor) -> Denoiser:
    """The affine map that multiplies each component by its factor."""
    matrix = directions * factors @ directions.T
    return lambda y: (mean + (y.flatten(1).double() - mean) @ matrix).float().reshape(y.shape)


def each(restore: Callable[[np.ndarray], np.ndarray]) -> Denoiser:
    """A method for one grey image, applied to all of a batch."""
    return lambda y: torch.from_numpy(np.stack([restore(image) for image in y[:, 0].numpy()])).float()[:, None]


def families(train: ImageSet, noise: float) -> dict[str, dict[str, Denoiser]]:
    """Every method, with the values of its parameter that are tried."""
    mean, variances, directions = components(train)
    wiener = variances / (variances + noise**2)
    counts = torch.arange(len(variances))
    return {
        "none": {"": lambda y: y},
        "PCA": {f"k={k}": shrink(mean, directions, (counts < k).double()) for k in range(20, 201, 10)},
        "best linear map": {"": shrink(mean, directions, wiener)},
        "total variation": {
            f"weight={w:.2g}": each(lambda image, w=w: restoration.denoise_tv_chambolle(image, weight=w))
            for w in noise * np.array([0.3, 0.5, 0.7, 0.9, 1.2])
        },
        "non-local means": {
            f"h={h:.2g}": each(
                lambda image, h=h: restoration.denoise_nl_means(
                    image, h=h, sigma=noise, patch_size=5, patch_distance=6, fast_mode=True
                )
            )
            for h in noise * np.array([0.2, 0.4, 0.6, 0.8, 1.0])
        },
    }


def pairs(images: ImageSet, noise: float) -> Iterable[tuple[Tensor, Tensor]]:
    """The recipes' test batches."""
    return Corrupted(Loader(images, 500, shuffle=False, normalise=False), noise=noise, fresh=False)


def judge(denoise: Denoiser, images: ImageSet, noise: float) -> tuple[float, float]:
    """Mean SSIM and PSNR over all images."""
    found = [(len(clean), denoise(noisy), clean) for noisy, clean in pairs(images, noise)]
    return tuple(sum(n * f(x, y).item() for n, x, y in found) / len(images) for f in (ssim, psnr))


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(__doc__, argv, data="mnist", noise=0.2, size=0)
    train = bt.load_dataset(options.data)
    test = bt.load_dataset(options.data, "test", size=options.size or None)
    part, rows = train.subset(torch.arange(TUNING)), []
    for name, tried in families(train, options.noise).items():
        value = max(tried, key=lambda value: judge(tried[value], part, options.noise)[1])
        quality = judge(tried[value], test, options.noise)
        rows.append({"denoiser": name, "tuned": value, "SSIM": quality[0], "PSNR": quality[1]})
    facts = {"data": repr(test), "noise": options.noise}
    _harness.record("denoisers", {"main": (COLUMNS, rows)}, **facts)


if __name__ == "__main__":
    main()
