r"""Sparse neural networks by Bregman learning: the package on which the book *bregtutorial* is built.

    >>> import bregtutorial as bt
    >>> model = bt.models.mlp((784, 200, 80, 10))
    >>> _ = bt.sparse_init_(model, density=0.01)
    >>> opt = bt.AdaBreg(bt.parameter_groups(model, lam=0.1), lr=1e-3)

Symbols, the same in code, book and plots:

========================  =======================  ==========================================================
mathematics               code                     meaning
========================  =======================  ==========================================================
:math:`w`                 ``w``                    weights
:math:`v`                 ``dual``                 dual variable, a subgradient of the elastic net at ``w``
:math:`\tau`              ``lr``                   step size
:math:`\lambda`           ``lam``                  strength of the regularizer
:math:`\delta`            ``delta``                parameter of :math:`\lambda J+\|w\|^2/(2\delta)`, the elastic net
:math:`\beta`             ``momentum``, ``betas``  momentum, Adam's two averages
:math:`J`                 ``reg``                  convex regularizer
:math:`r`                 ``density``              fraction of non-zeros; *sparsity* is 1 - density
========================  =======================  ==========================================================
"""

from bregtutorial import (
    certificates,
    checkpoint,
    cost,
    data,
    explore,
    models,
    optim,
    plotting,
    quality,
    recipes,
    reference,
    results,
    schedules,
    training,
    wiring,
)
from bregtutorial.compaction import compact
from bregtutorial.data import load_dataset
from bregtutorial.diagnosis import diagnose
from bregtutorial.initialization import sparse_init_
from bregtutorial.multilevel import Multilevel
from bregtutorial.optim import AdaBreg, LinBreg, ProxSGD
from bregtutorial.parameter_groups import parameter_groups
from bregtutorial.processes import distributed
from bregtutorial.regularizers import L1, GroupL2, L1NonNegative, Nuclear, SparseGroupL2, Zero
from bregtutorial.runs import run
from bregtutorial.schedules import TargetDensity
from bregtutorial.sparsity import density, sparsity_report
from bregtutorial.training import evaluate, fit

__version__ = "0.1.0"
__all__ = [
    "L1",
    "AdaBreg",
    "GroupL2",
    "L1NonNegative",
    "LinBreg",
    "Multilevel",
    "Nuclear",
    "ProxSGD",
    "SparseGroupL2",
    "TargetDensity",
    "Zero",
    "certificates",
    "checkpoint",
    "compact",
    "cost",
    "data",
    "density",
    "diagnose",
    "distributed",
    "evaluate",
    "explore",
    "fit",
    "load_dataset",
    "models",
    "optim",
    "parameter_groups",
    "plotting",
    "quality",
    "recipes",
    "reference",
    "results",
    "run",
    "schedules",
    "sparse_init_",
    "sparsity_report",
    "training",
    "wiring",
]
