r"""ProxSGD: proximal gradient descent, the Lasso baseline that LinBreg is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from bregtutorial.optim._base import RegularizedOptimizer, call, scalar, trainable, use_foreach
from bregtutorial.optim._dual import descend, foreach_descend, foreach_write_prox, write_prox
from bregtutorial.regularizers import L1, Regularizer


class ProxSGD(RegularizedOptimizer):
    r"""Stochastic proximal gradient descent for :math:`\min_w\mathcal L(w)+\lambda J(w)`.

    With gradient :math:`g`, step size :math:`\tau` (``lr``) and momentum :math:`\beta`:

    .. math::
        m &\leftarrow \beta m + (1-\beta) g \\
        w &\leftarrow \operatorname{prox}_{\tau\lambda J}(w-\tau m)

    Unlike LinBreg it minimises a sum: every active weight is shrunk at every step, and the solution is biased.

    Args:
        params: groups of :func:`bregtutorial.parameter_groups`; of plain parameters all are penalised, biases too.
        lr: :math:`\tau\ge0`. Scales the gradient *and* the threshold. Also a tensor with one element.
        reg: :math:`J`, shared by the groups that bring none of their own.
        lam: :math:`\lambda\ge0`, in units of the gradient: a weight at zero stays there while its gradient is smaller.
            For equal density it is 30 to 100 times smaller than LinBreg's in the book's examples.
        momentum: :math:`\beta\in[0,1)`, an average of gradients.
        maximize: ascend in :math:`\mathcal L`; the threshold still shrinks.
        foreach: multi-tensor kernels; ``None`` uses them for plain CUDA parameters. Same numbers either way.

    Raises:
        ValueError, TypeError: for a setting outside its range, an unknown setting, or a parameter that the regularizer
            or the precision does not suit.

    Note:
        Other methods go by the same name: in Yang et al. (2020) the weights move only part of the way to the prox, so
        that they are not exactly zero. With :math:`J=0` and no momentum this is ``torch.optim.SGD``.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0, 0.1]))
        >>> opt = ProxSGD([w], lr=0.5, lam=0.4)
        >>> w.grad = torch.tensor([0.2, 0.0])
        >>> opt.step()
        >>> w.detach()
        tensor([0.7000, 0.0000])

    References:
        Bungert, Roith, Tenbrinck, Burger (2022), JMLR 23(192), Eq. 1.5.

    Book: Algorithms, "LinBreg, step by step".
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.1,
        *,
        reg: Regularizer = L1(),  # noqa: B008  (frozen, holds no state)
        lam: float = 0.0,
        momentum: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "reg": reg,
            "lam": lam,
            "momentum": momentum,
            "maximize": maximize,
            "foreach": foreach,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step for every parameter that has a gradient.

        Args:
            closure: re-evaluates the model and returns the loss.

        Returns:
            The closure's loss, or ``None``.
        """
        loss = call(closure)
        for group in self._ready():
            params, grads = trainable(group)
            if group["momentum"]:
                grads = self._averages(params, grads, group["momentum"])
            proxsgd(
                params,
                grads,
                lr=scalar(group["lr"]),
                reg=group["reg"],
                lam=group["lam"],
                foreach=use_foreach(group, params),
            )
        return loss

    def _averages(self, params: list[Tensor], grads: list[Tensor], momentum: float) -> list[Tensor]:
        for p, g in zip(params, grads, strict=True):
            if "momentum_buffer" not in self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
            self.state[p]["momentum_buffer"].lerp_(g, 1 - momentum)
        return [self.state[p]["momentum_buffer"] for p in params]


def proxsgd(
    params: list[Tensor],
    grads: list[Tensor],
    *,
    lr: float | Tensor,
    reg: Regularizer,
    lam: float | Tensor,
    foreach: bool,
) -> None:
    """The step of :class:`ProxSGD` on lists of tensors, in place; with momentum ``grads`` are its averages.

    Book: Algorithms, "LinBreg, step by step".
    """
    if foreach:
        foreach_descend(params, grads, lr)
        foreach_write_prox(params, params, reg=reg, lam=lr * lam, delta=1.0)
        return
    for p, g in zip(params, grads, strict=True):
        descend(p, g, lr)  # w <- w - tau g
        write_prox(p, p, reg=reg, lam=lr * lam, delta=1.0)
