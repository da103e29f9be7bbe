"""Generated colour images: ten classes of textured shapes, for every place that the real data sets do not reach.

The class is a pair of a shape and a texture. Colours, position, size, both rotations, the period and phase of the
texture, the background and the noise are random and the same for all classes, so that no single pixel and no colour
tells the class: a linear model stays near chance, a small convolutional network does not.

Only ``+ - * /``, square roots, comparisons and rounding touch the numbers. IEEE 754 defines those to the last bit,
which sines and cosines are not, so the images are identical on every machine.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bregtutorial.data._random import bits, uniform

Array = npt.NDArray[np.float32]
SIZE = 32
NOISE = 0.16  # width of the uniform noise, in units of the full brightness range


def _wave(t: Array) -> Array:
    """Triangle wave of period 1 between -1 and 1: the arithmetic stand-in for a cosine."""
    return 4 * np.abs(t - np.floor(t) - np.float32(0.5)) - 1


def _lattice(a: Array, b: Array) -> Array:
    """Positive on round dots around the centres of the unit cells."""
    a, b = a - np.floor(a) - np.float32(0.5), b - np.floor(b) - np.float32(0.5)
    return np.float32(1.3) - 4 * np.sqrt(a * a + b * b)


# A shape maps coordinates in units of its radius to a signed distance (negative inside).
SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "disc": lambda u, v: np.sqrt(u * u + v * v) - np.float32(0.9),
    "triangle": lambda u, v: np.maximum(np.abs(u) * np.float32(0.8660254) - v / 2, v) - np.float32(0.58),
}

# A texture maps coordinates in units of its period, and the distance from the centre, to a value; its sign is the colour.
TEXTURES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "striped": lambda a, b, r: _wave(a),
    "checked": lambda a, b, r: 2 * _wave(a / 2) * _wave(b / 2),
    "dotted": lambda a, b, r: _lattice(a * np.float32(0.8), b * np.float32(0.8)),
    "ringed": lambda a, b, r: _wave(r),
    "zigzag": lambda a, b, r: _wave(a + _wave(b / 2) / 2),
}
CLASSES = tuple(f"{texture} {shape}" for shape in SHAPES for texture in TEXTURES)


def render(labels: npt.NDArray[np.int64], seed: int, stream: int = 0) -> npt.NDArray[np.uint8]:
    """Draw one image for each label; image ``i`` depends on its label, ``seed``, ``stream`` and ``i`` alone.

    Args:
        labels: indices into ``CLASSES``, shape ``(n,)``.
        seed: non-negative integer.
        stream: which part of a set: 0 for training, 1 for testing.

    Returns:
        images of shape ``(n, 3, 32, 32)``.
    """
    n = len(labels)
    p = uniform((n, 24), seed, stream, 0)
    noise = bits(n * 3 * SIZE * SIZE // 8, seed, stream, 1).astype("<u8").view(np.uint8).reshape(n, 3, SIZE, SIZE)
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

    radius = 11 + 4 * p[0]
    dx, dy = x - 8 * (p[1] - np.float32(0.5)), y - 8 * (p[2] - np.float32(0.5))
    u, v = _rotate(dx / radius, dy / radius, p[3], p[4])
    inside = np.clip(np.float32(0.5) - radius * SHAPES[shape](u, v), 0, 1)[:, None]  # soft over one pixel

    period = 4 + 2 * p[5]
    a, b = _rotate(dx / period, dy / period, p[6], p[7])
    value = TEXTURES[texture](a + p[8], b + p[9], np.sqrt(a * a + b * b) + p[8])
    mix = np.clip(value + np.float32(0.5), 0, 1)[:, None]

    one, shift, corner, other = (p[i : i + 3].transpose(1, 0, 2, 3) for i in (10, 13, 16, 19))
    two = one + np.float32(0.3) + np.float32(0.4) * shift  # far from the first colour, and as uniform as it
    two -= np.floor(two)
    across, _ = _rotate(x / (2 * SIZE), y / (2 * SIZE), p[22], p[23])
    background = corner + (other - corner) * (across[:, None] + np.float32(0.5))
    picture: Array = background + inside * (one + (two - one) * mix - background)
    return picture


def _rotate(x: Array, y: Array, p: Array, q: Array) -> tuple[Array, Array]:
    """Rotate the plane by the angle of the point ``(2p - 1, 2q - 1)``, which takes a square root and no cosine."""
    c, s = 2 * p - 1, 2 * q - 1
    norm = np.sqrt(c * c + s * s) + np.float32(1e-6)
    c, s = c / norm, s / norm
    return c * x + s * y, c * y - s * x
