"""Cutting: a copy of the network without the channels that go, their constants folded into what reads them.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

from collections import Counter
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvTransposeNd

from bregtutorial.compaction.decide import Decision, Merge
from bregtutorial.compaction.resize import Model, Widths, all_widths, replaced, resized


def norms_after(model: nn.Module, decision: Decision) -> dict[str, str]:
    """For each layer whose result goes to a batch norm with running statistics and nowhere else, this norm.

    The norm subtracts a running mean, which can take up a constant: the layer needs no bias then.

    Example:
        >>> from bregtutorial.compaction.decide import decide
        >>> model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.BatchNorm1d(2), nn.Linear(2, 1))
        >>> norms_after(model, decide(model))
        {'0': '1'}

    Book: Frontiers, "From zeros to speed".
    """
    steps, found = decision.wiring.steps, {}
    module_of = {step.name: step.module for step in steps}
    users = Counter(name for step in steps for name in step.inputs)
    for step in steps:
        before = module_of[step.inputs[0]] if step.inputs else ""
        if before in decision.arrives and users[step.inputs[0]] == 1 and step.module in decision.wiring.modules:
            norm = model.get_submodule(step.module)
            if isinstance(norm, _BatchNorm) and norm.running_mean is not None:
                found[before] = step.module
    return found


def planned_widths(model: nn.Module, decision: Decision) -> Widths:
    """The widths of the network that :func:`cut` makes, as :func:`~bregtutorial.compaction.resize.all_widths` has them.

    Example:
        >>> from bregtutorial.compaction.decide import decide
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> _ = model[0].weight.detach()[1:].zero_()
        >>> planned_widths(model, decide(model))
        {'0': (3, 1, 1), '2': (1, 2, 1)}

    Book: Frontiers, "From zeros to speed".
    """
    widths, norms, wiring = all_widths(model), norms_after(model, decision), decision.wiring
    for name in wiring.modules:
        n_in, n_out = (int(kept.sum()) for kept in (wiring.inputs(name, decision.keep), _outputs(decision, name)))
        if len(widths[name]) == 1:
            widths[name] = (n_out,)
        else:
            adds = name not in norms and name in decision.shifts and bool(decision.shifts[name].any())
            widths[name] = (n_in, n_out, max(widths[name][2], int(adds)))
    return widths


def _outputs(decision: Decision, name: str) -> Tensor:
    """Which outputs of a module stay, one entry an entry of its parameters."""
    kept = decision.wiring.outputs(name, decision.keep)
    return kept if name in decision.arrives else decision.wiring.inputs(name, decision.keep)


@torch.no_grad()
def cut(model: Model, decision: Decision) -> Model:
    """A deep copy of the model without the channels that go; the model stays as it is.

    Raises:
        ValueError: if the model cannot be copied.

    Example:
        >>> from bregtutorial.compaction.decide import decide
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> _ = model[0].weight.detach()[1:].zero_()
        >>> cut(model, decide(model))
        Sequential(
          (0): Linear(in_features=3, out_features=1, bias=True)
          (1): ReLU()
          (2): Linear(in_features=1, out_features=2, bias=True)
        )

    Book: Frontiers, "From zeros to speed".
    """
    before, after = all_widths(model), planned_widths(model, decision)
    touched = [name for name in decision.wiring.modules if before[name] != after[name] or name in decision.shifts]
    modules = {name: resized(model.get_submodule(name), after[name]) for name in touched}
    for name, module in modules.items():
        _fill(model.get_submodule(name), module, decision, name)
    small = replaced(model, modules)
    norms = norms_after(model, decision)
    for name, shift in decision.shifts.items():
        kept = shift[decision.wiring.outputs(name, decision.keep)]
        if name in norms:
            _add_(small.get_submodule(norms[name]).running_mean, -kept)
        elif kept.any():
            _add_(small.get_submodule(name).bias, kept)
    return small


def _fill(big: nn.Module, small: nn.Module, decision: Decision, name: str) -> None:
    """Copy what stays of a module's parameters and buffers; weights from and to idle channels are zero."""
    wiring, rows, columns = decision.wiring, _outputs(decision, name), decision.wiring.inputs(name, decision.keep)
    targets = dict(chain(small.named_parameters(), small.named_buffers()))
    for key, value in chain(big.named_parameters(), big.named_buffers()):
        if key == "weight" and name in decision.arrives:
            target = _outputs_first(big, targets[key])
            w = _merged(_outputs_first(big, value), decision.merges.get(name))
            target.copy_(w[rows.to(value.device)][:, columns.to(value.device)])
            target[wiring.outputs(name, decision.idle)[rows]] = 0.0
            target[:, wiring.inputs(name, decision.idle)[columns]] = 0.0
        else:
            targets[key].copy_(value[rows.to(value.device)] if value.ndim else value)


def _merged(w: Tensor, merge: Merge | None) -> Tensor:
    """A weight in which constant inputs take over the work of others, for each offset in the kernel."""
    if merge is None:
        return w
    factors = merge.factors.to(w.device).view(-1, *[1] * (w.ndim - 2))
    moved = w[:, merge.sources.to(w.device)].double() * factors
    return w.double().index_add(1, merge.targets.to(w.device), moved).to(w.dtype)


def _outputs_first(layer: nn.Module, w: Tensor) -> Tensor:
    return w.transpose(0, 1) if isinstance(layer, _ConvTransposeNd) else w


def _add_(target: Tensor | nn.Module, shift: Tensor) -> None:
    """In float64, so that a small shift of a large mean is rounded once."""
    assert isinstance(target, Tensor)  # for the type checker: a bias or a running mean
    target.copy_(target.double() + shift.to(target.device))
