"""Weights as a picture, in which exactly zero is the page itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bregtutorial._palette import diverging

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from torch import Tensor

_WIDTH = 5.0
_FLOOR = 0.35


def weight_image(
    w: Tensor | NDArray[Any],
    ax: Axes | None = None,
    *,
    columns: int | None = None,
    limit: float | None = None,
    colorbar: bool = True,
) -> Figure:
    """Draw weights in blue (negative) and vermilion (positive); what is exactly zero is left blank, the page itself.

    The opacity is ``0.35 + 0.65 |w| / limit``: the smallest non-zero weight can still be told from zero, on a white
    page and on a dark one.

    Args:
        w: a matrix ``(out, in)``; images ``(n, height, width)``, such as rows of a first layer reshaped; or the kernels
            of a convolution ``(out, in, height, width)``, those of one filter side by side. Tensors may require
            gradients and live on any device.
        ax: the axes to draw in; None makes a figure.
        columns: images or kernels in a line of the grid; None makes a grid that is about square, of whole filters.
        limit: the weight drawn in full colour, > 0; None takes the largest magnitude. Give the same to pictures that
            are compared. Larger weights look like it.
        colorbar: whether to draw the scale.

    Returns:
        The figure, for `show`.

    Raises:
        ValueError: `w` has another number of dimensions, is empty, or has a weight that is not finite; `limit` or
            `columns` is not positive.

    Example:
        >>> import numpy as np
        >>> fig = weight_image(np.array([[0.0, 0.5], [-1.0, 0.0]]))
        >>> fig.axes[0].images[0].get_array().mask.tolist()
        [[True, False], [False, True]]

    References:
        Okabe and Ito, Color Universal Design (2008): the two hues.

    Book: Foundations, "A first sparse network".
    """
    from matplotlib.figure import Figure

    weights = _weights(w)
    if limit is None:
        limit = float(np.abs(weights).max()) or 1.0
    if limit <= 0:
        raise ValueError(f"limit must be > 0, got {limit}; it is the weight drawn in full colour")
    picture, tile = (weights, None) if weights.ndim == 2 else _mosaic(weights, columns)
    if ax is None:
        ax = Figure(figsize=(_WIDTH, _height(picture.shape, tile)), layout="compressed").subplots()
    blank = np.ma.masked_where((picture == 0) | np.isnan(picture), picture)
    image = ax.imshow(blank, cmap=diverging(floor=_FLOOR), vmin=-limit, vmax=limit, interpolation="none")
    ax.grid(visible=False)
    for side in ("top", "right"):
        ax.spines[side].set_visible(True)
    if tile is None:
        ax.set(xlabel="input", ylabel="output")
    else:
        _separate(ax, picture.shape, tile)
    figure = ax.figure.figure
    if colorbar:
        scale = figure.colorbar(image, cax=ax.inset_axes((1.03, 0.0, 0.04, 1.0)), ticks=[-limit, 0, limit])
        scale.ax.set_yticklabels([f"{value:.2g}".replace("-", "−") for value in (-limit, 0, limit)])
    return figure


def _height(shape: tuple[int, ...], tile: object) -> float:
    """Return the inches of a figure without empty bands: the picture and, for a matrix, its labels."""
    wide, labels = (3.45, 0.6) if tile is None else (3.9, 0.1)
    return float(min(max(wide * shape[0] / shape[1], 0.45), 6.0)) + labels


def _weights(w: Any) -> NDArray[np.float64]:
    weights = np.asarray(w.detach().cpu().double() if hasattr(w, "detach") else w, dtype=np.float64)
    if weights.ndim not in (2, 3, 4) or weights.size == 0:
        raise ValueError(
            f"w must be a matrix (out, in), images (n, height, width) or kernels (out, in, height, width), "
            f"got the shape {weights.shape}; for one kernel w[i, j], for rows as images w.reshape(-1, 28, 28)"
        )
    if not np.isfinite(weights).all():
        raise ValueError(f"w must be finite, got {np.count_nonzero(~np.isfinite(weights))} entries that are not")
    return weights


def _mosaic(weights: NDArray[np.float64], columns: int | None) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return the tiles side by side with NaN between them, and the distance from one to the next (rows, columns)."""
    inputs = weights.shape[1] if weights.ndim == 4 else 1
    n, height, width = (weights := weights.reshape(-1, *weights.shape[-2:])).shape
    columns = inputs * max(1, round(math.sqrt(n) / inputs)) if columns is None else columns
    if columns < 1:
        raise ValueError(f"columns must be >= 1, got {columns}")
    rows = math.ceil(n / columns)
    cells = np.full((rows * columns, height + 1, width + 1), np.nan)
    cells[:n, :height, :width] = weights
    picture = cells.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2).reshape(rows * (height + 1), -1)
    return np.pad(picture, ((1, 0), (1, 0)), constant_values=np.nan), (height + 1, width + 1)


def _separate(ax: Axes, shape: tuple[int, ...], tile: tuple[int, int]) -> None:
    """Draw a thin line in the gap between tiles, without which two blank ones would look like one."""
    style: dict[str, Any] = {"color": "black", "linewidth": 0.5, "alpha": 0.4}
    for y in range(tile[0], shape[0] - 1, tile[0]):
        ax.axhline(y, **style)
    for x in range(tile[1], shape[1] - 1, tile[1]):
        ax.axvline(x, **style)
    ax.set(xticks=[], yticks=[])
