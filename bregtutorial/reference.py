r"""Every algorithm in its literal, slow textbook form: to read beside the paper, and to check the fast code against.

One tensor, pure functions, Python loops. Nothing here is shared with :mod:`bregtutorial.regularizers` or
:mod:`bregtutorial.optim`: two programs that agree are worth more than one.

Book: Foundations, "Proximal operators"; Algorithms, "LinBreg, step by step".
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Prox = Callable[[Tensor, float], Tensor]  # prox(v, t) = argmin_w  t J(w) + |w - v|^2 / 2


def shrink(x: Tensor, t: float) -> Tensor:
    r"""Soft thresholding, the prox of :math:`J=\|w\|_1` (Eq. 1.2): :math:`\operatorname{sign}(x)\max(|x|-t,0)`.

    Example:
        >>> shrink(torch.tensor([-3.0, 0.5, 2.0]), 1.0).tolist()
        [-2.0, 0.0, 1.0]

    References: Bungert et al. (2022), Eqs. 1.2 and 2.8. Parikh and Boyd (2014), "Proximal Algorithms", section 6.5.2.
    Book: Foundations, "Proximal operators".
    """
    return x.sign() * (x.abs() - t).clamp_min(0)


def prox_non_negative(x: Tensor, t: float) -> Tensor:
    r"""Prox of :math:`J(w)=\sum_iw_i` on :math:`w\ge0` (Eq. 1.2 with a constraint): :math:`\max(x-t,0)`.

    Example:
        >>> prox_non_negative(torch.tensor([-3.0, 0.5, 2.0]), 1.0).tolist()
        [0.0, 0.0, 1.0]

    References: Parikh and Boyd (2014), "Proximal Algorithms", section 6.5.2.
    Book: Foundations, "Proximal operators".
    """
    return torch.where(x > t, x - t, 0.0)


def members(shape: tuple[int, ...], groups: str) -> list[tuple[int | slice, ...]]:
    """One index a group, so that ``w[index]`` is :math:`w_g` (the groups of Eq. 1.13).

    Example:
        >>> members((2, 3), "rows"), members((2, 3), "columns")[1]
        ([(0,), (1,)], (slice(None, None, None), 1))

    References: Bungert et al. (2022), Eq. 1.13.
    Book: Algorithms, "Group sparsity".
    """
    if groups in ("rows", "filters"):
        return [(i,) for i in range(shape[0])]
    if groups in ("columns", "inputs"):
        return [(slice(None), j) for j in range(shape[1])]
    if groups == "kernels" and len(shape) > 2:
        return [(i, j) for i in range(shape[0]) for j in range(shape[1])]
    raise ValueError(f"no groups {groups!r} in a weight of shape {shape}; use 'rows', 'columns' or 'kernels'")


def prox_group(v: Tensor, t: float, groups: str = "rows") -> Tensor:
    r"""Prox of :math:`\sum_g\sqrt{n_g}\|w_g\|` (Eq. 1.13): shorten each :math:`v_g` by :math:`t\sqrt{n_g}` or drop it.

    Example:
        >>> prox_group(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 2.5 / 2**0.5).tolist()
        [[1.5, 2.0], [0.0, 0.0]]

    References: Bungert et al. (2022), Eqs. 1.13 and 1.14. Yuan and Lin (2006).
    Book: Algorithms, "Group sparsity".
    """
    w = torch.zeros_like(v)
    for g in members(tuple(v.shape), groups):
        length, radius = v[g].norm(), t * v[g].numel() ** 0.5
        if length > radius:
            w[g] = v[g] * (1 - radius / length)
    return w


def prox_sparse_group(v: Tensor, t: float, groups: str = "rows", l1_ratio: float = 0.5) -> Tensor:
    r"""Prox of :math:`\rho\|w\|_1+(1-\rho)\sum_g\sqrt{n_g}\|w_g\|` (Eqs. 1.2, 1.13): first entries, then groups.

    Example:
        >>> prox_sparse_group(torch.tensor([[5.0, 0.5], [0.9, 0.9]]), 2.0)
        tensor([[2.5858, 0.0000],
                [0.0000, 0.0000]])

    References: Simon, Friedman, Hastie, Tibshirani (2013), "A Sparse-Group Lasso".
    Book: Algorithms, "Group sparsity".
    """
    return prox_group(shrink(v, t * l1_ratio), t * (1 - l1_ratio), groups)


def prox_nuclear(v: Tensor, t: float) -> Tensor:
    r"""Prox of :math:`\sum_i\sigma_i(w)`: :math:`\sum_i\max(\sigma_i-t,0)\,u_iv_i^T`, one rank-one matrix at a time.

    Example:
        >>> prox_nuclear(torch.diag(torch.tensor([3.0, 0.5])), 1.0).tolist()
        [[2.0, 0.0], [0.0, 0.0]]

    References: Cai, Candès, Shen (2010), Theorem 2.1.
    Book: Foundations, "Proximal operators".
    """
    u, s, vh = torch.linalg.svd(v.flatten(1), full_matrices=False)
    w = torch.zeros_like(v.flatten(1))
    for i in range(len(s)):
        w += max(float(s[i]) - t, 0.0) * torch.outer(u[:, i], vh[i])
    return w.reshape(v.shape)


def project_box(v: Tensor, t: float) -> Tensor:
    r"""Nearest point with :math:`|p_i|\le t`, the dual ball of Eq. 1.2; what is cut off is the prox (Moreau).

    Example:
        >>> project_box(torch.tensor([-3.0, 0.5]), 1.0).tolist()
        [-1.0, 0.5]

    References: Parikh and Boyd (2014), "Proximal Algorithms", section 2.5.
    Book: Foundations, "Proximal operators".
    """
    return v.clamp(-t, t)


def project_group_ball(v: Tensor, t: float, groups: str = "rows") -> Tensor:
    r"""Nearest point with :math:`\|p_g\|\le t\sqrt{n_g}` for all groups, the dual ball of Eq. 1.13.

    Example:
        >>> project_group_ball(torch.tensor([[3.0, 4.0]]), 1 / 2**0.5)
        tensor([[0.6000, 0.8000]])

    References: Parikh and Boyd (2014), "Proximal Algorithms", section 6.5.1.
    Book: Algorithms, "Group sparsity".
    """
    p = v.clone()
    for g in members(tuple(v.shape), groups):
        radius = t * v[g].numel() ** 0.5
        if v[g].norm() > radius:
            p[g] = v[g] * (radius / v[g].norm())
    return p


def project_spectral_ball(v: Tensor, t: float) -> Tensor:
    r"""Nearest matrix with :math:`\sigma_{\max}\le t`, from the eigenvectors of :math:`v^Tv` instead of an SVD.

    Example:
        >>> project_spectral_ball(torch.diag(torch.tensor([3.0, 0.5])), 1.0).tolist()
        [[1.0, 0.0], [0.0, 0.5]]

    References: Cai, Candès, Shen (2010), Theorem 2.1, by Moreau's identity.
    Book: Foundations, "Proximal operators".
    """
    matrix = v.flatten(1)
    squares, q = torch.linalg.eigh(matrix.T @ matrix)
    factors = torch.where(squares > t**2, t / squares.clamp_min(t**2).sqrt(), 1.0)
    projected: Tensor = matrix @ (q * factors) @ q.T
    return projected.reshape(v.shape)


def linbreg_step(v: Tensor, g: Tensor, *, lr: float, lam: float, delta: float, prox: Prox) -> tuple[Tensor, Tensor]:
    r"""Algorithm 1 (Eq. 2.8), returns the new ``w, v``.

    :math:`v\leftarrow v-\tau g`, then :math:`w\leftarrow\operatorname{prox}_{\delta\lambda J}(\delta v)`.

    Example:
        >>> w, v = linbreg_step(torch.zeros(2), torch.tensor([4.0, -1.0]), lr=0.5, lam=1.0, delta=1.0, prox=shrink)
        >>> w.tolist(), v.tolist()
        ([-1.0, 0.0], [-2.0, 0.5])

    References: Bungert et al. (2022), Algorithm 1.
    Book: Algorithms, "LinBreg, step by step".
    """
    v = v - lr * g
    return prox(delta * v, delta * lam), v


def momentum_step(
    v: Tensor, m: Tensor, g: Tensor, *, lr: float, lam: float, delta: float, momentum: float, prox: Prox
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Algorithm 2 (Eq. 2.13): :math:`m\leftarrow\beta m+(1-\beta)\tau g`, :math:`v\leftarrow v-m`, prox.

    Returns the new ``w, v, m``; ``m`` starts at zero.

    Example:
        >>> options = dict(lr=0.5, lam=1.0, delta=1.0, momentum=0.5, prox=shrink)
        >>> [x.tolist() for x in momentum_step(torch.zeros(1), torch.zeros(1), torch.tensor([8.0]), **options)]
        [[-1.0], [-2.0], [2.0]]

    References: Bungert et al. (2022), Algorithm 2.
    Book: Algorithms, "Momentum in the dual".
    """
    m = momentum * m + (1 - momentum) * lr * g
    v = v - m
    return prox(delta * v, delta * lam), v, m


def adabreg_step(
    v: Tensor,
    m1: Tensor,
    m2: Tensor,
    k: int,
    g: Tensor,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    lam: float,
    delta: float,
    prox: Prox,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Algorithm 3, step number ``k`` = 1, 2, …: Adam's step in :math:`v`, then the prox.

    Returns the new ``w, v, m1, m2``; both averages start at zero.

    Example:
        >>> options = dict(lr=0.5, betas=(0.9, 0.999), eps=0.0, lam=0.25, delta=1.0, prox=shrink)
        >>> zero = torch.zeros(1)
        >>> w, v, *_ = adabreg_step(zero, zero, zero, 1, torch.tensor([-100.0]), **options)
        >>> w, v
        (tensor([0.2500]), tensor([0.5000]))

    References: Bungert et al. (2022), Algorithm 3. Kingma and Ba (2015).
    Book: Algorithms, "AdaBreg".
    """
    m1 = betas[0] * m1 + (1 - betas[0]) * g
    m2 = betas[1] * m2 + (1 - betas[1]) * g**2
    v = v - lr * (m1 / (1 - betas[0] ** k)) / ((m2 / (1 - betas[1] ** k)).sqrt() + eps)
    return prox(delta * v, delta * lam), v, m1, m2


def proxsgd_step(w: Tensor, g: Tensor, *, lr: float, lam: float, prox: Prox) -> Tensor:
    r"""Eq. 1.5: :math:`w\leftarrow\operatorname{prox}_{\tau\lambda J}(w-\tau g)`, the baseline that solves the Lasso.

    Example:
        >>> proxsgd_step(torch.tensor([1.0, 0.1]), torch.tensor([0.5, 0.0]), lr=0.5, lam=0.5, prox=shrink).tolist()
        [0.5, 0.0]

    References: Bungert et al. (2022), Eq. 1.5.
    Book: Algorithms, "LinBreg, step by step".
    """
    return prox(w - lr * g, lr * lam)
