"""The exact inverse scale space path and the exact path of the Lasso, under one slider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bregtutorial._palette import COLOURS
from bregtutorial.explore.live import Choice, Live, Range, Script, live
from bregtutorial.inverse_scale_space import ScaleSpacePath, inverse_scale_space

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
STEPS = 90
MENU = ("the Lasso at λ = 1/t", "the Lasso with as many non-zeros")
ZERO = 1e-9


@dataclass(frozen=True)
class _Lasso:
    """The piecewise linear path: weights at the knots, and what holds between each and the next."""

    knots: Array  # λ, falling
    weights: Array
    square: Array  # |r|², r·d, |d|² of the residual r + s d
    slope: Array  # the bias, divided by λ
    counts: list[int]

    def at(self, lam: float) -> tuple[Array, float, float]:
        """Weights, residual and bias."""
        k = min(max(int((self.knots > lam).sum()) - 1, 0), len(self.knots) - 2)
        s = float(np.clip((self.knots[k] - lam) / (self.knots[k] - self.knots[k + 1]), 0, 1))
        a, b, c = self.square[k]
        w = self.weights[k] + s * (self.weights[k + 1] - self.weights[k])
        bias = lam * float(self.slope[k]) if lam < self.knots[0] else 0.0
        return w, float(np.sqrt(max(a + 2 * s * b + s * s * c, 0))), bias

    def same(self) -> list[float]:
        """For each number of non-zeros the smallest λ of the first stretch that has it."""
        found: dict[int, float] = {0: float(self.knots[0])}
        for k, n in enumerate(self.counts):
            found.setdefault(n, float(self.knots[k + 1]) * (1 + 1e-6))
        return [found[max(k for k in found if k <= n)] for n in range(max(found) + 1)]


def paths(
    A: ArrayLike,
    f: ArrayLike,
    truth: ArrayLike,
    *,
    start: float = 2.0,
    until: float = 20.0,
    caption: str | None = None,
) -> Live:
    r"""Let the reader move along the inverse scale space flow, with the Lasso beside it.

    Above, the subgradient :math:`p(t)` between its walls; in the middle the weights of both and the truth; below,
    over time, the residual :math:`\|Aw-f\|`, the error :math:`\|w-\bar w\|`, and the bias, the distance to the
    least-squares solution on the weights' own support. A menu takes the Lasso at :math:`\lambda=1/t`, or where it has
    as many non-zeros as the flow for the first time. Both paths are exact at every position of the slider.

    Args:
        A: matrix of shape ``(m, n)``.
        f: data of shape ``(m,)``.
        truth: the weights that made the data, shape ``(n,)``.
        start: time that is shown at first, between the first event's time, times 0.7, and ``until``.
        until: time at which the slider ends.
        caption: a line under the picture.

    Returns:
        The explorer. Make it the last line of a cell.

    Raises:
        ValueError: the shapes do not fit, or no weight wakes before ``until``.
        ImportError: scikit-learn is missing; ``pip install 'bregtutorial[book]'`` brings it.

    Example:
        >>> import numpy as np
        >>> paths(np.eye(3), np.array([2.0, -0.5, 0.25]), [2.0, -0.5, 0.0], start=1.0)
        Explorer: Two paths to sparse weights. t = 0.98. Flow: 1 non-zeros, ...

    References:
        Burger, Möller, Benning, Osher (2013), "An Adaptive Inverse Scale Space Method for Compressed Sensing". Efron
        et al. (2004), "Least Angle Regression": the Lasso's path has straight pieces.

    Book: Foundations, "From Bregman iteration to the inverse scale space flow".
    """
    from matplotlib.figure import Figure

    A, f, truth = (np.asarray(x, dtype=np.float64) for x in (A, f, truth))
    flow = inverse_scale_space(A, f)
    if truth.shape != A.shape[1:]:
        raise ValueError(f"truth must have a weight for every column of A, {A.shape[1:]}, got {truth.shape}")
    if len(flow.times) < 2 or not flow.times[1] < until:
        raise ValueError(f"until must be a time after the first weight wakes, got {until}")
    lasso, span = _lasso_path(A, f), (0.7 * float(flow.times[1]), until)
    position = round(float(STEPS * np.log(max(start, span[0]) / span[0]) / np.log(until / span[0])))
    t = span[0] * (until / span[0]) ** (position / STEPS)
    fig = Figure(figsize=(5.0, 6.0), layout="constrained")
    grid = fig.subplot_mosaic([["p"] * 3, ["w"] * 3, ["residual", "error", "bias"]], height_ratios=[1, 1.3, 1])
    numbers = _numbers(A, f, truth, flow, lasso, span)
    _weights(grid, numbers, flow.at(t), lasso.at(1 / t)[0], truth)
    text = _curves(grid, numbers, t, truth, (flow, lasso))
    return live(
        fig,
        grid,
        [Range("t", "t", STEPS, min(position, STEPS)), Choice("against", "beside", MENU, MENU[0])],
        Script("paths.js", numbers, text, play="t", interval=150),
        alt=f"Two paths to sparse weights. {text}",
        caption=caption,
    )


def _lasso_path(A: Array, f: Array) -> _Lasso:
    try:
        from sklearn.linear_model import lars_path
    except ImportError as error:
        raise ImportError("paths needs scikit-learn: pip install 'bregtutorial[book]'") from error
    alphas, _, weights = lars_path(A, f, method="lasso")
    knots, weights = alphas * len(f), weights.T
    residuals = weights @ A.T - f
    square, slope, counts = [], [], []
    for r, d, w in zip(residuals[:-1], np.diff(residuals, axis=0), (weights[:-1] + weights[1:]) / 2, strict=True):
        square.append([r @ r, r @ d, d @ d])
        S = np.abs(w) > ZERO
        counts.append(int(S.sum()))
        slope.append(float(np.linalg.norm(np.linalg.pinv(A[:, S].T @ A[:, S]) @ np.sign(w[S]))))
    return _Lasso(knots, weights, np.array(square), np.array(slope), counts)


def _numbers(
    A: Array, f: Array, truth: Array, flow: ScaleSpacePath, lasso: _Lasso, span: tuple[float, float]
) -> dict[str, Any]:
    """What the script needs of both paths until the end of the slider, in as few digits as can be seen."""
    ws = flow.weights[: (n := int((flow.times <= span[1]).sum()) + 1)]
    same = lasso.same()[: int((ws != 0).sum(axis=1).max()) + 1]
    ls = lasso.weights[: (m := int((lasso.knots >= min(1 / span[1], *same)).sum()) + 1)]
    index = np.flatnonzero((ws != 0).any(axis=0) | (np.abs(ls) > ZERO).any(axis=0) | (truth != 0))
    bias = [np.linalg.norm(w[w != 0] - np.linalg.lstsq(A[:, w != 0], f, rcond=None)[0]) if w.any() else 0 for w in ws]
    return {
        "times": _short(flow.times[:n], 5),
        "p": _short(flow.subgradients[:n], 3),
        "flow": _short(ws[:, index], 4),
        "residual": _short(np.linalg.norm(ws @ A.T - f, axis=1), 4),
        "bias": _short(bias, 4),
        "knots": _short(lasso.knots[:m], 6),
        "lasso": _short(ls[:, index], 4),
        "square": _short(lasso.square[: m - 1], 6),
        "slope": _short(lasso.slope[: m - 1], 4),
        "same": _short(same, 6),
        "truth": truth[index].tolist(),
        "index": index.tolist(),
        "span": span,
        "last": STEPS,
        "menu": MENU,
    }


def _weights(grid: Any, told: dict[str, Any], state: tuple[Array, Array], lasso: Array, truth: Array) -> None:
    """Draw subgradient and weights as they are before the reader moves anything."""
    w, p = state
    true, false, every = (truth != 0) & (w != 0), (truth == 0) & (w != 0), np.arange(len(p))
    stems = np.stack([0 * p, p, np.full_like(p, np.nan)], axis=1).ravel()
    grid["p"].plot(np.repeat(every, 3), stems, color=COLOURS["muted"], ls="-", lw=1.2, gid="part-p")
    grid["p"].hlines([-1, 1], -1, len(p), color="black", lw=1)
    grid["w"].plot(np.flatnonzero(truth), truth[truth != 0], "ko", mfc="none", ms=10)
    for part, chosen, colour in (("true", true, "highlight"), ("false", false, "accent")):
        _dots(grid["p"], f"p-{part}", every[chosen], p[chosen], COLOURS[colour], 6)
        _dots(grid["w"], f"w-{part}", every[chosen], w[chosen], COLOURS[colour], 7)
    awake = np.abs(lasso) > ZERO
    _dots(grid["w"], "w-lasso", every[awake], lasso[awake], COLOURS["Lasso"], 4)
    far = 1.15 * max(np.abs(told[name]).max() for name in ("truth", "flow", "lasso"))
    grid["p"].set(xlim=(-1, len(p)), ylim=(-1.3, 1.3), ylabel="p")
    grid["p"].set_xticklabels([])
    grid["w"].set(xlim=(-1, len(p)), ylim=(-far, far), ylabel="weights", xlabel="index")


def _curves(grid: Any, told: dict[str, Any], t: float, truth: Array, both: tuple[ScaleSpacePath, _Lasso]) -> str:
    """Draw the three measures of both paths over time, with dots at `t`; return what there is to say."""
    flow, lasso = both
    ts = np.geomspace(told["span"][0], told["span"][1], 200)
    at = [lasso.at(1 / s) for s in (*ts, t)]
    k = np.searchsorted(told["times"], [*ts, t], side="right") - 1
    steps = {name: np.array(told[name])[k] for name in ("residual", "bias")}
    steps["error"] = np.linalg.norm(flow.weights[k] - truth, axis=1)
    slopes: dict[str, Any] = {"residual": [r for _, r, _ in at], "bias": [b for _, _, b in at]}
    slopes["error"] = [np.linalg.norm(w - truth) for w, _, _ in at]
    for name, measured in steps.items():
        ax: Axes = grid[name]
        ax.plot(ts, measured[:-1], color=COLOURS["highlight"], ls="-", lw=1.5, drawstyle="steps-post")
        ax.plot(ts, slopes[name][:-1], color=COLOURS["Lasso"], ls=(0, (2, 1)), lw=1.5)
        _dots(ax, f"{name}-flow", [t], measured[-1:], COLOURS["highlight"], 7)
        _dots(ax, f"{name}-lasso", [t], slopes[name][-1:], COLOURS["Lasso"], 5)
        ax.set(xscale="log", xlim=told["span"], ylim=(-0.06 * ax.get_ylim()[1], None), title=name, xlabel="t, 1/λ")
        ax.set_xticks(ticks := [x for x in (0.1, 1, 10, 100) if told["span"][0] < x < told["span"][1]])
        ax.set_xticklabels([f"{x:g}" for x in ticks])
        ax.minorticks_off()
    names: dict[str, tuple[Array, Any]] = {
        "Flow": (flow.at(t)[0], steps),
        f"Lasso, λ = {1 / t:.2f}": (at[-1][0], slopes),
    }
    facts = [
        f"{name}: {int((np.abs(w) > ZERO).sum())} non-zeros, "
        + ", ".join(f"{key} {measures[key][-1]:.2f}" for key in ("residual", "error", "bias"))
        for name, (w, measures) in names.items()
    ]
    return f"t = {t:.2f}. {'. '.join(facts)}."


def _dots(ax: Axes, part: str, x: Any, y: Any, colour: str, size: float) -> None:
    """Strokes without length, as the script draws them; one outside the picture keeps the part where there is none."""
    x, y = np.asarray([*x, -1e6], dtype=float), np.asarray([*y, 0], dtype=float)
    strokes = np.stack([x, x * (1 + 1e-9), np.full_like(x, np.nan)], axis=1).ravel()
    ax.plot(strokes, np.repeat(y, 3), color=colour, ls="-", lw=size, solid_capstyle="round", gid=f"part-{part}")


def _short(x: Any, digits: int) -> Any:
    return np.asarray(x, dtype=np.float64).round(digits).tolist()
