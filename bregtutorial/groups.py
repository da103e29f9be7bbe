"""Which entries of a weight form a group, said as the dims that one group spans.

A weight has shape ``(out, in, *kernel)``. Three partitions of its entries cover what sparse training deletes:

=============  ==================  ===========================================  ===============
name           also called         one group is                                 deletes
=============  ==================  ===========================================  ===============
``"filters"``  ``"rows"``          all weights into one output ``w[i]``         an output neuron or channel
``"inputs"``   ``"columns"``       all weights from one input ``w[:, j]``       an input neuron or channel
``"kernels"``                      one convolution kernel ``w[i, j]``           one connection of channels
=============  ==================  ===========================================  ===============

Groups are reductions, never reshapes: the same code serves every memory format, and broadcasting undoes the reduction.

References:
    Bungert, Roith, Tenbrinck, Burger (2022), JMLR 23(192), Eqs. 1.13 and 1.14.

Book: Algorithms, "Group sparsity".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches

import torch
from torch import Tensor

_SYNONYMS = {"rows": "filters", "columns": "inputs"}
_MIN_NDIM = {"filters": 2, "inputs": 2, "kernels": 3}
GROUPS = (*_MIN_NDIM, *_SYNONYMS)


def canonical(groups: str) -> str:
    """The one name of a partition: ``"rows"`` is ``"filters"``, ``"columns"`` is ``"inputs"``.

    Raises:
        ValueError: for a name that is none of :data:`GROUPS`.

    Example:
        >>> canonical("rows")
        'filters'

    Book: Algorithms, "Group sparsity".
    """
    if groups not in GROUPS:
        close = get_close_matches(str(groups), GROUPS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"groups must be one of {', '.join(map(repr, GROUPS))}, got {groups!r}{hint}")
    return _SYNONYMS.get(groups, groups)


def reduced_dims(groups: str, ndim: int) -> tuple[int, ...]:
    """The dims that one group spans in a weight with ``ndim`` dims.

    Raises:
        ValueError: where the partition does not exist, for example kernels of a linear layer.

    Example:
        >>> reduced_dims("filters", 4), reduced_dims("inputs", 4), reduced_dims("kernels", 4)
        ((1, 2, 3), (0, 2, 3), (2, 3))

    Book: Algorithms, "Group sparsity".
    """
    name = canonical(groups)
    if ndim < _MIN_NDIM[name]:
        raise ValueError(f"groups={groups!r} needs weights with at least {_MIN_NDIM[name]} dims, got {ndim}")
    if name == "filters":
        return tuple(range(1, ndim))
    kernel = tuple(range(2, ndim))
    return (0, *kernel) if name == "inputs" else kernel


def group_shape(groups: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Shape with one entry a group, broadcastable against the weight.

    Example:
        >>> group_shape("inputs", (64, 3, 5, 5))
        (1, 3, 1, 1)

    Book: Algorithms, "Group sparsity".
    """
    dims = reduced_dims(groups, len(shape))
    return tuple(1 if d in dims else n for d, n in enumerate(shape))


def group_size(groups: str, shape: Sequence[int]) -> int:
    """Number of entries of one group, the ``n_g`` of the group norm (Bungert et al. 2022, Eq. 1.13).

    Example:
        >>> group_size("kernels", (64, 3, 5, 5))
        25

    Book: Algorithms, "Group sparsity".
    """
    return math.prod([shape[d] for d in reduced_dims(groups, len(shape))])  # a list: torch.compile follows it


def group_norms(w: Tensor, groups: str) -> Tensor:
    """Euclidean norm of every group, shaped to broadcast against ``w``.

    Example:
        >>> group_norms(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), "rows")
        tensor([[5.],
                [0.]])

    Book: Algorithms, "Group sparsity".
    """
    norms: Tensor = torch.linalg.vector_norm(w, dim=reduced_dims(groups, w.ndim), keepdim=True)
    return norms
