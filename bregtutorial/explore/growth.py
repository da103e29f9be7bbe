"""A network while it grows: which pixels its neurons read, and which neurons are awake, epoch by epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bregtutorial._palette import COLOURS
from bregtutorial.explore.live import Live, Range, Script, live

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bregtutorial.growth import Growth

SHADES = (0.25, 0.55, 1.0)
READERS = (1, 6, 20)  # how many neurons read a pixel: the limits of the shades
SHARES = (0.02, 0.08)  # and how much of its inputs a neuron reads
WIDE = 20  # neurons in a line of a layer's map


def growth(grown: Growth, *, epoch: int | None = None, neuron: int | None = None, caption: str | None = None) -> Live:
    """Let the reader watch a network grow.

    Of a record of weights it shows the pixels that one neuron of the first layer reads, how many neurons read each
    pixel, and a map of every layer, in which a neuron is darker the more inputs it has. A slider moves the epoch,
    another one, or a click on the map, chooses the neuron. Of a record of rows it shows the neurons of every layer,
    in squares. What woke in the last epoch has another colour.

    Args:
        grown: the record, of :func:`bregtutorial.growth.load` or :func:`bregtutorial.growth.watch`.
        epoch: that is shown at first; default: the last.
        neuron: that is shown at first, from 1; default: the one that reads most pixels at the end.
        caption: a line under the picture.

    Returns:
        The explorer. Make it the last line of a cell.

    Raises:
        ValueError: `epoch` or `neuron` does not exist, or the inputs of a record of weights are not a square image.

    Example:
        >>> from bregtutorial.growth import load
        >>> growth(load("mnist-mlp/linbreg-0.1"), epoch=0, neuron=1)
        Explorer: A network while it grows. Epoch 0: 1.0 % of the weights are awake, and 200 of 200, ...

    References:
        Bungert et al. (2022), Figures 2 and 4: the numbers of which these are the pictures.

    Book: Experiments, "MNIST and the MLP"; Experiments, "The denoising autoencoder".
    """
    masks, last = list(grown.masks.values()), len(next(iter(grown.masks.values()))) - 1
    epoch = last if epoch is None else epoch
    if not 0 <= epoch <= last:
        raise ValueError(f"epoch must be in [0, {last}], the epochs of the record, got {epoch}")
    stored = list(grown.to_plain()["layers"].values())
    sliders = [Range("epoch", "epoch", last, epoch)]
    numbers: dict[str, Any] = {"layers": stored}
    if masks[0].ndim == 2:
        fig, grid, text = _rows(masks, epoch, numbers)
        alt = "Neurons of each layer that are awake. "
    else:
        fig, grid, text = _weights(masks, epoch, neuron, numbers)
        alt, chosen = "A network while it grows. ", numbers.pop("neuron")
        sliders.append(Range("neuron", "neuron", masks[0].shape[1], chosen, first=1))
        numbers["pick"] = {"axes": "layer0", "name": "neuron", "columns": WIDE, "last": masks[0].shape[1]}
    script = Script("growth.js", numbers, text, play="epoch", interval=500)
    return live(fig, grid, sliders, script, alt + text, caption)


def _rows(masks: list[Any], epoch: int, numbers: dict[str, Any]) -> tuple[Any, dict[str, Axes], str]:
    """Draw the map of every layer, and say how many neurons are awake and how many of them are new."""
    from matplotlib.figure import Figure

    numbers["grids"] = [math.ceil(math.sqrt(mask.shape[1])) for mask in masks]
    lines = math.ceil(len(masks) / 3)
    fig = Figure(figsize=(5.0, 0.3 + 1.85 * lines), layout="compressed")
    axes = dict(zip(_names("layer", len(masks)), fig.subplots(lines, 3, squeeze=False).flat, strict=False))
    awake, new = [], []
    for i, (ax, mask, columns) in enumerate(zip(axes.values(), masks, numbers["grids"], strict=True)):
        now, before = mask[epoch], mask[max(epoch - 1, 0)]
        awake.append(str(now.sum()))
        new.append(str((now & ~before).sum()))
        _frame(ax, columns, len(now))
        _paint(ax, columns, np.where(now, np.where(before, 0, 1), -1), f"layer{i}", _old_and_new())
        ax.set_title(f"layer {i + 2}: {awake[-1]}", gid=f"part-title{i}", fontsize=11)
    for ax in fig.axes[len(masks) :]:
        ax.set_visible(False)
    return fig, axes, f"Epoch {epoch}: awake are {', '.join(awake)} neurons; new are {', '.join(new)}."


def _weights(
    masks: list[Any], epoch: int, neuron: int | None, numbers: dict[str, Any]
) -> tuple[Any, dict[str, Axes], str]:
    """Draw a neuron's pixels, the readers of each pixel and the maps, and say what there is to see."""
    side, k = _chosen(masks, neuron)
    limits = [[1, *(math.ceil(share * mask.shape[2]) for share in SHARES)] for mask in masks]
    numbers |= {"grids": [WIDE] * len(masks), "image": side, "limits": limits, "readers": READERS, "neuron": k}
    fig, grid = _layout(masks, side)
    now, before = masks[0][epoch], masks[0][max(epoch - 1, 0)]
    mine, old = now[k - 1], before[k - 1]
    _paint(grid["pixels"], side, np.where(mine, np.where(old, 0, 1), -1), "pixels", _old_and_new())
    _paint(grid["readers"], side, _bin(READERS, now.sum(axis=0)), "readers", _shades())
    for i, mask in enumerate(masks):
        _paint(grid[f"layer{i}"], WIDE, _bin(limits[i], mask[epoch].sum(axis=1)), f"layer{i}", _shades())
    only = np.where(np.arange(len(now)) == k - 1, 0, -1)
    outline = {"facecolor": "none", "edgecolor": COLOURS["highlight"], "linewidth": 2.5}
    _paint(grid["layer0"], WIDE, only, "chosen", [outline])
    share = sum(mask[epoch].sum() for mask in masks) / sum(mask[epoch].size for mask in masks)
    awake = ", ".join(f"{mask[epoch].any(axis=1).sum()} of {mask.shape[1]}" for mask in masks)
    text = (
        f"Epoch {epoch}: {100 * share:.1f} % of the weights are awake, and {awake} neurons. "
        f"Neuron {k} reads {mine.sum()} of {len(mine)} pixels, {(mine & ~old).sum()} of them new."
    )
    return fig, grid, text


def _chosen(masks: list[Any], neuron: int | None) -> tuple[int, int]:
    """The side of the images that the first layer reads, and the neuron that is shown first, from 1."""
    neurons, pixels = masks[0].shape[1:]
    side = math.isqrt(pixels)
    if side * side != pixels:
        raise ValueError(f"the first layer must read square images, got {pixels} inputs; record rows=True instead")
    k = int(masks[0][-1].sum(axis=1).argmax()) + 1 if neuron is None else neuron
    if not 1 <= k <= neurons:
        raise ValueError(f"neuron must be in [1, {neurons}], the neurons of the first layer, got {neuron}")
    return side, k


def _layout(masks: list[Any], side: int) -> tuple[Any, dict[str, Axes]]:
    """Two images side by side, and below them a map of each layer."""
    from matplotlib.figure import Figure

    heights = [math.ceil(mask.shape[1] / WIDE) for mask in masks]
    fig = Figure(figsize=(5.0, 2.6 + 0.27 * sum(heights) + 0.25 * len(masks)), layout="constrained")
    rows: list[Any] = [["pixels", "readers"], *([name] * 2 for name in _names("layer", len(masks)))]
    grid: dict[str, Axes] = fig.subplot_mosaic(rows, height_ratios=[9, *heights])
    for name, title in (("pixels", "pixels that it reads"), ("readers", "neurons that read a pixel")):
        _frame(grid[name], side, side * side)
        grid[name].set_title(title)
    for i, mask in enumerate(masks):
        _frame(grid[f"layer{i}"], WIDE, mask.shape[1])
        grid[f"layer{i}"].set_title(f"inputs of the {mask.shape[1]} neurons of layer {i + 1}", fontsize=11)
    return fig, grid


def _names(stem: str, n: int) -> list[str]:
    return [f"{stem}{i}" for i in range(n)]


def _old_and_new() -> list[dict[str, Any]]:
    return [{"facecolor": COLOURS[role], "linewidth": 0} for role in ("accent", "highlight")]


def _shades() -> list[dict[str, Any]]:
    return [{"facecolor": COLOURS["accent"], "alpha": alpha, "linewidth": 0} for alpha in SHADES]


def _bin(limits: Any, counts: NDArray[Any]) -> NDArray[Any]:
    """How many of the limits a count reaches, from 0; -1 below the first."""
    return np.searchsorted(limits, counts, side="right") - 1


def _frame(ax: Axes, columns: int, n: int) -> None:
    """A map without ticks whose cells are unit squares, line by line, and a border round these."""
    from matplotlib.patches import Polygon

    lines = math.ceil(n / columns)
    last, wide = n - (lines - 1) * columns, columns if lines > 1 else n
    ax.set(aspect="equal", xlim=(-0.5, columns - 0.5), ylim=(lines - 0.5, -0.5), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    border = [(0, 0), (wide, 0), (wide, lines - 1), (last, lines - 1), (last, lines), (0, lines)]
    corners = [(x - 0.5, y - 0.5) for x, y in border]
    ax.add_patch(Polygon(corners, fill=False, edgecolor="black", linewidth=0.8, clip_on=False, zorder=3))


def _paint(ax: Axes, columns: int, kinds: NDArray[Any], name: str, styles: list[dict[str, Any]]) -> None:
    """Draw the cells of each kind as one part; those side by side as one rectangle, as the script does."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    for kind, style in enumerate(styles):
        corners = []
        for line, row in enumerate(np.split(kinds == kind, range(columns, len(kinds), columns))):
            edges = np.flatnonzero(np.diff(row.astype(int), prepend=0, append=0)) - 0.5
            for left, right in edges.reshape(-1, 2):
                top, bottom = line - 0.5, line + 0.5
                corners.append([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
        corners = corners or [[(-99.0, -99.0)] * 5]  # outside the picture, so that the part is there
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(corners)
        part = f"part-{name}-{kind}"
        ax.add_patch(PathPatch(Path(np.concatenate(corners), codes), gid=part, **style))
