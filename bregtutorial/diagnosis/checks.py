"""The failures that one look at model and optimizer can tell: each a function from a run to a finding, or to None."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from bregtutorial.diagnosis.findings import Finding
from bregtutorial.diagnosis.run import Member, Run
from bregtutorial.layers import weighted_layers

_DENSE = 0.5  # a group of which more is awake is not sparse
_SPARSE = 0.25  # above, a network that has come to rest looks like one in which nothing wakes
_EARLY = 0.1  # layers wake one after the other: before this share of the steps some have had no gradient
_HEARD = 0.5  # where weights wake, more zeros than a tenth of the awake have gathered this share of lam
_MORE = 1.1  # not one more: survivors of the start that have become zero stay near the threshold


def left_out(run: Run) -> Finding | None:
    """Trainable parameters in no group of the optimizer."""
    if not run.left_out:
        return None
    number = sum(p.numel() for _, p in run.left_out)
    cure = "build the optimizer from parameter_groups(model, ...) after the last change of the model"
    return _finding("left out", [name for name, _ in run.left_out], number, "parameters that nobody trains", cure)


def no_gradient(run: Run) -> Finding | None:
    """Parameters that have never stepped while others have."""
    if not run.never_stepped:
        return None
    number = sum(m.w.numel() for m in run.never_stepped)
    cure = "let the loss depend on them, or freeze them by requires_grad_(False)"
    return _finding("no gradient", run.never_stepped, number, "parameters that have never had a gradient", cure)


def no_penalty(run: Run) -> Finding | None:
    """No group in which anything can become zero."""
    if any(m.penalised for m in run.members):
        return None
    labels = dict.fromkeys(m.label for m in run.members)
    meaning = "groups with lam > 0 and a regularizer other than Zero()"
    return _finding("no penalty", labels, 0, meaning, "parameter_groups(model, lam=...) with lam > 0")


def wrong_penalty(run: Run) -> Finding | None:
    """Norm layers and biases under a penalty."""
    wrong = [m for m in run.members if m.penalised and m.plain]
    if not wrong:
        return None
    number = 1 - _density(m.w for m in wrong)
    cure = "parameter_groups(model, lam=...) penalises the weights of Linear and Conv layers and nothing else"
    return _finding("wrong penalty", wrong, number, "the share of these norm parameters and biases that is zero", cure)


def half_precision(run: Run) -> Finding | None:
    """Weights or duals with fewer than 32 bits."""
    kept = ((m, dtype) for m in run.members for dtype in (m.w.dtype, m.state.get("dual", m.w).dtype))
    half = [(m, torch.finfo(dtype).eps / 2) for m, dtype in kept if torch.finfo(dtype).bits < 32]
    if not half:
        return None
    meaning = "the size of a step, relative to the number it changes, that can be rounded away"
    cure = "model.float() and a new optimizer; compute in half by torch.autocast, but keep weights and duals float32"
    return _finding("half precision", [m for m, _ in half], max(eps for _, eps in half), meaning, cure)


def not_finite(run: Run) -> Finding | None:
    """NaN or infinite weights."""
    bad = [(m, n) for m in run.members if (n := int((~m.w.isfinite()).sum()))]
    if not bad:
        return None
    cure = "go back to a checkpoint with a smaller lr; for float16, a GradScaler skips the steps that overflow"
    return _finding("not finite", [m for m, _ in bad], sum(n for _, n in bad), "weights that are NaN or infinite", cure)


def edited(run: Run) -> Finding | None:
    """Weights that are not the prox of their duals."""
    gaps = [(m, gap) for m in run.started if (gap := _gap(m)) > 0]
    if not gaps:
        return None
    meaning = "the largest difference between a weight and what its dual says, which the next step undoes"
    cure = "opt.reset_dual() if the weights are right; if the duals are, or lam was changed, opt.apply_prox()"
    return _finding("edited", [m for m, _ in gaps], max(gap for _, gap in gaps), meaning, cure)


def empty(run: Run) -> Finding | None:
    """Layers without an active weight."""
    layers = [(name or "model", layer.weight) for name, layer in weighted_layers(run.model)]
    gone = {id(w): name for name, w in layers if not (w != 0).any()}
    if not gone:
        return None
    waiting = [factor([m], 0.0) for m in run.started if m.penalised and id(m.w) in gone]
    cure = "a larger density in sparse_init_, a smaller lam for these layers, or none: kinds={'name.weight': 'other'}"
    if len(gone) == len(layers):
        cure = "from nothing nothing grows: sparse_init_(model, density=0.01), then a new optimizer with a smaller lam"
    meaning = "the largest |v| / lam in them, which wakes a weight above 1"
    return _finding("empty", gone.values(), max(waiting, default=0.0), meaning, cure)


def dense(run: Run) -> Finding | None:
    """Groups of which more than half is awake."""
    full = [(ms, share) for ms in run.penalised_groups() if (share := _density(m.w for m in ms)) > _DENSE]
    if not full:
        return None
    worst, number = max(full, key=lambda found: found[1])
    group, key = worst[0].group, worst[0].key
    masked = f" with groups={group['reg'].groups!r}" if hasattr(group["reg"], "groups") else ""
    cure = (
        f"if it began so, call sparse_init_{masked} before the optimizer is built; if it filled up, raise lam: "
        f"opt.set_lam({factor(worst, 0.1) * group['lam']:.3g}, group={key!r}) leaves a tenth of it now"
    )
    return _finding("dense", [ms[0].label for ms, _ in full], number, "the share that is not zero", cure)


def asleep(run: Run) -> Finding | None:
    """Zeros that have gathered so little that hardly any will wake before the run ends."""
    members = [m for ms in run.penalised_groups() for m in ms]
    share = _density(m.w for m in members)
    # evidence grows at most in proportion to the steps, if lr does not rise
    heard = _awake(members, _HEARD * run.progress) > _MORE * share
    if not members or run.progress < _EARLY or share > _SPARSE or heard:
        return None
    group = members[0].group
    lr, first = float(group["lr"]), float(group.get("initial_lr", group["lr"]))
    cure = (
        f"opt.set_lam with {factor(members, 2 * share):.3g} times the lam of each group doubles the density at once, "
        "since evidence is kept; next time a smaller lam, a larger lr, or more steps"
    )
    if lr < 0.1 * first:
        cure += f" (the schedule has taken lr to {lr / first:.1%} of its start)"
    labels, meaning = [m.label for m in members], "the share of lam under which a tenth more would be awake"
    return _finding("asleep", labels, factor(members, _MORE * share), meaning, cure)


#: In the order in which to mend them: what is trained, what is penalised, numbers, then density.
CHECKS: Sequence[Callable[[Run], Finding | None]] = (
    left_out,
    no_gradient,
    no_penalty,
    wrong_penalty,
    half_precision,
    not_finite,
    edited,
    empty,
    dense,
    asleep,
)


def factor(members: Sequence[Member], density: float) -> float:
    """The factor of every lam down to which these duals leave no more than that share of the weights.

    For the 1-norm a quantile of |v| / lam, for groups of ||v_g|| / (lam sqrt(n_g)); asking the prox serves every J.
    """
    low, high = 0.0, 1.0
    while _awake(members, high) > density and high < 1e9:
        low, high = high, 2 * high
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if _awake(members, middle) > density else (low, middle)
    return low


def _awake(members: Sequence[Member], factor: float) -> float:
    """The share of the weights that is not zero if every lam is multiplied by a factor."""
    return _density(m.prox(factor) for m in members)


def _density(weights: Iterable[Tensor]) -> float:
    counts = [(int((w != 0).sum()), w.numel()) for w in weights]
    return sum(n for n, _ in counts) / max(sum(n for _, n in counts), 1)


def _gap(m: Member) -> float:
    """The largest difference between weights and the prox of their duals; 0 if it is rounding."""
    if not m.w.numel():
        return 0.0
    wanted = m.prox()
    size = float(m.group["delta"]) * float(m.state["dual"].abs().max())
    gap = float((m.w - wanted).abs().max())
    return gap if gap > 8 * torch.finfo(wanted.dtype).eps * size else 0.0


def _finding(name: str, where: Iterable[Member | str], number: float, meaning: str, cure: str) -> Finding:
    names = dict.fromkeys(w if isinstance(w, str) else w.name for w in where)
    return Finding(name, tuple(names), float(number), meaning, cure)
