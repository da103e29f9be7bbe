"""The shrinkage playground: a dual in the plane, and what a prox makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bregtutorial._palette import COLOURS
from bregtutorial.explore.live import Choice, Handle, Live, Range, Script, live
from bregtutorial.regularizers import L1, GroupL2, L1NonNegative, SparseGroupL2

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAR = 3.0
#: What the script knows of each: the share of the 1-norm, and whether negative weights are forbidden.
REGULARIZERS: dict[str, tuple[Any, dict[str, float]]] = {
    "L1": (L1(), {"rho": 1, "sign": 0}),
    "GroupL2": (GroupL2("rows"), {"rho": 0, "sign": 0}),
    "SparseGroupL2": (SparseGroupL2("rows", l1_ratio=0.5), {"rho": 0.5, "sign": 0}),
    "L1NonNegative": (L1NonNegative(), {"rho": 1, "sign": 1}),
}


def playground(
    reg: str = "L1",
    *,
    lam: float = 1.0,
    v: tuple[float, float] = (2.0, 0.6),
    u: tuple[float, float] = (-1.0, 1.5),
    caption: str | None = None,
) -> Live:
    r"""Let the reader drag a dual :math:`v` in the plane, and see :math:`w=\operatorname{prox}_{\lambda J}(v)`.

    The picture shows the dead zone, ``w``, the removed part :math:`\lambda p=v-w`, where :math:`p\in\partial J(w)`, and
    a second point :math:`u`; a line below gives :math:`p` and the Bregman distance :math:`D^p(u,w)`. A menu changes the
    regularizer, a slider λ. Both points follow mouse and finger, and the arrow keys, five times as far with Shift.
    The browser computes the closed forms itself: no kernel is needed.

    Args:
        reg: the regularizer at the start: ``"L1"``, ``"GroupL2"``, ``"SparseGroupL2"`` (with ``l1_ratio=0.5``) or
            ``"L1NonNegative"``; the plane is one group of two weights.
        lam: λ at the start, in [0.1, 2].
        v: the dual at the start, both entries in [-3, 3].
        u: the second point at the start.
        caption: a line under the picture.

    Returns:
        The explorer. Make it the last line of a cell.

    Raises:
        ValueError: the regularizer is unknown, or a number is out of its range.

    Example:
        >>> playground("L1", lam=1.0, v=(2.0, 0.6))
        Explorer: L1 with λ = 1.00: v = (2.00, 0.60), w = (1.00, 0.00), ... One coordinate of w is zero.

    References:
        Moreau (1965): a vector is its prox plus its projection on the dead zone.

    Book: Foundations, "Proximal operators".
    """
    from matplotlib.figure import Figure

    _check(reg, lam, v, u)
    fig = Figure(figsize=(5.0, 4.7), layout="constrained")
    ax = fig.subplots()
    text = _draw(ax, reg, lam, v, u)
    return live(
        fig,
        {"plane": ax},
        [Choice("reg", "J", list(REGULARIZERS), reg), Range("lam", "λ", 2.0, lam, first=0.1, step=0.05)],
        Script(
            "playground.js",
            {"regs": {name: rule for name, (_, rule) in REGULARIZERS.items()}},
            text,
            handles=(Handle("v", "plane", v), Handle("u", "plane", u)),
        ),
        alt=f"{reg} with {text}",
        caption=caption,
    )


def _check(reg: str, lam: float, v: tuple[float, float], u: tuple[float, float]) -> None:
    if reg not in REGULARIZERS:
        raise ValueError(f"reg must be one of {', '.join(REGULARIZERS)}, got {reg!r}")
    if not 0.1 <= lam <= 2:
        raise ValueError(f"lam must be in [0.1, 2], the slider's range, got {lam}")
    for name, point in (("v", v), ("u", u)):
        if len(point) != 2 or not all(abs(x) <= FAR for x in point):
            raise ValueError(f"{name} must be a point of the plane with entries in [-3, 3], got {point}")


def _draw(ax: Axes, reg: str, lam: float, v: tuple[float, float], u: tuple[float, float]) -> str:
    """Draw the state that a page without a script shows, by the package's own operators; return it in words."""
    rule, dual, other = REGULARIZERS[reg][0], torch.tensor([v], dtype=torch.float64), torch.tensor([u]).double()
    w = rule.prox(dual, lam)
    p = (dual - w) / lam
    distance = (rule.value(other) - rule.value(w) - (p * (other - w)).sum()).item()
    angle = torch.linspace(0, 2 * torch.pi, 97, dtype=torch.float64) + torch.pi / 96
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)[:, None]
    far = 100 * circle
    zone = torch.cat([point - rule.prox(point, lam) for point in far]).clamp(-FAR, FAR)
    ax.fill(*zone.T, color=COLOURS["accent"], alpha=0.2, lw=0, gid="part-zone")
    _lines(ax, {"v": v, "u": u, "w": tuple(w[0].tolist()), "q": tuple((dual - w)[0].tolist())})
    ax.axhline(0, color="black", lw=0.6, alpha=0.5)
    ax.axvline(0, color="black", lw=0.6, alpha=0.5)
    ax.set(aspect="equal", xlim=(-FAR, FAR), ylim=(-FAR, FAR), xlabel="first weight", ylabel="second weight")
    where = ("No coordinate of w is zero.", "One coordinate of w is zero.", "v lies in the dead zone: w = 0.")
    far_away = "∞" if np.isinf(distance) else f"{abs(distance):.2f}"
    return (
        f"λ = {lam:.2f}: v = {_pair(v)}, w = {_pair(w[0].tolist())}, p = {_pair(p[0].tolist())}, "
        f"D(u, w) = {far_away}. {where[int((w == 0).sum())]}"
    )


def _lines(ax: Axes, points: dict[str, tuple[float, ...]]) -> None:
    """The parts that move: strokes and, as strokes without length, dots with their letters."""
    v, w, q = (np.array(points[name]) for name in "vwq")
    strokes = {"removed": (0 * v, q, "muted", ":"), "kept": (q, v, "highlight", "-"), "shift": (0 * v, w, "good", "-")}
    for name, (start, end, colour, dashes) in strokes.items():
        ax.plot(*np.stack([start, end]).T, color=COLOURS[colour], ls=dashes, lw=2, gid=f"part-{name}")
    colours = {"q": "muted", "u": "negative", "w": "good", "v": "highlight"}
    for name, colour in colours.items():
        x, y = points[name]
        shape: dict[str, Any] = {"color": COLOURS[colour], "ls": "-", "solid_capstyle": "round"}
        ax.plot([x, x + 0.004], [y, y], lw=13 if name in "vu" else 10, gid=f"part-{name}", **shape)
        label = {"q": "λp"}.get(name, name)
        offset: dict[str, Any] = {"xytext": (10, 8), "textcoords": "offset points", "ha": "center", "va": "baseline"}
        ax.annotate(label, (x, y), gid=f"part-label-{name}", fontsize=12, **offset)


def _pair(x: Any) -> str:
    return "(" + ", ".join(f"{c:.2f}".replace("-0.00", "0.00").replace("-", "−") for c in x) + ")"
