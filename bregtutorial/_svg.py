"""From a matplotlib figure to an SVG that can live inside any page.

matplotlib writes SVG files for documents of their own: black on white, with a style sheet for every element, a date,
and ids that repeat from one figure to the next. Inline in a page each of these is a fault, and `render` removes them:
black becomes ``currentColor``, so that text and axes follow the page's theme; ids get a prefix; equal figures give
equal text.
"""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bregtutorial._compact import FONTS, compact

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PX_PER_POINT = 96 / 72
_REFERENCE = re.compile(r'(href="#|url\(#)([^")]+)')
_ID = re.compile(r' id="([^"]+)"')


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
            f'aria-label="{html.escape(alt)}" fill="currentColor" stroke-linejoin="round" font-family="{FONTS}" '
            f'style="max-width:100%;height:auto">{"".join(self.chunks(prefix))}</svg>'
        )


def fingerprint(text: str) -> str:
    """Return ten hexadecimal digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def render(fig: Figure) -> Drawing:
    """Draw `fig` and close it, so that a notebook does not show it a second time."""
    from matplotlib import pyplot as plt

    from bregtutorial._renderer import to_svg

    width, height = (float(round(72 * inches, 2)) for inches in fig.get_size_inches())
    try:
        return Drawing(width, height, compact(to_svg(fig)))
    finally:
        plt.close(fig)
