"""From a matplotlib figure to an SVG that can live inside any page.

matplotlib writes SVG files for documents of their own: black on white, with a style sheet for every element, a date, and ids that repeat from one figure to the
next. Inline in a page each of these is a fault, and `render` removes them: black becomes ``currentColor``, so that text and axes follow
the page's theme; ids get a prefix; equal figures give equal text.
"""

from __future__ import annotations

import hashlib
import html
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PX_PER_POINT = 96 / 72
_FONTS = "system-ui,sans-serif"
_REFERENCE = re.compile(r'(href="#|url\(#)([^")]+)')
_ID = re.compile(r' id="([^"]+)"')
_DECIMAL = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


@dataclass(frozen=True)
class Drawing:
    """A figure's picture: its size in points and the elements inside ``<svg>``, still with matplotlib's ids."""

    width: float
    height: float
    body: str

    @property
    def fingerprint(self) -> str:
        """Ten hexadecimal digits that depend on nothing but the picture."""
        return fingerprint(f"{self.width} {self.height} {self.body}")

    @property
    def pixels(self) -> tuple[int, int]:
        """The size on the page, in CSS pixels."""
        return round(self.width * PX_PER_POINT), round(self.height * PX_PER_POINT)

    def chunks(self, prefix: str) -> list[str]:
        """Return the body cut before each group, a group for each artist: what two frames share is then equal text."""
        used = {match[1] for match in _REFERENCE.findall(self.body)}

        def rename(match: re.Match[str]) -> str:
            return f' id="{prefix}-{match[1]}"' if match[1] in used else ""

        parts = re.split(r"(?=<g id=)", self.body)
        return [_REFERENCE.sub(rf"\1{prefix}-\2", _ID.sub(rename, part)) for part in parts]

    def svg(self, alt: str, prefix: str | None = None) -> str:
        """Return the whole ``<svg>`` element, which keeps its proportions while the page loads."""
        prefix = prefix or f"bt{self.fingerprint}"
        width, height = self.pixels
        return (
            f'<svg width="{width}" height="{height}" viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{html.escape(alt)}" fill="currentColor" stroke-linejoin="round" '
            f'style="max-width:100%;height:auto">{"".join(self.chunks(prefix))}</svg>'
        )


def fingerprint(text: str) -> str:
    """Return ten hexadecimal digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def render(fig: Figure) -> Drawing:
    """Draw `fig` and close it, so that a notebook does not show it a second time."""
    from matplotlib import pyplot as plt
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import RendererSVG

    class Renderer(RendererSVG):
        def draw_text(self, gc: Any, x: Any, y: Any, s: Any, prop: Any, angle: Any, ismath: Any = False, mtext: Any = None) -> None:
            # Plain text stays text. A formula's symbols are placed one by one for one font, so it becomes outlines.
            with rc_context({"svg.fonttype": "path" if ismath else "none"}):
                super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)

    out, dpi = io.StringIO(), fig.dpi
    width, height = (float(round(72 * inches, 2)) for inches in fig.get_size_inches())
    fig.patch.set_visible(False)
    try:
        fig.dpi = 72  # the SVG's unit is the point
        with rc_context({"svg.hashsalt": "bregtutorial", "font.sans-serif": ["DejaVu Sans"]}):
            renderer = Renderer(width, height, out, image_dpi=144, metadata={"Date": None})
            fig.draw(renderer)
            renderer.finalize()
    finally:
        fig.dpi = dpi
        plt.close(fig)
    return Drawing(width, height, _clean(out.getvalue()))


def _clean(svg: str) -> str:
    body = svg[re.search(r"<svg[^>]*>", svg).end() : svg.rindex("</svg>")]  # type: ignore[union-attr]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # this rule starts with `*` and would restyle every other drawing in the page
    body = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href").replace("#000000", "currentColor")
    body = re.sub(r"'DejaVu Sans'[^;\"]*", _FONTS, body)
    body = re.sub(r' transform="rotate\(-?0 [^"]*"', "", body)
    body = re.sub(r'(?<= d=")[^"]+', lambda path: _shorten(path[0]), body)
    body = re.sub(r'(?<= [xy]=")[^"]+|translate\([^)]*\)', lambda number: _round(number[0]), body)
    return re.sub(r">\s+<", "><", body).strip()


def _shorten(path: str) -> str:
    return re.sub(r"\s*([MLHVCSQTAZz])\s*", r"\1", _round(path)).strip()


def _round(text: str) -> str:
    """Keep hundredths of a point: finer than any screen shows."""
    return _DECIMAL.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), text)
