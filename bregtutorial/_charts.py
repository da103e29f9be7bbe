"""The pictures that many chapters draw: curves of runs and the density of layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bregtutorial._palette import styles
from bregtutorial.sparsity import SparsityReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_PERCENT = ("accuracy", "density", "sparsity")
_WIDTH = 5.0
# beside colour and order, what tells the bars of several reports apart
_HATCHES = ("", "///", "---", "xx", "\\\\\\", "||", "++")


def history(
    runs: Mapping[str, Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]],
    x: str = "epoch",
    panels: Sequence[str] = ("test_accuracy", "density"),
    *,
    height: float = 2.3,
) -> Figure:
    """Draw the curves of several runs: one panel a quantity, one curve a run, each method in its own style.

    Accuracy, density and sparsity are fractions, drawn in percent. Density gets a logarithmic axis if all of it is
    positive and its values span more than a factor of 10. Values that are None or NaN are left out, so a quantity that
    was measured every fifth epoch is drawn from those epochs.

    Args:
        runs: the curves by method: for each a list of rows, ``[{"epoch": 1, "density": 0.01}, ...]``, or a table of
            columns, ``{"epoch": [1, 2], "density": [0.01, 0.02]}``. Names that `line` does not know take the styles
            that are left.
        x: the quantity on the horizontal axis, which all panels share.
        panels: the quantities, top to bottom; underscores become spaces in the labels.
        height: of each panel, in inches.

    Raises:
        ValueError: no run, no panel, more runs than line styles, a run without one of the quantities, or columns that
            differ in length.

    Example:
        >>> rows = [{"epoch": 0, "density": 0.01}, {"epoch": 1, "density": 0.2}]
        >>> fig = history({"LinBreg": rows}, panels=["density"])
        >>> fig.axes[0].get_yscale()
        'log'

    References:
        Bungert et al. (2022), section 4, which follows accuracy and density through training.

    Book: Foundations, "A first sparse network"; Experiments, "MNIST and the MLP".
    """
    from matplotlib.figure import Figure

    if not runs or not panels:
        raise ValueError(
            f"history needs at least one run and one panel, got runs={list(runs)} and panels={list(panels)}"
        )
    size = (_WIDTH, height * len(panels) + 0.5)
    fig = Figure(figsize=size, layout="constrained")
    axes = fig.subplots(len(panels), sharex=True, squeeze=False)
    for name, style in styles(runs).items():
        for ax, quantity in zip(axes.flat, panels, strict=True):
            ax.plot(*_curve(name, runs[name], x, quantity), **style)
    for ax, quantity in zip(axes.flat, panels, strict=True):
        _dress(ax, quantity)
    axes.flat[-1].set_xlabel(x.replace("_", " "))
    _legend(fig, axes.flat[0])
    return fig


def _curve(name: str, run: Any, x: str, quantity: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points of one curve, without those that were not measured."""
    table = run if isinstance(run, Mapping) else {key: [row.get(key) for row in run] for row in run for key in row}
    for key in (x, quantity):
        if key not in table:
            raise ValueError(f"the run {name!r} has no {key!r}; it has {', '.join(map(repr, table)) or 'no rows'}")
    xs, ys = (np.asarray(table[key], dtype=np.float64) for key in (x, quantity))
    if xs.shape != ys.shape:
        raise ValueError(f"the run {name!r} has {len(xs)} values of {x!r} but {len(ys)} of {quantity!r}; give as many")
    measured = np.isfinite(xs) & np.isfinite(ys)
    return xs[measured], ys[measured]


def _dress(ax: Axes, quantity: str) -> None:
    """Label the axis of `quantity`, in percent if it is a fraction, on a logarithmic scale if density needs one."""
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_ylabel(quantity.replace("_", " "))
    values = np.concatenate([np.asarray(curve.get_ydata()) for curve in ax.lines])
    if quantity.endswith("density") and values.size and values.min() > 0 and values.max() > 10 * values.min():
        ax.set_yscale("log")
        decades = math.log10(values.max() / values.min())
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1,)))
        ax.yaxis.set_minor_formatter(NullFormatter())
    if quantity.endswith(_PERCENT):
        _percents(ax.yaxis)


def _legend(fig: Figure, ax: Axes) -> None:
    """Put the legend above the panels, where it covers no curve."""
    handles, labels = ax.get_legend_handles_labels()
    if len(labels) > 1:
        points = 45 + 6 * max(map(len, labels))  # an entry's width, about
        columns = max(1, min(int(72 * _WIDTH / points), len(labels)))
        fig.legend(handles, labels, loc="outside upper left", ncols=columns, handlelength=3)


def layer_bars(report: SparsityReport | Mapping[str, SparsityReport], *, total: bool = True) -> Figure:
    """Draw the density of every layer as a bar with its value written beside it, the first layer on top.

    The axis starts at 0 and is linear, so that lengths compare as the densities do.

    Args:
        report: what `bregtutorial.sparsity_report` returns, or several by name, ``{"LinBreg": ..., "SGD": ...}``: then
            every layer has a bar for each, in the legend's order.
        total: whether a last bar shows the density of the whole network.

    Raises:
        ValueError: no report, more reports than styles, or reports of networks whose layers have other names.

    Example:
        >>> import bregtutorial as bt
        >>> fig = layer_bars(bt.sparsity_report(bt.models.mlp((4, 3, 2))))
        >>> [label.get_text() for label in fig.axes[0].get_yticklabels()]
        ['layer 1', 'layer 3', 'all']

    References:
        Bungert et al. (2022), section 4, whose tables give these numbers for whole networks.

    Book: Foundations, "A first sparse network".
    """
    from matplotlib.figure import Figure

    reports = report if isinstance(report, Mapping) else {"density": report}
    densities = {name: _densities(each, total) for name, each in reports.items()}
    layers = list(next(iter(densities.values()), {}))
    for name, each in densities.items():
        if list(each) != layers:
            raise ValueError(f"layer_bars needs reports of the same layers, got {layers} but {list(each)} for {name!r}")
    if not layers:
        raise ValueError("report must not be empty; give bt.sparsity_report(model), or several in a dict by name")
    rows, thick = np.arange(len(layers)), 0.8 / len(reports)
    height = 0.9 + len(layers) * max(0.3, 0.22 * len(reports))
    fig = Figure(figsize=(_WIDTH, height), layout="constrained")
    ax = fig.subplots()
    for i, (name, style) in enumerate(styles(reports).items()):
        values = list(densities[name].values())
        places = rows + (i - (len(reports) - 1) / 2) * thick
        bars = ax.barh(places, values, 0.9 * thick, color=style["color"], label=name, hatch=_HATCHES[i])
        ax.bar_label(bars, [_percent(value) for value in values], padding=4, fontsize=10)
    ax.set(yticks=rows, yticklabels=layers, ylim=(len(layers) - 0.5, -0.5))
    ax.grid(visible=False, axis="y")
    # room for the text beside the longest bar
    ax.set_xlim(0, 1.2 * max(max(each.values()) for each in densities.values()) or 1)
    _percents(ax.xaxis)
    _legend(fig, ax)
    return fig


def _densities(report: SparsityReport, total: bool) -> dict[str, float]:
    # an nn.Sequential numbers its layers
    names = [f"layer {row.name}" if row.name.isdigit() else row.name for row in report.rows]
    return {name: row.density for name, row in zip(names, report.rows, strict=True)} | (
        {"all": report.density} if total else {}
    )


def _percent(value: float) -> str:
    """Write a fraction with three digits."""
    return f"{100 * value:#.3g}".rstrip(".") + " %"


def _percents(axis: Axis) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
