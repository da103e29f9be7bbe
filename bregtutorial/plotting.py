"""Figures of the book: one palette, one style, pictures that are right on white and on dark pages.

Example:
    >>> from matplotlib import pyplot as plt
    >>> use_style()
    >>> fig, ax = plt.subplots()
    >>> _ = ax.plot([0, 1, 2], [1.0, 0.4, 0.1], **line("LinBreg"))
    >>> show(fig, alt="The loss of LinBreg falls from 1 to 0.1 in two epochs.")
    Figure: The loss of LinBreg falls from 1 to 0.1 in two epochs.

Book:
    Every chapter.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bregtutorial._svg import render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "Picture", "diverging", "history", "layer_bars", "line", "sequential", "show", "use_style", "weight_image"]


class Palette(dict[str, str]):
    """Colours by role, which names the roles when asked for one that it lacks."""

    def __missing__(self, role: str) -> str:
        raise KeyError(f"no colour for {role!r}; the roles are {', '.join(self)}")


#: Contrast at least 3:1 on white and on the book's dark pages; the hues stay apart in deuteranopia and protanopia.
COLOURS = Palette(
    {
        "SGD": "#6c737d",
        "Adam": "#855f2f",
        "LinBreg": "#0072b2",
        "LinBreg+momentum": "#3f76e5",
        "AdaBreg": "#d55e00",
        "ProxSGD": "#009e73",
        "Lasso": "#009e73",
        "accent": "#0072b2",
        "highlight": "#d55e00",
        "good": "#009e73",
        "muted": "#6c737d",
        "positive": "#d55e00",
        "negative": "#0072b2",
    }
)
_SHAPES: dict[str, tuple[Any, str]] = {
    "SGD": (":", "x"),
    "Adam": ("-.", "v"),
    "LinBreg": ("-", "o"),
    "LinBreg+momentum": ((0, (5, 1)), "D"),
    "AdaBreg": ("--", "s"),
    "ProxSGD": ((0, (4, 1, 1, 1, 1, 1)), "^"),
    "Lasso": ((0, (4, 1, 1, 1, 1, 1)), "^"),
}
_CYCLE = ("LinBreg", "AdaBreg", "ProxSGD", "SGD", "LinBreg+momentum", "Adam")
_PERCENT = {"accuracy", "density", "sparsity", "train_accuracy", "test_accuracy"}
# The book's theme puts every HTML output of a cell on a light box in dark mode; these figures need none.
_STYLE = (
    "<style>html[data-theme=dark] .bd-content div.cell_output .text_html:has(.bt-figure)"
    "{background:none;color:inherit;padding:0}.bt-figure{margin:0 0 1rem;color:inherit}</style>"
)


@dataclass(frozen=True, repr=False)
class Picture:
    """A finished figure: notebooks show its `html`, terminals its `alt` text."""

    html: str
    alt: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"


def line(method: str) -> dict[str, Any]:
    """Return the keywords with which ``ax.plot`` draws `method`: label, colour, and a dash pattern and marker of its own.

    Args:
        method: one of the methods in `COLOURS`, such as ``"LinBreg"``.

    Raises:
        ValueError: the method has no line style.
    """
    if method not in _SHAPES:
        raise ValueError(f"method must be one of {', '.join(_SHAPES)}, got {method!r}")
    dashes, marker = _SHAPES[method]
    return {"label": method, "color": COLOURS[method], "linestyle": dashes, "marker": marker, "markevery": 0.12}


def use_style() -> None:
    """Set matplotlib's defaults for the book: no background, text that stays text, lines that differ without colour."""
    import matplotlib
    from cycler import cycler

    cycle = cycler(color=[COLOURS[m] for m in _CYCLE]) + cycler(linestyle=[_SHAPES[m][0] for m in _CYCLE])
    sizes: dict[str, Any] = {"font.size": 11, "axes.titlesize": 12, "axes.labelsize": 11, "legend.fontsize": 10, "xtick.labelsize": 10, "ytick.labelsize": 10}
    none = {f"{part}.facecolor": "none" for part in ("figure", "axes", "savefig")}
    lines: dict[str, Any] = {"lines.linewidth": 1.8, "lines.markersize": 5, "grid.linewidth": 0.6, "grid.alpha": 0.18, "grid.color": "black"}
    matplotlib.rcParams.update(
        {
            **sizes,
            **none,
            **lines,
            "axes.prop_cycle": cycle,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "figure.figsize": (5.0, 3.3),
            "figure.constrained_layout.use": True,
            "font.family": "sans-serif",
            "image.interpolation": "none",
            "legend.frameon": False,
            "mathtext.fontset": "dejavusans",
            "svg.fonttype": "none",
            "svg.hashsalt": "bregtutorial",
        }
    )


def show(fig: Figure, alt: str, caption: str | None = None) -> Picture:
    """Turn a figure into inline SVG that follows the page's theme, and close it.

    Make it the last line of a cell. Black text and lines take the page's text colour; equal figures give equal output.

    Args:
        fig: the matplotlib figure.
        alt: what the picture says, for readers who do not see it: the axes, the curves and the message, in a sentence or two.
        caption: a line under the picture.

    Raises:
        TypeError: `fig` is not a figure.
        ValueError: `alt` is empty.
    """
    check_figure(fig, "fig")
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt must say in words what the figure shows, got {alt!r}; write for example alt='Accuracy rises from 10 % to 93 % in 5 epochs.'")
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return Picture(f'<figure class="bt-figure">{_STYLE}{render(fig).svg(alt)}{below}</figure>', alt)


def check_figure(fig: object, name: str) -> None:
    """Raise TypeError unless `fig` is a matplotlib figure."""
    from matplotlib.figure import Figure

    if not isinstance(fig, Figure):
        raise TypeError(f"{name} must be a matplotlib Figure, got {type(fig).__name__}; an Axes has it as ax.figure")
