"""matplotlib's SVG renderer, set up for pictures inside pages; imported only to draw, for matplotlib loads slowly."""

from __future__ import annotations

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure

_IMAGE_DPI = 144
_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "bregtutorial",
    "svg.image_inline": True,
    "image.composite_image": False,
    "font.sans-serif": ["DejaVu Sans"],
}


class Renderer(RendererSVG):
    """Keeps plain text as text; a formula's symbols are placed one by one for one font, so it becomes outlines."""

    def draw_text(
        self, gc: Any, x: Any, y: Any, s: Any, prop: Any, angle: Any, ismath: Any = False, mtext: Any = None
    ) -> None:
        """Draw the string `s`, with ``svg.fonttype`` set by what it is."""
        with rc_context({"svg.fonttype": "path" if ismath else "none"}):
            super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)  # type: ignore[no-untyped-call]


def to_svg(fig: Figure) -> str:
    """Return `fig` as an SVG document in points, without its background; artists marked so are drawn as pixels."""
    width, height = (float(inches) for inches in fig.get_size_inches())
    out, dpi, visible = io.StringIO(), fig.dpi, fig.patch.get_visible()
    fig.patch.set_visible(False)
    fig.dpi = 72
    try:
        with rc_context(_SETTINGS):
            vector = Renderer(72 * width, 72 * height, out, image_dpi=_IMAGE_DPI)  # type: ignore[no-untyped-call]
            renderer: Any = MixedModeRenderer(fig, width, height, _IMAGE_DPI, vector)  # type: ignore[no-untyped-call]
            fig.draw(renderer)
            renderer.finalize()
    finally:
        fig.dpi = dpi
        fig.patch.set_visible(visible)
    return out.getvalue()
