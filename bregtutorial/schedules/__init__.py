r"""The strength :math:`\lambda` during training: moved along a curve, or steered so that a density is met.

Everything here is stepped after the optimizer, like a scheduler of torch, and has ``state_dict`` and
``load_state_dict`` with plain numbers.

Book: Frontiers, "Hitting a target density".
"""

from bregtutorial.schedules.curves import LamSchedule, Ramp
from bregtutorial.schedules.rules import difference_factor, odds_factor, strength_with
from bregtutorial.schedules.target import TargetDensity

__all__ = ["LamSchedule", "Ramp", "TargetDensity", "difference_factor", "odds_factor", "strength_with"]
