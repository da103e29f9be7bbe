"""Colours, dashes, markers and colour maps of the book's figures, each fit for a white and for a dark page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.colors import Colormap


class Palette(dict[str, str]):
    """Colours by role, which names the roles when asked for one that it lacks."""

    def __missing__(self, role: str) -> str:
        raise KeyError(f"no colour for {role!r}; the roles are {', '.join(self)}")


#: Contrast at least 3:1 on white and on the book's dark pages; the methods stay apart in deuteranopia and protanopia.
# Lasso has the colour of ProxSGD, which solves it; dashes and marker tell them apart.
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
    "Lasso": ((0, (2, 1)), "P"),
}
# The order in which curves without a method of their own take the styles.
_CYCLE = ("LinBreg", "AdaBreg", "ProxSGD", "SGD", "LinBreg+momentum", "Adam", "Lasso")


def line(method: str) -> dict[str, Any]:
    """Return the keywords with which ``ax.plot`` draws `method`: label, colour, dash pattern and marker of its own.

    Args:
        method: one of the methods in `COLOURS`, such as ``"LinBreg"``.

    Raises:
        ValueError: the method has no line style.

    Example:
        >>> line("AdaBreg")["color"], line("AdaBreg")["linestyle"]
        ('#d55e00', '--')

    References:
        Okabe and Ito, Color Universal Design (2008), from which most hues are taken.

    Book: Algorithms, "AdaBreg".
    """
    if method not in _SHAPES:
        raise ValueError(
            f"method must be one of {', '.join(_SHAPES)}, got {method!r}; "
            f"for another curve write {{**line('LinBreg'), 'label': {method!r}}}"
        )
    dashes, marker = _SHAPES[method]
    return {"label": method, "color": COLOURS[method], "linestyle": dashes, "marker": marker, "markevery": 0.12}


def styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return `line` of each name; a name that is no method takes the first style that none of the others has."""
    names = list(names)
    free = iter([method for method in _CYCLE if method not in names])
    found = {}
    for name in names:
        method = name if name in _SHAPES else next(free, None)
        if method is None:
            raise ValueError(f"there are line styles for {len(_SHAPES)} curves, got {names}; draw two figures")
        found[name] = {**line(method), "label": name}
    return found


def diverging(floor: float = 0.0) -> Colormap:
    r"""Colour map for signed values: blue below, vermilion above, and the page itself in the middle.

    The colour stays and its opacity is ``floor + (1 - floor) |x|`` for a value `x` scaled to [-1, 1]. So zero is white
    on a white page and dark on a dark one, and large values have a contrast of at least 3:1 on both. Values that are
    masked or NaN are transparent.

    Args:
        floor: opacity next to the middle, in [0, 1). Above 0, small values differ from none: mask the exact zeros.

    Raises:
        ValueError: `floor` is outside [0, 1).

    Example:
        >>> cmap = diverging()
        >>> [round(float(cmap(x)[3]), 1) for x in (0.0, 0.25, 0.5, 1.0)]
        [1.0, 0.5, 0.0, 1.0]

    References:
        Okabe and Ito, Color Universal Design (2008): blue and vermilion stay apart for colour-blind readers.

    Book: Foundations, "A first sparse network".
    """
    low, high = COLOURS["negative"], COLOURS["positive"]
    _check_floor(floor)
    return _by_opacity("bt-diverging", [(0.0, low, 1.0), (0.5, low, floor), (0.5, high, floor), (1.0, high, 1.0)])


def sequential(floor: float = 0.08) -> Colormap:
    """Colour map for values from little to much: the page's own colour at one end, blue at the other.

    The opacity rises linearly from `floor` to 1, so that more is more ink on a white and on a dark page. For a family
    of curves take the upper half, such as ``sequential()(np.linspace(0.5, 1, n))``.

    Args:
        floor: opacity of the smallest value, in [0, 1).

    Raises:
        ValueError: `floor` is outside [0, 1).

    Example:
        >>> cmap = sequential(floor=0.2)
        >>> [round(float(cmap(x)[3]), 1) for x in (0.0, 0.5, 1.0)]
        [0.2, 0.6, 1.0]

    References:
        Okabe and Ito, Color Universal Design (2008).

    Book: Foundations, "Proximal operators".
    """
    _check_floor(floor)
    return _by_opacity("bt-sequential", [(0.0, COLOURS["accent"], floor), (1.0, COLOURS["accent"], 1.0)])


def _check_floor(floor: float) -> None:
    if not 0 <= floor < 1:
        raise ValueError(f"floor must be in [0, 1), got {floor}; it is the opacity of the faintest colour")


def _by_opacity(name: str, stops: list[tuple[float, str, float]]) -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    # with 255 colours the middle has one of its own, and with transparent a picture's palette has 256
    return LinearSegmentedColormap.from_list(name, [(x, to_rgba(colour, alpha)) for x, colour, alpha in stops], N=255)


# Text of 10 to 12 points on 5 inches: on a telephone's page, 360 pixels wide, the smallest has 10 pixels.
_DEFAULTS: dict[str, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "grid.linewidth": 0.6,
    "grid.alpha": 0.18,
    "grid.color": "black",
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


def use_style() -> None:
    """Set matplotlib's defaults for the book: no background, text that stays text, lines that differ without colour.

    Example:
        >>> use_style()

    References:
        matplotlib, "Customizing Matplotlib with style sheets and rcParams".

    Book: Foundations, "A first sparse network".
    """
    from cycler import cycler
    from matplotlib import rcParams

    cycle = cycler(color=[COLOURS[m] for m in _CYCLE]) + cycler(linestyle=[_SHAPES[m][0] for m in _CYCLE])
    defaults: dict[Any, Any] = {**_DEFAULTS, "axes.prop_cycle": cycle}
    rcParams.update(defaults)
