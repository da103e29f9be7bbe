"""What a control sees of an optimizer: which groups it may steer, how many weights are awake, when each would wake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from bregtutorial.layers import whole
from bregtutorial.optim._dual import DualOptimizer
from bregtutorial.regularizers import Nuclear, Zero


def controlled(optimizer: DualOptimizer, group: int | str | None) -> dict[int, float]:
    """Index of every group to steer, and its strength divided by that of the first."""
    groups, names = optimizer.param_groups, [g.get("name", i) for i, g in enumerate(optimizer.param_groups)]
    found = {
        i: float(g["lam"])
        for i, g in enumerate(groups)
        if (group is None or group in (i, names[i])) and g["lam"] > 0 and not isinstance(g["reg"], Zero)
    }
    if not found:
        which = "param group" if group is None else f"param group {group!r}"
        raise ValueError(f"no {which} with a regularizer and lam > 0; there are {names}")
    for i in found:
        if isinstance(groups[i]["reg"], Nuclear):
            raise ValueError(f"group {names[i]!r} has Nuclear(): a matrix of low rank has no zeros to count")
    first = next(iter(found.values()))
    return {i: lam / first for i, lam in found.items()}


def check_thresholds(optimizer: DualOptimizer, indices: Iterable[int]) -> None:
    """Refuse regularizers that do not say when a weight wakes."""
    for i in indices:
        group = optimizer.param_groups[i]
        if not hasattr(group["reg"], "wakes_below"):
            raise ValueError(
                f"rule='quantile' needs a regularizer with a method wakes_below(v), but group "
                f"{group.get('name', i)!r} has {group['reg']}: write one, or use rule='odds'"
            )


def started(optimizer: DualOptimizer, indices: Iterable[int]) -> dict[int, list[Tensor]]:
    """Parameters that have a dual, by group; groups without any are left out."""
    found = {i: optimizer._started(optimizer.param_groups[i]) for i in indices}
    return {i: params for i, params in found.items() if params}


def count(params: Iterable[Tensor]) -> int:
    """Number of weights that are not zero, in one transfer."""
    counts = [whole((p != 0).sum()) for p in params]
    return int(torch.stack([c.to(counts[0].device) for c in counts]).sum())


def thresholds(optimizer: DualOptimizer, params: Mapping[int, list[Tensor]], ratios: Mapping[int, float]) -> Tensor:
    """For every weight the strength of the first group below which it is awake, in one vector."""
    found = []
    for i, members in params.items():
        reg = optimizer.param_groups[i]["reg"]
        duals = [whole(optimizer.state[p]["dual"]) for p in members]
        found += [reg.wakes_below(v).flatten() / ratios[i] for v in duals]
    return torch.cat([x.to(found[0].device) for x in found])
