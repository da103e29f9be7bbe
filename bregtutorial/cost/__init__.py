"""What a network costs: parameters, bytes, FLOPs, time and memory, before and after its zeros are removed.

A multiplication followed by an addition (a MAC) counts as **two** FLOPs, here and in every table of the book. Only
matrix products and convolutions are counted, as ``torch.utils.flop_counter`` does: biases, activations and norm layers
add less than a hundredth in the networks of the book.

    >>> import torch
    >>> import bregtutorial as bt
    >>> model = bt.models.mlp((784, 200, 80, 10))
    >>> _ = bt.sparse_init_(model, density=0.05, generator=torch.Generator().manual_seed(0))
    >>> bt.cost.flops(model, torch.zeros(1, 1, 28, 28)).dense
    347200

Three numbers are called the FLOPs of a sparse network, and they are far apart. ``dense`` is what an ordinary
implementation computes, zeros included. ``sparse`` is what is left if every zero were skipped for free: a bound that no
library for unstructured zeros reaches. And the ``dense`` FLOPs of the compacted network are what really runs.

Book: Frontiers, "From zeros to speed".
"""

from bregtutorial.cost.counting import Flops, LayerFlops, flops, training_flops
from bregtutorial.cost.memory import peak_memory
from bregtutorial.cost.reports import Cost, CostReport, measure, report
from bregtutorial.cost.timing import timings

__all__ = [
    "Cost",
    "CostReport",
    "Flops",
    "LayerFlops",
    "flops",
    "measure",
    "peak_memory",
    "report",
    "timings",
    "training_flops",
]
