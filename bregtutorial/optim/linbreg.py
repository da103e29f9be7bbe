r"""LinBreg: linearised Bregman iterations, with and without momentum in the dual."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from bregtutorial.optim._base import call, scalar, trainable, use_foreach
from bregtutorial.optim._dual import DualOptimizer, descend, foreach_descend, foreach_write_prox, write_prox
from bregtutorial.regularizers import L1, Regularizer


class LinBreg(DualOptimizer):
    r"""Stochastic linearised Bregman iterations.

    With gradient :math:`g`, step size :math:`\tau` (``lr``) and momentum :math:`\beta`:

    .. math::
        m &\leftarrow \beta m + (1-\beta)\,\tau g \\
        v &\leftarrow v - m \\
        w &\leftarrow \operatorname{prox}_{\delta\lambda J}(\delta v)

    For ``L1`` the last line is :math:`w=\delta\,\mathrm{shrink}(v;\lambda)`: a weight is zero while
    :math:`|v|\le\lambda` and moves as in SGD, without shrinkage, once it is active.

    Args:
        params: groups of :func:`bregtutorial.parameter_groups`; of plain parameters all are penalised, biases too.
        lr: :math:`\tau\ge0`. Scales the gradient in the dual: an active weight moves by :math:`\delta\tau g`. Also a
            tensor with one element. Start with the rate that works for SGD without momentum; that of SGD with momentum
            must be divided by :math:`1-\beta`, see the note.
        reg: :math:`J`, shared by the groups that bring none of their own.
        lam: :math:`\lambda\ge0`, in units of *lr x gradient x steps*: how much gradient a weight must gather before it
            wakes. Start with 0.1; the default, 0, makes nothing sparse. Not the price of a penalty: the limit is a
            critical point of the loss alone.
        delta: :math:`\delta>0`. For a given :math:`v` it scales the weights and leaves their support.
        momentum: :math:`\beta\in[0,1)`.
        maximize: ascend instead of descend.
        foreach: multi-tensor kernels; ``None`` uses them for plain CUDA parameters. Same numbers either way.

    Raises:
        ValueError, TypeError: for a setting outside its range, an unknown setting, or a parameter that the regularizer
            or the precision does not suit.

    Note:
        * The momentum is the paper's: it acts on :math:`v`, and ``lr`` and :math:`1-\beta` sit inside the buffer.
          ``torch.optim.SGD`` keeps ``lr`` outside and weighs the gradient by 1. With :math:`J=0` and a constant rate,
          LinBreg equals ``SGD(lr=(1-momentum)*lr*delta, momentum=momentum)``; under a schedule it lags behind.
        * The state is ``"dual"`` and, with momentum, ``"momentum_buffer"``. NaN gradients make NaN weights, as in
          torch: nothing is hidden and nothing is waited for. A ``GradScaler`` skips such steps.
        * ``torch.compile(optimizer.step)`` fuses the step.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(3))
        >>> opt = LinBreg([w], lr=0.5, lam=1.0)
        >>> for _ in range(3):
        ...     w.grad = torch.tensor([1.0, -0.8, 0.1])
        ...     opt.step()
        >>> w.detach(), opt.state[w]["dual"]
        (tensor([-0.5000,  0.2000,  0.0000]), tensor([-1.5000,  1.2000, -0.1500]))

    References:
        Bungert, Roith, Tenbrinck, Burger (2022), "A Bregman Learning Framework for Sparse Neural Networks", JMLR
        23(192), Algorithms 1 and 2, Eqs. 2.8 and 2.13.

    Book: Algorithms, "LinBreg, step by step".
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.1,
        *,
        reg: Regularizer = L1(),  # noqa: B008  (frozen, holds no state)
        lam: float = 0.0,
        delta: float = 1.0,
        momentum: float = 0.0,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "reg": reg,
            "lam": lam,
            "delta": delta,
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
            linbreg(
                params,
                grads,
                self._duals(group, params),
                self._buffers(params) if group["momentum"] else [],
                lr=scalar(group["lr"]),
                reg=group["reg"],
                lam=group["lam"],
                delta=group["delta"],
                momentum=group["momentum"],
                foreach=use_foreach(group, params),
            )
        return loss

    def _buffers(self, params: list[Tensor]) -> list[Tensor]:
        for p in params:
            if "momentum_buffer" not in self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        return [self.state[p]["momentum_buffer"] for p in params]


def linbreg(
    params: list[Tensor],
    grads: list[Tensor],
    duals: list[Tensor],
    buffers: list[Tensor],
    *,
    lr: float | Tensor,
    reg: Regularizer,
    lam: float | Tensor,
    delta: float | Tensor,
    momentum: float | Tensor,
    foreach: bool,
) -> None:
    """The step of :class:`LinBreg` on lists of tensors, in place; without ``buffers`` there is no momentum.

    Book: Algorithms, "LinBreg, step by step".
    """
    if foreach:
        moves, rate = grads, lr
        if buffers:
            torch._foreach_mul_(buffers, momentum)
            foreach_descend(buffers, grads, (momentum - 1) * lr)
            moves, rate = buffers, 1.0
        foreach_descend(duals, moves, rate)
        foreach_write_prox(params, duals, reg=reg, lam=lam, delta=delta)
        return
    # one parameter after the other: what one line has written is in the cache when the next one reads it
    for p, g, v, m in zip(params, grads, duals, buffers or grads, strict=True):
        if buffers:
            descend(m.mul_(momentum), g, (momentum - 1) * lr)  # m <- beta m + (1 - beta) tau g
            descend(v, m, 1.0)  # v <- v - m
        else:
            descend(v, g, lr)  # v <- v - tau g
        write_prox(p, v, reg=reg, lam=lam, delta=delta)  # w <- prox(delta v)
