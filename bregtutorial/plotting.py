"""Figures of the book: one palette, one style, pictures that are right on white and on dark pages.

Example:
    >>> from matplotlib import pyplot as plt
    >>> use_style()
    >>> fig, ax = plt.subplots()
    >>> _ = ax.plot([0, 1, 2], [1.0, 0.4, 0.1], **line("LinBreg"))
    >>> show(fig, alt="The loss of LinBreg falls from 1 to 0.1 in two epochs.")
    Figure: The loss of LinBreg falls from 1 to 0.1 in two epochs.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bregtutorial._charts import history, layer_bars
from bregtutorial._explorer import FIGURE_STYLE
from bregtutorial._palette import COLOURS, diverging, line, sequential, use_style
from bregtutorial._published import comparison
from bregtutorial._svg import render
from bregtutorial._weights import weight_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "Picture",
    "comparison",
    "diverging",
    "history",
    "layer_bars",
    "line",
    "sequential",
    "show",
    "use_style",
    "weight_image",
]


@dataclass(frozen=True, repr=False)
class Picture:
    """A finished figure: notebooks show its `html`, terminals its `alt` text.

    Attributes:
        html: a ``<figure>`` element with the picture as SVG, which needs nothing else.
        alt: what the picture says.

    Book: Foundations, "A first sparse network".
    """

    html: str
    alt: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"


def show(fig: Figure, alt: str, caption: str | None = None) -> Picture:
    """Turn a figure into inline SVG that follows the page's theme, and close it.

    Make it the last line of a cell. Black text and lines take the page's text colour, white areas let the page through,
    other colours stay; write colours from `COLOURS`. Text is text, in the page's font. Pixels of images and of artists
    with ``rasterized=True`` are embedded. Equal figures give equal output, down to the bytes.

    Args:
        fig: the matplotlib figure.
        alt: what the picture says, for readers who do not see it: the axes, the curves and the message, in a sentence
            or two.
        caption: a line under the picture.

    Raises:
        TypeError: `fig` is not a figure.
        ValueError: `alt` is empty.

    Example:
        >>> show(history({"LinBreg": {"epoch": [1, 2], "loss": [0.9, 0.4]}}, panels=["loss"]), alt="The loss halves.")
        Figure: The loss halves.

    References:
        W3C, "WAI Images Tutorial", for what an alternative text should say.

    Book: Foundations, "A first sparse network".
    """
    check_figure(fig, "fig")
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(
            f"alt must say in words what the figure shows, got {alt!r}; "
            "write for example alt='Accuracy rises from 10 % to 93 % in 5 epochs.'"
        )
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return Picture(
        f'<figure class="bt-figure"><style>{FIGURE_STYLE}</style>{render(fig).svg(alt)}{below}</figure>', alt
    )


def check_figure(fig: object, name: str) -> None:
    """Raise TypeError unless `fig` is a matplotlib figure."""
    from matplotlib.figure import Figure

    if not isinstance(fig, Figure):
        raise TypeError(f"{name} must be a matplotlib Figure, got {type(fig).__name__}; an Axes has it as ax.figure")
