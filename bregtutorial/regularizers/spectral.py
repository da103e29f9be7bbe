"""Regularizers of singular values.

Book: Algorithms, "Group sparsity".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Nuclear:
    r"""Sum of singular values :math:`J(w)=\sum_i\sigma_i(w)` of the matrix ``(out, everything else)``.

    The proximal operator soft-thresholds the singular values: it lowers the rank. One singular value decomposition
    a step: meant for a few small matrices. Where the other regularizers pass NaN on, the decomposition refuses it with
    ``torch.linalg.LinAlgError``.

    Example:
        >>> Nuclear().prox(torch.diag(torch.tensor([3.0, 0.5])), 1.0)
        tensor([[2., 0.],
                [0., 0.]])

    References:
        Cai, Candès, Shen (2010), "A Singular Value Thresholding Algorithm for Matrix Completion", Theorem 2.1.

    Book: Foundations, "Proximal operators"; Algorithms, "Group sparsity".
    """

    name: ClassVar[str] = "nuclear"

    def check_ndim(self, ndim: int) -> None:
        """Raise ``ValueError`` for weights that are no matrices."""
        if ndim < 2:
            raise ValueError(f"Nuclear needs weights with at least 2 dims, got {ndim}")

    def value(self, w: Tensor) -> Tensor:
        """Sum of the singular values."""
        singular_values: Tensor = torch.linalg.svdvals(w.flatten(1))
        return singular_values.sum()

    def prox(self, v: Tensor, t: float | Tensor) -> Tensor:
        """Soft thresholding of the singular values."""
        u, s, vh = torch.linalg.svd(v.flatten(1), full_matrices=False)
        shrunk: Tensor = (u * (s - t).clamp_min(0)) @ vh
        return shrunk.reshape(v.shape)

    def subgradient(self, w: Tensor) -> Tensor:
        """:math:`U_rV_r^T` of the non-zero singular values only: the others stay at the centre of the dead zone."""
        matrix = w.flatten(1)
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        active = s > s[:1] * max(matrix.shape) * torch.finfo(w.dtype).eps
        directions: Tensor = (u * active) @ vh
        return directions.reshape(w.shape)
