r"""AdaBreg: Adam's step, taken in the dual variable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from bregtutorial.optim._base import call, scalar, scratch, trainable, use_foreach
from bregtutorial.optim._dual import DualOptimizer, foreach_write_prox, write_prox
from bregtutorial.regularizers import L1, Regularizer, Zero


class AdaBreg(DualOptimizer):
    r"""Adam-type Bregman iterations.

    With gradient :math:`g`, step size :math:`\tau` (``lr``) and step number :math:`k=1,2,\dots`:

    .. math::
        m_1 &\leftarrow \beta_1 m_1 + (1-\beta_1) g, & \hat m_1 &= m_1/(1-\beta_1^k) \\
        m_2 &\leftarrow \beta_2 m_2 + (1-\beta_2) g^2, & \hat m_2 &= m_2/(1-\beta_2^k) \\
        v &\leftarrow v - \tau\,\hat m_1/(\sqrt{\hat m_2}+\epsilon) \\
        w &\leftarrow \operatorname{prox}_{\delta\lambda J}(\delta v)

    The step in :math:`v` is preconditioned, the prox is not: all weights share one :math:`\lambda`.

    Args:
        params: groups of :func:`bregtutorial.parameter_groups`; of plain parameters all are penalised, biases too.
        lr: :math:`\tau\ge0`, about the size of one step of :math:`v`, whatever the gradient's scale. Also a tensor
            with one element. Start with 1e-3, as for Adam.
        betas: :math:`(\beta_1,\beta_2)`, each in [0, 1).
        eps: :math:`\epsilon\ge0`, in units of the gradient; 1e-4 instead of 1e-8 keeps weights with tiny gradients
            from waking. 0 makes NaN of weights whose gradients have all been 0, and sparse networks have such weights.
        reg: :math:`J`, shared by the groups that bring none of their own.
        lam: :math:`\lambda\ge0`, in units of *lr x steps*: a weight whose gradient keeps its sign wakes after about
            ``lam / lr`` steps. Start with ``100 * lr``; the default, 0, makes nothing sparse. LinBreg's
            :math:`\lambda` has other units; the two do not compare.
        delta: :math:`\delta>0`. For a given :math:`v` it scales the weights and leaves their support.
        maximize: ascend instead of descend.
        foreach: multi-tensor kernels; ``None`` uses them for plain CUDA parameters. Same numbers either way.

    Raises:
        ValueError, TypeError: for a setting outside its range, an unknown setting, or a parameter that the regularizer
            or the precision does not suit.

    Note:
        With :math:`J=0` this is ``torch.optim.Adam(lr=lr*delta)`` from the same weights. It is not Adam followed by a
        threshold: the threshold acts on the gathered steps, and active weights are not shrunk. The state is
        ``"dual"``, ``"exp_avg"``, ``"exp_avg_sq"`` and ``"step"``. NaN gradients make NaN weights, as in torch.

    Example:
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> opt = AdaBreg([w], lr=0.1, lam=0.25)
        >>> for _ in range(3):
        ...     w.grad = torch.tensor([1.0, -100.0])
        ...     opt.step()
        >>> w.detach()
        tensor([-0.0500,  0.0500])

    References:
        Bungert, Roith, Tenbrinck, Burger (2022), JMLR 23(192), Algorithm 3. Kingma and Ba (2015), "Adam".

    Book: Algorithms, "AdaBreg".
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        reg: Regularizer = L1(),  # noqa: B008  (frozen, holds no state)
        lam: float = 0.0,
        delta: float = 1.0,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "reg": reg,
            "lam": lam,
            "delta": delta,
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
            duals = self._duals(group, params)
            states = [self._moments(p) for p in params]
            adabreg(
                params,
                grads,
                duals,
                [s["exp_avg"] for s in states],
                [s["exp_avg_sq"] for s in states],
                [s["step"] for s in states],
                lr=scalar(group["lr"]),
                betas=group["betas"],
                eps=group["eps"],
                reg=group["reg"],
                lam=group["lam"],
                delta=group["delta"],
                foreach=use_foreach(group, params),
            )
        return loss

    def _moments(self, p: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[p]
        if "step" not in state:
            # on the CPU, as in torch's Adam: reading it never waits for a device
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        return state


def adabreg(
    params: list[Tensor],
    grads: list[Tensor],
    duals: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    steps: list[Tensor],
    *,
    lr: float | Tensor,
    betas: tuple[float, float],
    eps: float,
    reg: Regularizer,
    lam: float | Tensor,
    delta: float | Tensor,
    foreach: bool,
) -> None:
    """The step of :class:`AdaBreg` on lists of tensors, in place.

    Book: Algorithms, "AdaBreg".
    """
    corrections = [_bias_corrections(k, lr, betas) for k in steps]
    if foreach and not torch.compiler.is_compiling():
        _foreach_adam(duals, grads, exp_avgs, exp_avg_sqs, corrections, betas, eps)
        foreach_write_prox(params, duals, reg=reg, lam=lam, delta=delta)
        return
    lists = (params, duals, grads, exp_avgs, exp_avg_sqs, corrections)
    for p, v, g, m1, m2, (rate, root) in zip(*lists, strict=True):
        m1.lerp_(g, 1 - betas[0])  # m1 <- beta1 m1 + (1 - beta1) g
        m2.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])  # m2 <- beta2 m2 + (1 - beta2) g^2
        # the weights lend their memory only to a prox that cannot raise and leave denominators in them
        room = scratch(p) if type(reg) in (L1, Zero) else None
        denominator = torch.sqrt(m2, out=room).div_(root).add_(eps)  # rate and root hold the bias corrections
        if isinstance(rate, Tensor):
            v.sub_(rate * m1 / denominator)
        else:
            v.addcdiv_(m1, denominator, value=-rate)
        write_prox(p, v, reg=reg, lam=lam, delta=delta)  # w <- prox(delta v)


def _bias_corrections(step: Tensor, lr: float | Tensor, betas: tuple[float, float]) -> tuple[Any, Any]:
    """Count the step; return lr / (1 - beta1^k) and sqrt(1 - beta2^k)."""
    step += 1
    if torch.compiler.is_compiling():
        # The counter stays a tensor: a number would be a constant, compiled anew at every step. In double precision,
        # as in float32 1 - 0.999^k would be off by 1e-4 of itself at first. And by exp: the compiler computes it once
        # a parameter, a power it would repeat for every few weights.
        k: Any = step.double()
        decays = [(k * (k.new_zeros(()) + beta).log()).exp() for beta in betas]
    else:
        k = step.item()
        decays = [beta**k for beta in betas]
    return lr / (1 - decays[0]), (1 - decays[1]) ** 0.5


def _foreach_adam(
    duals: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    corrections: list[tuple[Any, Any]],
    betas: tuple[float, float],
    eps: float,
) -> None:
    torch._foreach_lerp_(exp_avgs, grads, 1 - betas[0])
    torch._foreach_mul_(exp_avg_sqs, betas[1])
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, 1 - betas[1])
    denominators = list(torch._foreach_sqrt(exp_avg_sqs))
    torch._foreach_div_(denominators, [float(root) for _, root in corrections])
    torch._foreach_add_(denominators, eps)
    rates, moves = [rate for rate, _ in corrections], exp_avgs
    if any(isinstance(rate, Tensor) for rate in rates):  # to read one would wait for the device
        rates, moves = [1.0] * len(rates), [rate * m for rate, m in zip(rates, exp_avgs, strict=True)]
    torch._foreach_addcdiv_(duals, moves, denominators, [-rate for rate in rates])
