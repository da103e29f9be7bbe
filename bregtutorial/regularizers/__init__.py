r"""Convex regularizers :math:`J`: value, proximal operator and subgradient.

A regularizer is a frozen description without tensors and without strength: the strength ``lam`` is a number in the
optimizer's parameter group, like ``lr``. All of them are positively one-homogeneous, :math:`J(cw)=cJ(w)` for
:math:`c\ge 0`.

===============================  ==========================================  ===========================
class                            :math:`J(w)`                                what becomes exactly zero
===============================  ==========================================  ===========================
``L1()``                         :math:`\sum_i|w_i|`                         single weights
``L1NonNegative()``              the same on :math:`w\ge0`, else ∞           single weights, none negative
``GroupL2(groups)``              :math:`\sum_g\sqrt{n_g}\,\|w_g\|_2`         whole groups
``SparseGroupL2(groups, ρ)``     :math:`\rho\|w\|_1+(1-\rho)` group norm     groups, and weights inside them
``Nuclear()``                    :math:`\sum_i\sigma_i(w)`                   singular values
``Zero()``                       :math:`0`                                   nothing
===============================  ==========================================  ===========================

References:
    Bungert, Roith, Tenbrinck, Burger (2022), "A Bregman Learning Framework for Sparse Neural Networks", JMLR 23(192),
    Eqs. 1.2, 1.13, 1.14. Parikh and Boyd (2014), "Proximal Algorithms", for the proximal operators.

Book: Foundations, "Proximal operators".
"""

from bregtutorial.regularizers.entrywise import L1, L1NonNegative, Zero
from bregtutorial.regularizers.grouped import GroupL2, SparseGroupL2
from bregtutorial.regularizers.protocol import Regularizer, check_shape, describe
from bregtutorial.regularizers.spectral import Nuclear

__all__ = [
    "L1",
    "GroupL2",
    "L1NonNegative",
    "Nuclear",
    "Regularizer",
    "SparseGroupL2",
    "Zero",
    "check_shape",
    "describe",
]
