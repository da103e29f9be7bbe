"""The theory as checks: distances and inequalities to evaluate, and verdicts on functions that a reader has written.

A verdict names the mathematical property that failed, shows a counterexample and says where more help is:

    >>> import bregtutorial as bt
    >>> def my_prox(v, t):
    ...     return v.sign() * (v.abs() - t)
    >>> print(check_prox(my_prox, bt.L1()))
    check_prox(L1): not yet
      property:       the result minimises t J(w) + |w - v|^2 / 2
      counterexample: v = [[0.5]], t = 1: yours is [[-0.5]] with objective 1, but [[0]] has 0.125
      think of:       what happens to an entry that is not larger than t? It cannot change its sign on the way to 0.
      next hint:      "Hint 1: a nudge" at the exercise, then those below it; or the chapter "Proximal operators"

Everything here is written from the definitions and shares no formula with the proximal operators that it judges.

Book: Foundations, "Proximal operators".
"""

from bregtutorial.certificates.checks import check_projection, check_prox, check_subgradient
from bregtutorial.certificates.comparing import check_equal, vary
from bregtutorial.certificates.distances import (
    bregman_distance,
    elastic_distance,
    loss_decay_gap,
    symmetric_distance,
    three_point_gap,
)
from bregtutorial.certificates.grading import Property, Verdict, grade
from bregtutorial.certificates.inequalities import contraction_gap, norm_descent_gap
from bregtutorial.certificates.steps import check_duals, check_step
from bregtutorial.certificates.subdifferential import subdifferential_gap

__all__ = [
    "Property",
    "Verdict",
    "bregman_distance",
    "check_duals",
    "check_equal",
    "check_projection",
    "check_prox",
    "check_step",
    "check_subgradient",
    "contraction_gap",
    "elastic_distance",
    "grade",
    "loss_decay_gap",
    "norm_descent_gap",
    "subdifferential_gap",
    "symmetric_distance",
    "three_point_gap",
    "vary",
]
