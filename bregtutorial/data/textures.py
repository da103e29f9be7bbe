"""Generated colour images: ten classes of textured shapes, for every place that the real data sets do not reach.

The class is a pair of a shape and a texture. The texture mixes a dark and a bright colour on a background between them.
Colours, position, size, both rotations, the period and phase of the texture, the background and the noise are random
and drawn alike for all classes, so that no pixel tells the class by itself: a linear model learns little, a small
convolutional network learns it well. ``benchmarks/textures.py`` measures both.

Only ``+ - * /``, square roots, comparisons and rounding touch the numbers. IEEE 754 defines those to the last bit,
which sines and cosines are not, so the images are identical on every machine.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bregtutorial.data._random import bits, uniform
from bregtutorial.data.imageset import ImageSet, channel_moments

Array = npt.NDArray[np.floating[Any]]  # float32 throughout; the type checker cannot follow that
SIZE = 32
NOISE = 0.1  # width of the uniform noise, in units of the full brightness range


def _wave(t: Array) -> Array:
    """Triangle wave of period 1 between -1 and 1: the arithmetic stand-in for a cosine."""
    wave: Array = 4 * np.abs(t - np.floor(t) - np.float32(0.5)) - 1
    return wave


def _lattice(a: Array, b: Array) -> Array:
    """Positive on round dots around the centres of the unit cells."""
    a, b = a - np.floor(a) - np.float32(0.5), b - np.floor(b) - np.float32(0.5)
    return np.float32(1.3) - 4 * np.sqrt(a * a + b * b)


# A shape maps coordinates in units of its radius to a signed distance (negative inside).
SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "disc": lambda u, v: np.sqrt(u * u + v * v) - np.float32(0.9),
    "triangle": lambda u, v: np.maximum(np.abs(u) * np.float32(0.8660254) - v / 2, v) - np.float32(0.58),
}

# A texture maps coordinates in units of its period, and the distance from the centre, to a value; its sign is a colour.
TEXTURES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "striped": lambda a, b, r: _wave(a),
    "checked": lambda a, b, r: 2 * _wave(a / 2) * _wave(b / 2),
    "dotted": lambda a, b, r: _lattice(a * np.float32(0.8), b * np.float32(0.8)),
    "ringed": lambda a, b, r: _wave(r),
    "zigzag": lambda a, b, r: _wave(a + _wave(b / 2) / 2),
}
SIZES = {"quick": (4000, 1000), "colab": (20_000, 4000), "full": (50_000, 10_000)}  # training and test images of a tier
CLASSES = tuple(f"{texture} {shape}" for shape in SHAPES for texture in TEXTURES)


@functools.lru_cache(maxsize=16)
def _constants(seed: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the channels of the first 1,000 training images, whatever the size of the set."""
    return channel_moments(torch.from_numpy(render(np.arange(1000) % len(CLASSES), seed, "train")))


def read_textures(split: str, n: int, seed: int) -> ImageSet:
    """Generate ``n`` images, the ten classes in turn; a larger set begins with the smaller one.

    Args:
        split: ``"train"`` or ``"test"``, two independent draws.
        n: number of images.
        seed: names the draw.
    """
    labels = np.arange(n, dtype=np.int64) % len(CLASSES)
    mean, std = _constants(seed)
    return ImageSet(
        torch.from_numpy(render(labels, seed, split)),
        torch.from_numpy(labels),
        CLASSES,
        "textures",
        split=split,
        source=f"generated from seed {seed}",
        mean=mean,
        std=std,
    )


def render(labels: npt.NDArray[np.int64], seed: int, split: str) -> npt.NDArray[np.uint8]:
    """Draw one image for each label; image ``i`` depends on its label, ``seed``, ``split`` and ``i`` alone.

    Args:
        labels: indices into ``CLASSES``, shape ``(n,)``.
        seed: names the draw, with ``split``.
        split: ``"train"`` or ``"test"``.

    Returns:
        images of shape ``(n, 3, 32, 32)``.

    Example:
        >>> render(np.array([0, 7]), 0, "train").shape
        (2, 3, 32, 32)
    """
    n = len(labels)
    p = uniform((n, 24), "textures", seed, split)
    noise = bits(n * 3 * SIZE * SIZE // 8, "noise", seed, split).astype("<u8").view(np.uint8)
    noise = noise.reshape(n, 3, SIZE, SIZE)
    images = np.empty((n, 3, SIZE, SIZE), dtype=np.uint8)
    for k in np.unique(labels):
        (rows,) = np.nonzero(labels == k)
        picture = _draw(CLASSES[k], p[rows].T[:, :, None, None])
        picture += np.float32(NOISE / 255) * noise[rows] - np.float32(NOISE / 2)
        images[rows] = np.floor(255 * np.clip(picture, 0, 1) + np.float32(0.5)).astype(np.uint8)
    return images


def _draw(name: str, p: Array) -> Array:
    """Draw the images of one class from their random numbers ``p``, an array of shape ``(24, n, 1, 1)``."""
    texture, shape = name.split()
    line = np.arange(SIZE, dtype=np.float32) - np.float32((SIZE - 1) / 2)
    y, x = line[None, :, None], line[None, None, :]

    radius = 12 + 3 * p[0]
    dx, dy = x - 6 * (p[1] - np.float32(0.5)), y - 6 * (p[2] - np.float32(0.5))
    u, v = _rotate(dx / radius, dy / radius, p[3], p[4])
    inside = np.clip(np.float32(0.5) - radius * SHAPES[shape](u, v), 0, 1)[:, None]  # soft over one pixel

    period = 5 + 2 * p[5]
    a, b = _rotate(dx / period, dy / period, p[6], p[7])
    value = TEXTURES[texture](a + p[8], b + p[9], np.sqrt(a * a + b * b) + p[8])
    mix = np.clip(value + np.float32(0.5), 0, 1)[:, None]

    dark, light, corner, other = (p[i : i + 3].transpose(1, 0, 2, 3) for i in (10, 13, 16, 19))
    dark, bright = np.float32(0.4) * dark, 1 - np.float32(0.4) * light
    across, _ = _rotate(x / (2 * SIZE), y / (2 * SIZE), p[22], p[23])
    background = np.float32(0.25) + (corner + (other - corner) * (across[:, None] + np.float32(0.5))) / 2
    picture: Array = background + inside * (dark + (bright - dark) * mix - background)
    return picture


def _rotate(x: Array, y: Array, p: Array, q: Array) -> tuple[Array, Array]:
    """Rotate the plane by the angle of the point ``(2p - 1, 2q - 1)``, which takes a square root and no cosine."""
    c, s = 2 * p - 1, 2 * q - 1
    norm = np.sqrt(c * c + s * s) + np.float32(1e-6)
    c, s = c / norm, s / norm
    return c * x + s * y, c * y - s * x
