"""A figure for every value of a slider, drawn beforehand: the page only turns the leaves."""

from __future__ import annotations

import html
import importlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bregtutorial import _explorer
from bregtutorial._svg import Drawing, fingerprint, render
from bregtutorial.plotting import check_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explorer", "frames"]


@dataclass(frozen=True, repr=False)
class Explorer:
    """A finished explorer: notebooks show its `html`, terminals its label and the values.

    Attributes:
        html: the figure with its controls, style and script, which needs nothing else.
        label: what the slider changes.
        texts: the slider's positions, as they are written.

    Book: Foundations, "Proximal operators".
    """

    html: str
    label: str
    texts: tuple[str, ...]

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"Explorer: {self.label} = {', '.join(self.texts)}"


def frames(
    draw: Callable[[Any], Figure],
    values: Iterable[Any],
    *,
    label: str,
    alt: str | Callable[[Any], str],
    caption: str | None = None,
    fmt: str | Callable[[Any], str] | None = None,
    interval: int = 400,
    live: bool = False,
) -> Any:
    """Let the reader move through the pictures that `draw` makes for each of `values`.

    Every picture is drawn now and stored as SVG, what they share once; a slider and a Play button swap them in the
    browser. So the same output works in the static book, JupyterLab, Colab and offline, and prints its first picture.
    Nothing moves by itself; for readers who ask their system for less motion, Play becomes Next.

    Args:
        draw: makes the figure for one value. Fix the axes' limits in it: a picture that jumps is hard to read.
        values: the slider's positions, of any type, 20 to 40 at most.
        label: what the slider changes, in plain text, such as ``"λ"``; screen readers say it.
        alt: what the picture says, for readers who do not see it: text with ``{}`` for the value, or a function of the
            value.
        caption: a line under the picture.
        fmt: how a value is written: a format such as ``"{:.2f}"`` or a function; None writes floats with six digits
            at most and everything else as `str` does.
        interval: milliseconds a frame while playing, > 0.
        live: return an ipywidgets panel that draws a frame when asked for it; needs a running kernel.

    Returns:
        An `Explorer`, or with ``live=True`` an ``ipywidgets.VBox``. Make it the last line of a cell.

    Raises:
        ValueError: `values` or `label` is empty, `fmt` cannot write a value, `alt` does not depend on the value or is
            empty for one, `interval` is not positive, or the figures differ in size.
        TypeError: `draw` does not return a figure.
        ImportError: ``live=True`` without ipywidgets.

    Example:
        >>> from matplotlib.figure import Figure
        >>> def draw(n):
        ...     fig = Figure()
        ...     _ = fig.subplots().plot(range(n))
        ...     return fig
        >>> frames(draw, [2, 3, 4], label="points", alt="A straight line through {} points.")
        Explorer: points = 2, 3, 4

    References:
        WAI-ARIA Authoring Practices: slider pattern, https://www.w3.org/WAI/ARIA/apg/patterns/slider/

    Book: Foundations, "Proximal operators".
    """
    values = list(values)
    if not values:
        raise ValueError("values must not be empty, got []; give the slider's positions, such as [0.0, 0.1, 0.2]")
    if not label.strip():
        raise ValueError(f"label must name what the slider changes, got {label!r}; write for example label='λ'")
    if interval <= 0:
        raise ValueError(f"interval must be > 0 milliseconds, got {interval}")
    texts = [_text(value, fmt) for value in values]
    alts = _alts(alt, values, texts)
    if live:
        return _panel(draw, values, texts, alts, label, _figcaption(caption))
    pictures = [_draw(draw, value) for value in values]
    sizes = {(picture.width, picture.height) for picture in pictures}
    if len(sizes) > 1:
        raise ValueError(f"draw must return figures of one size, got {sorted(sizes)} points; fix figsize in draw")
    return Explorer(_page(pictures, texts, alts, label, caption, interval), label, tuple(texts))


def _text(value: object, fmt: str | Callable[[Any], str] | None) -> str:
    if fmt is None:
        return f"{value:g}" if isinstance(value, float | np.floating) else str(value)
    if callable(fmt):
        return str(fmt(value))
    try:
        return fmt.format(value)
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"fmt must be able to write every value, got {fmt!r} for {value!r}; fmt='{{}}' can") from error


def _alts(alt: str | Callable[[Any], str], values: list[Any], texts: list[str]) -> list[str]:
    if callable(alt):
        alts = [alt(value) for value in values]
    elif "{}" in alt:
        alts = [alt.replace("{}", text) for text in texts]
    else:
        raise ValueError(f"alt must contain {{}} for the value or be a function of the value, got {alt!r}")
    if not all(isinstance(text, str) and text.strip() for text in alts):
        raise ValueError(f"alt must say in words what each picture shows, got {alts!r}")
    return alts


def _draw(draw: Callable[[Any], Figure], value: object) -> Drawing:
    fig = draw(value)
    check_figure(fig, f"draw({value!r})")
    return render(fig)


def _page(
    pictures: list[Drawing], texts: list[str], alts: list[str], label: str, caption: str | None, interval: int
) -> str:
    """Return the explorer's HTML, where all frames draw from one pool of SVG chunks."""
    ident = fingerprint(json.dumps([[picture.body for picture in pictures], texts, alts, label, caption, interval]))
    pool: dict[str, int] = {}
    stored = [[pool.setdefault(chunk, len(pool)) for chunk in picture.chunks(f"bt{ident}")] for picture in pictures]
    data = json.dumps(
        {"pool": list(pool), "frames": stored, "texts": texts, "alts": alts}, separators=(",", ":"), ensure_ascii=False
    )
    script = _explorer.SCRIPT.replace("$ident", ident).replace("$interval", str(interval))
    return _explorer.HTML.substitute(
        ident=ident,
        style=_explorer.STYLE,
        width=pictures[0].pixels[0],
        picture=pictures[0].svg(alts[0], prefix=f"bt{ident}"),
        label=html.escape(label),
        last=len(pictures) - 1,
        text=html.escape(texts[0]),
        caption=_figcaption(caption),
        # "</" would end the script element, and "<!" hide its end
        script=script.replace("$data", data.replace("</", "<\\/").replace("<!", "<\\!")),
    )


def _figcaption(caption: str | None) -> str:
    return f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""


def _panel(
    draw: Callable[[Any], Figure], values: list[Any], texts: list[str], alts: list[str], label: str, below: str
) -> Any:
    """Return slider and picture as widgets; no Output widget, which can hang a notebook that runs without a reader."""
    try:
        widgets = importlib.import_module("ipywidgets")
    except ImportError as error:
        raise ImportError("live=True needs ipywidgets: pip install ipywidgets, or leave live out") from error
    options = list(zip(texts, range(len(values)), strict=True))
    slider = widgets.SelectionSlider(options=options, description=label, style={"description_width": "initial"})
    picture = widgets.HTML()

    def update(change: Any = None) -> None:
        svg = _draw(draw, values[slider.value]).svg(alts[slider.value])
        picture.value = f'<figure class="bt-figure">{svg}{below}</figure>'

    slider.observe(update, names="value")
    update()
    return widgets.VBox([slider, picture])
