"""Compaction: a network with dead rows, filters or channels becomes a smaller one with the same output.

``compact(model)`` returns the small network, ``compact.plan(model)`` says beforehand what goes and what stays and why.
A channel goes if its value is the same for all images and pixels and everything that reads it can take up this value in
a bias, or if nobody reads it. Outputs agree in evaluation mode up to rounding; what would not agree is not done.

References:
    Bungert, Roith, Tenbrinck, Burger (2022), JMLR 23(192), section 4: group sparsity leaves rows and kernels of zeros.

Book: Frontiers, "From zeros to speed".
"""

from bregtutorial.compaction.front import Compact, compact
from bregtutorial.compaction.plan import LayerPlan, Plan

__all__ = ["Compact", "LayerPlan", "Plan", "compact"]
