"""Verdicts on proximal operators, subgradients and projections that a reader has written.

Book: Foundations, "Proximal operators".
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bregtutorial.certificates.grading import NEXT_HINT, Property, Verdict, grade
from bregtutorial.certificates.showing import show
from bregtutorial.certificates.subdifferential import (
    comparison_points,
    finite_trial_points,
    subdifferential_gap,
    trial_points,
)
from bregtutorial.regularizers import Regularizer

_TOLERANCE = 1e-9  # the cases are float64 with entries of order one
_PROXIMAL = f'{NEXT_HINT}; or the chapter "Proximal operators"'
_SUBGRADIENTS = f'{NEXT_HINT}; or the chapter "Subgradients, Bregman distances and the elastic net"'


def check_prox(function: Callable[[Tensor, float], Tensor], reg: Regularizer, *, seed: int = 0) -> Verdict:
    r"""Is ``function(v, t)`` the proximal operator :math:`\operatorname{argmin}_w tJ(w)+\tfrac12\|w-v\|^2`?

    Optimality is decided by inclusion: :math:`w` is the minimiser if and only if :math:`(v-w)/t\in\partial J(w)`.

    Args:
        function: takes ``v`` and ``t >= 0``, returns a tensor of the shape of ``v``.
        reg: :math:`J`.
        seed: of the random weights that follow the simple ones.

    Example:
        >>> from bregtutorial.regularizers import L1
        >>> bool(check_prox(lambda v, t: v - v.clamp(-t, t), L1()))
        True

    References:
        Parikh and Boyd (2014), "Proximal Algorithms", section 3.2.

    Book: Foundations, "Proximal operators".
    """

    def not_minimal(f: Callable[[Tensor, float], Tensor]) -> str | None:
        for v in trial_points(reg, seed):
            for t in (1.0, 0.3, 4.0):
                w = f(v.clone(), t)
                if subdifferential_gap(reg, (v - w) / t, w) > _TOLERANCE * (1 + v.numel()):
                    return _better(reg, v, t, w)
        return None

    def moves_at_zero(f: Callable[[Tensor, float], Tensor]) -> str | None:
        for v in finite_trial_points(reg, seed):
            w = f(v.clone(), 0.0)
            if not torch.allclose(w, v, atol=_TOLERANCE):
                return f"v = {show(v)}, t = 0: yours is {show(w)}"
        return None

    properties = [
        *_of_a_map(trial_points(reg, seed), lambda f, v: f(v, 1.0)),
        Property(
            "the result minimises t J(w) + |w - v|^2 / 2",
            not_minimal,
            "what happens to an entry that is not larger than t? It cannot change its sign on the way to 0."
            if "group" not in reg.name and reg.name != "nuclear"
            else "the whole group shortens by one number and may not turn around. Is the root of n_g in the threshold?",
        ),
        Property("for t = 0 nothing moves", moves_at_zero, "0 / 0 is NaN: guard the division where a group is zero."),
    ]
    return grade(f"check_prox({type(reg).__name__})", function, properties, next_hint=_PROXIMAL)


def check_subgradient(function: Callable[[Tensor], Tensor], reg: Regularizer, *, seed: int = 0) -> Verdict:
    r"""Is ``function(w)`` a subgradient: :math:`J(u)\ge J(w)+\langle p,u-w\rangle` for all :math:`u`?

    Args:
        function: takes weights, returns a tensor of their shape.
        reg: :math:`J`.
        seed: of the random weights that follow the simple ones.

    Example:
        >>> from bregtutorial.regularizers import L1
        >>> bool(check_subgradient(torch.sign, L1())), bool(check_subgradient(torch.zeros_like, L1()))
        (True, False)

    References:
        Rockafellar (1970), "Convex Analysis", section 23.

    Book: Foundations, "Subgradients, Bregman distances and the elastic net".
    """

    def violated(f: Callable[[Tensor], Tensor]) -> str | None:
        for w in finite_trial_points(reg, seed):
            p = f(w.clone())
            if subdifferential_gap(reg, p, w) > _TOLERANCE * (1 + w.numel()):
                u = max(comparison_points(w, p), key=lambda x: float((p * (x - w)).sum() - reg.value(x)))
                bound = float(reg.value(w) + (p * (u - w)).sum())
                return (
                    f"w = {show(w)}, yours is p = {show(p)}; at u = {show(u)} the line has {bound:.4g}, "
                    f"J only {float(reg.value(u)):.4g}"
                )
        return None

    properties = [
        *_of_a_map(finite_trial_points(reg, seed), lambda f, w: f(w)),
        Property(
            "J(u) >= J(w) + <p, u - w> for all u",
            violated,
            "where J is smooth, p is its gradient; where w is zero, p may be anything in the dual ball, for example 0.",
        ),
    ]
    return grade(f"check_subgradient({type(reg).__name__})", function, properties, next_hint=_SUBGRADIENTS)


def check_projection(function: Callable[[Tensor, float], Tensor], reg: Regularizer, *, seed: int = 0) -> Verdict:
    r"""Is ``function(v, t)`` the nearest point to ``v`` in :math:`t\,\partial J(0)`, the dual ball of radius ``t``?

    Decided by the variational inequality: :math:`q` is the projection if and only if :math:`v-q` is normal to the ball
    at :math:`q`, which for these balls says :math:`q/t\in\partial J(v-q)`.

    Args:
        function: takes ``v`` and ``t > 0``, returns a tensor of the shape of ``v``.
        reg: :math:`J`.
        seed: of the random weights that follow the simple ones.

    Example:
        >>> from bregtutorial.regularizers import L1
        >>> bool(check_projection(lambda v, t: v.clamp(-t, t), L1()))
        True

    References:
        Moreau (1965). Parikh and Boyd (2014), "Proximal Algorithms", section 2.5.

    Book: Foundations, "Proximal operators".
    """

    def not_nearest(f: Callable[[Tensor, float], Tensor]) -> str | None:
        for v in trial_points(reg, seed):
            for t in (1.0, 0.3, 4.0):
                q = f(v.clone(), t)
                if subdifferential_gap(reg, q / t, v - q) > _TOLERANCE * (1 + v.numel()):
                    nearest = v - reg.prox(v, t)
                    return (
                        f"v = {show(v)}, t = {t:g}: yours is {show(q)} at distance {float((q - v).norm()):.4g}; the "
                        f"nearest point of the ball is {show(nearest)} at {float((nearest - v).norm()):.4g}"
                    )
        return None

    properties = [
        *_of_a_map(trial_points(reg, seed), lambda f, v: f(v, 1.0)),
        Property(
            "the result is the point of the ball nearest to v",
            not_nearest,
            "a point inside the ball is its own projection; one outside lands on the boundary.",
        ),
    ]
    return grade(f"check_projection({type(reg).__name__})", function, properties, next_hint=_PROXIMAL)


def _of_a_map(
    points: list[Tensor], apply: Callable[[Callable[..., Tensor], Tensor], Tensor]
) -> tuple[Property, Property]:
    """What every function on weights owes its caller."""

    def other_shape(f: Callable[..., Tensor]) -> str | None:
        for v in points:
            got = apply(f, v.clone())
            if not isinstance(got, Tensor):
                return f"for {show(v)} it returned {type(got).__name__}"
            if got.shape != v.shape:
                return f"for shape {tuple(v.shape)} it returned shape {tuple(got.shape)}"
        return None

    def overwrites(f: Callable[..., Tensor]) -> str | None:
        for v in points:
            given = v.clone()
            apply(f, given)
            if not torch.equal(given, v):
                return f"{show(v)} went in and is now {show(given)}"
        return None

    return (
        Property("it returns a tensor of the shape it was given", other_shape, "does every branch return the result?"),
        Property("it leaves its argument alone", overwrites, "names that end in _ work in place."),
    )


def _better(reg: Regularizer, v: Tensor, t: float, w: Tensor) -> str:
    def objective(x: Tensor) -> float:
        return t * float(reg.value(x)) + float((x - v).square().sum()) / 2

    # beside the package's own answer, points on the way to others: a reader's regularizer may be judged by its own prox
    nearby = [w + s * (u - w) for u in comparison_points(w, (v - w) / t) for s in (1.0, 0.1, 0.01)]
    best = min([reg.prox(v, t), *nearby], key=objective)
    return (
        f"v = {show(v)}, t = {t:g}: yours is {show(w)} with objective {objective(w):.6g}, but {show(best)} has "
        f"{objective(best):.6g}"
    )
