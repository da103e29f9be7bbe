"""The question that a reader asks of a run."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer

from bregtutorial.diagnosis.checks import CHECKS
from bregtutorial.diagnosis.findings import Diagnosis
from bregtutorial.diagnosis.run import Run
from bregtutorial.optim._base import RegularizedOptimizer
from bregtutorial.sparsity import density


@torch.no_grad()
def diagnose(model: nn.Module, optimizer: Optimizer, *, progress: float = 1.0) -> Diagnosis:
    r"""Look for the usual failures of a sparse run, without changing anything.

    ==================  ==============================================================================================
    finding             what looks wrong
    ==================  ==============================================================================================
    ``left out``        trainable parameters of the model are in no group of the optimizer
    ``no gradient``     parameters have never stepped while others have
    ``no penalty``      every group has ``lam=0`` or the regularizer ``Zero()``: nothing becomes zero
    ``wrong penalty``   a norm layer or a bias is penalised
    ``half precision``  a weight or a dual has fewer than 32 bits: small steps are rounded away
    ``not finite``      a weight is NaN or infinite
    ``edited``          weights differ from :math:`\operatorname{prox}_{\delta\lambda J}(\delta v)`: the next step
                        undoes the difference
    ``empty``           a layer has no active weight
    ``dense``           more than half of a penalised group is awake
    ``asleep``          the zeros have gathered so little that hardly any will wake before the run ends
    ==================  ==============================================================================================

    It cannot see what leaves no trace in weights and duals: the data, the loss, a clipping of gradients. ``edited``,
    ``dense``, ``asleep`` and ``no gradient`` need duals, which exist after a first step and not in ``ProxSGD``. The
    cost is that of a few steps of the optimizer, more where something is found.

    Args:
        model: the model in training, wrapped or not.
        optimizer: its ``LinBreg``, ``AdaBreg`` or ``ProxSGD``.
        progress: the share of the planned steps that is done, in (0, 1]. ``asleep`` extrapolates with it, as if
            evidence grew in proportion to the steps, and says nothing before a tenth of them; ask after a warm-up of
            ``lr``, not during it.

    Returns:
        A report that shows in words, and lists its findings: ``"asleep" in report``, ``report["asleep"].number``.

    Raises:
        TypeError: if the optimizer is not one of this package.
        ValueError: if ``progress`` is outside (0, 1], the optimizer holds no parameter of the model, or the model has
            no Linear or Conv layer.

    Example:
        >>> import bregtutorial as bt
        >>> _ = torch.manual_seed(3)
        >>> model = nn.Sequential(nn.Linear(2, 3))
        >>> _ = bt.sparse_init_(model, density=0.2)
        >>> opt = bt.LinBreg(bt.parameter_groups(model, lam=4.0), lr=0.1)
        >>> for _ in range(5):
        ...     opt.zero_grad()
        ...     model(torch.ones(1, 2)).sum().backward()
        ...     opt.step()
        >>> diagnose(model, opt)
        density 16.67%, 1 finding
        asleep: linear
          number: 0.125 = the share of lam under which a tenth more would be awake
          cure:   opt.set_lam with 0.125 times the lam of each group doubles the density at once, since
                  evidence is kept; next time a smaller lam, a larger lr, or more steps

    Book: Frontiers, "Failures and cures".
    """
    if not isinstance(optimizer, RegularizedOptimizer):
        raise TypeError(f"diagnose needs a LinBreg, AdaBreg or ProxSGD, got {type(optimizer).__name__}")
    if not 0 < progress <= 1:
        raise ValueError(f"progress is the share of the planned steps that is done, in (0, 1], got {progress}")
    run = Run(model, optimizer, progress)
    if not run.members:
        raise ValueError(
            f"the optimizer holds no parameter of this {type(model).__name__}: one of the two is of another model, "
            "perhaps of a copy or an average. Diagnose the model that the optimizer was built for"
        )
    return Diagnosis(density(model), tuple(found for check in CHECKS if (found := check(run))))
