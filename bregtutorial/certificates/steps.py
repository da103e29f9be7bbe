"""Verdicts on optimizers: a step that a reader has written, and the state of one that has run.

Book: Algorithms, "LinBreg, step by step".
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bregtutorial.certificates.comparing import close, copy
from bregtutorial.certificates.grading import NEXT_HINT, Property, Verdict, grade
from bregtutorial.certificates.showing import show
from bregtutorial.certificates.subdifferential import subdifferential_gap
from bregtutorial.optim._base import named
from bregtutorial.optim._dual import DualOptimizer
from bregtutorial.regularizers import L1, Regularizer

Step = Callable[..., tuple[Tensor, Tensor]]
_TOLERANCE = 1e-9


def check_step(function: Step, reg: Regularizer | None = None, *, seed: int = 0) -> Verdict:
    r"""Is ``function(w, v, g, lr, lam, delta)`` a step of LinBreg, returned as the pair ``(w, v)``?

    The dual must move by exactly :math:`-\tau g`, and the weights must be the ones that belong to it, which is the
    inclusion :math:`v-w/\delta\in\lambda\,\partial J(w)`.

    Args:
        function: one step, on a weight of any shape that the regularizer has.
        reg: :math:`J`, default ``L1()``.
        seed: of the random weights that follow the simple ones.

    Example:
        >>> def step(w, v, g, lr, lam, delta):
        ...     v = v - lr * g
        ...     return delta * (v - v.clamp(-lam, lam)), v
        >>> bool(check_step(step))
        True

    References:
        Bungert et al. (2022), Algorithm 1.

    Book: Algorithms, "LinBreg, step by step".
    """
    penalty = reg or L1()

    def dual_off(f: Step) -> str | None:
        for w, v, g, lr, lam, delta in _cases(penalty, seed):
            _, v_new = f(*copy((w, v, g)), lr, lam, delta)
            if not close(v_new, v - lr * g, _TOLERANCE):
                return f"v = {show(v)}, g = {show(g)}, lr = {lr:g}: yours is v = {show(v_new)}"
        return None

    def weights_off(f: Step) -> str | None:
        for w, v, g, lr, lam, delta in _cases(penalty, seed):
            w_new, v_new = f(*copy((w, v, g)), lr, lam, delta)
            gap = subdifferential_gap(penalty, (v_new - w_new / delta) / lam, w_new)
            if gap > _TOLERANCE * (1 + w.numel()):
                return f"lam = {lam:g}, delta = {delta:g}: your v = {show(v_new)} does not belong to w = {show(w_new)}"
        return None

    properties = [
        Property(
            "the dual moves by -lr * g", dual_off, "the gradient acts on v, not on w; v keeps what it has gathered."
        ),
        Property(
            "the weights are the prox of delta * v with threshold delta * lam",
            weights_off,
            "is the new v in the prox, and does delta scale both the argument and the threshold?",
        ),
    ]
    next_hint = f'{NEXT_HINT}; or the chapter "LinBreg, step by step"'
    return grade(f"check_step({type(penalty).__name__})", function, properties, next_hint=next_hint)


def check_duals(optimizer: DualOptimizer) -> Verdict:
    r"""Does every weight belong to its dual, :math:`w=\operatorname{prox}_{\delta\lambda J}(\delta v)`?

    It does after every step. It does not after an edit of the weights by hand, which the next step will undo: call
    ``optimizer.reset_dual()`` then.

    Raises:
        TypeError: if the optimizer has no duals.

    Example:
        >>> from bregtutorial.optim import LinBreg
        >>> w = torch.nn.Parameter(torch.ones(2))
        >>> opt = LinBreg([w], lam=0.1)
        >>> w.sum().backward()
        >>> opt.step()
        >>> bool(check_duals(opt))
        True
        >>> _ = w.data.mul_(2)
        >>> bool(check_duals(opt))
        False

    References:
        Bungert et al. (2022), section 2.2.

    Book: Algorithms, "LinBreg, step by step".
    """
    if not isinstance(optimizer, DualOptimizer):
        raise TypeError(f"check_duals needs LinBreg or AdaBreg, got {type(optimizer).__name__}, which has no duals")

    def edited(_: Callable[..., object]) -> str | None:
        for group in optimizer.param_groups:
            for name, p in named(group):
                if "dual" not in optimizer.state[p]:
                    continue
                delta, lam = float(group["delta"]), float(group["lam"])
                off = float(
                    (p - group["reg"].prox(delta * optimizer.state[p]["dual"], delta * lam)).detach().abs().max()
                )
                # the map w -> v -> w rounds at the size of v
                if off > 16 * torch.finfo(p.dtype).eps * float(delta * optimizer.state[p]["dual"].abs().max()):
                    return f"{name} differs by up to {off:.3g} from the prox of its dual"
        return None

    text = "every weight is the prox of its dual"
    hint = "the weights were changed by hand: optimizer.reset_dual() takes them over."
    return grade("check_duals", lambda: None, [Property(text, edited, hint)], next_hint="")


def _cases(reg: Regularizer, seed: int) -> list[tuple[Tensor, Tensor, Tensor, float, float, float]]:
    """Two weights and simple numbers first, so that a mistake shows in as few of them as possible."""
    generator = torch.Generator().manual_seed(seed)
    small, shape = ((1, 1, 1, 2), (3, 2, 2, 2)) if getattr(reg, "groups", "") == "kernels" else ((1, 2), (3, 2))
    pairs = [torch.tensor([[2.0, -0.5], [1.0, 4.0]], dtype=torch.float64).view(2, *small)] * 2
    pairs += [2 * torch.randn(2, *shape, generator=generator, dtype=torch.float64) for _ in range(3)]
    settings = ((0.5, 1.0, 1.0), (0.5, 0.5, 2.0), (1.0, 1.0, 1.0), (0.5, 0.3, 1.0), (0.1, 0.7, 4.0))
    cases = []
    for (v, g), (lr, lam, delta) in zip(pairs, settings, strict=True):
        w = reg.prox(delta * v, delta * lam)
        cases.append((w, v, g, lr, lam, delta))
    return cases
