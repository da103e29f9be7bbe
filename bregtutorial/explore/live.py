"""Explorers that compute: matplotlib draws the picture once, a script moves its parts.

An artist with the gid ``part-name`` is a part. The script knows how each axes maps numbers to the picture, and writes
the paths of the parts anew whenever the reader moves a control. So the page without a script shows matplotlib's
picture, and both look alike.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bregtutorial._explorer import STYLE
from bregtutorial._svg import fingerprint, render
from bregtutorial.plotting import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS_PER_INCH = 72
_MOVED = """
.bt-stage{position:relative;max-width:%dpx}.bt-stage svg{display:block;touch-action:pan-y}
.bt-stage button{position:absolute;width:44px;height:44px;margin:-22px 0 0 -22px;padding:0;border:0;border-radius:50%%;
background:none;cursor:grab;touch-action:none}
.bt-stage button:hover{outline:1px solid;outline-offset:-6px}
.bt-stage button:focus-visible{outline:3px solid #0072b2;outline-offset:-4px}
.bt-controls select{min-height:44px;min-width:0;max-width:100%%;color:inherit;background:none;font:inherit;\
border:1px solid;border-radius:6px;padding:0 .5em}.bt-controls select option{color:#222832;background:#fff}
.bt-controls select:focus-visible{outline:3px solid #0072b2;outline-offset:2px}
.bt-live .bt-controls label{flex:1 1 11rem;min-width:0;max-width:100%%}
.bt-live .bt-controls label:has(select){flex-basis:16rem}
.bt-live output{display:block;margin:.25rem 0 0;max-width:40rem;\
text-align:left;font-variant-numeric:tabular-nums}
@media print{.bt-stage button,.bt-live .bt-controls{display:none!important}}"""


@dataclass(frozen=True)
class Range:
    """A slider over whole numbers or steps, which may be played."""

    name: str
    label: str
    last: float
    value: float
    first: float = 0
    step: float = 1


@dataclass(frozen=True)
class Choice:
    """A menu."""

    name: str
    label: str
    options: Sequence[str]
    value: str


@dataclass(frozen=True)
class Handle:
    """A point of the plane that is dragged, or moved by arrow keys."""

    name: str
    axes: str
    value: tuple[float, float]
    step: float = 0.1


@dataclass(frozen=True)
class Script:
    """The script that draws: a file of this folder, its numbers, what it says of the picture as matplotlib drew it."""

    name: str
    numbers: Mapping[str, Any]
    text: str
    play: str | None = None
    interval: int = 400
    handles: Sequence[Handle] = field(default=())


class Live(Picture):
    """A finished explorer that computes: notebooks show its `html`, terminals its `alt` text.

    Book: Foundations, "Proximal operators".
    """

    def __repr__(self) -> str:
        return f"Explorer: {self.alt}"


def source(name: str) -> str:
    """The text of a script in this folder, without its comments."""
    lines = Path(__file__).with_name(name).read_text("utf8").splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith("//"))


def live(
    fig: Figure,
    axes: Mapping[str, Axes],
    controls: Sequence[Range | Choice],
    script: Script,
    alt: str,
    caption: str | None = None,
) -> Live:
    """Give a figure its controls and its script; its axes get the names by which the script calls them."""
    drawing = render(fig)
    drawing = replace(drawing, body=drawing.body.replace('<g id="part-', '<g data-part="'))
    data = {
        "size": [drawing.width, drawing.height],
        "axes": {name: _map(fig, ax) for name, ax in axes.items()},
        "state": {each.name: each.value for each in (*controls, *script.handles)},
        "handles": [{"name": h.name, "axes": h.axes, "step": h.step} for h in script.handles],
        "play": script.play,
        **script.numbers,
    }
    stored = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/").replace("<!", "<\\!")
    ident = fingerprint(drawing.body + stored + str(caption) + script.name)
    code = source("live.js").replace("$interval", str(script.interval)).replace("$draw", source(script.name))
    width = drawing.pixels[0]
    play = '<button type="button" hidden>Play</button>' if script.play else ""
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return Live(
        f'<figure class="bt-figure bt-explorer bt-live" data-bt="{ident}"><style>{STYLE}{_MOVED % width}</style>\n'
        f'<div class="bt-stage">{drawing.svg(alt, prefix=f"bt{ident}")}</div>\n'
        f'<div class="bt-controls" style="max-width:{width}px">{play}{"".join(map(_control, controls))}</div>\n'
        f'<output aria-live="off">{html.escape(script.text)}</output>{below}\n'
        f"<script>{code.replace('$ident', ident).replace('$data', stored)}</script></figure>",
        alt,
    )


def _control(control: Range | Choice) -> str:
    label, name = html.escape(control.label), html.escape(control.name)
    if isinstance(control, Range):
        limits = f'min="{control.first:g}" max="{control.last:g}" step="{control.step:g}" value="{control.value:g}"'
        return f'<label hidden><span>{label}</span> <input type="range" name="{name}" {limits}></label>'
    chosen = (f"<option{' selected' if o == control.value else ''}>{html.escape(o)}</option>" for o in control.options)
    return f'<label hidden><span>{label}</span> <select name="{name}">{"".join(chosen)}</select></label>'


def _map(fig: Figure, ax: Axes) -> dict[str, Any]:
    """How numbers become points: offset and scale of x and of y, after a logarithm where there is one."""
    logs = ax.get_xscale() == "log", ax.get_yscale() == "log"
    points = [[10.0**s if log else float(s) for log in logs] for s in (0, 1)]
    (x0, y0), (x1, y1) = ax.transData.transform(points) * (POINTS_PER_INCH / fig.dpi)
    height = POINTS_PER_INCH * fig.get_size_inches()[1]
    numbers = [round(float(v), 3) for v in (x0, x1 - x0, height - y0, y0 - y1)]
    return {"map": numbers, "log": logs, "limits": [*ax.get_xlim(), *ax.get_ylim()]}
