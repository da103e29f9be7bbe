"""What all optimizers of the package share: settings that are checked, and checkpoints of plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from math import inf
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bregtutorial.regularizers import Regularizer, check_shape, describe

Group = dict[str, Any]
# keys that torch itself, its schedulers and parameter_groups() put beside an optimizer's own settings
_FOREIGN_KEYS = {"params", "param_names", "name", "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum"}

_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "lr": (lambda x: 0 <= x < inf, ">= 0 and finite"),
    "lam": (lambda x: 0 <= x < inf, ">= 0 and finite"),
    "delta": (lambda x: 0 < x < inf, "> 0 and finite"),
    "momentum": (lambda x: 0 <= x < 1, "in [0, 1)"),
    "eps": (lambda x: 0 <= x < inf, ">= 0 and finite"),
    "betas": (lambda x: len(x) == 2 and all(0 <= b < 1 for b in x), "a pair of numbers in [0, 1)"),
}


def check_numbers(group: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for a setting outside its range; of a tensor only the size, its value may be on a device."""
    for key, (rule, text) in _RULES.items():
        if key not in group:
            continue
        value = group[key]
        if isinstance(value, Tensor):
            if value.numel() != 1 or (value.ndim and key != "lr"):  # lr alone is squeezed, see scalar()
                raise ValueError(f"{key} must be a number or a 0-dim tensor, got shape {tuple(value.shape)}")
            continue
        try:
            good = rule(value)
        except TypeError:
            good = False
        if not good:
            raise ValueError(f"{key} must be {text}, got {value!r}")


class RegularizedOptimizer(Optimizer):
    """Base of the optimizers: checks of every group, the regularizer stored as a plain dict in checkpoints.

    The regularizer and its strength live in the parameter group: ``group["reg"]`` and ``group["lam"]``. All numbers
    of a group can be changed between steps, by hand or by any scheduler.
    """

    def add_param_group(self, param_group: Group) -> None:
        """Add a group; a misspelt setting, a bad number or an unsuitable parameter is refused by name."""
        name = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f"{name} needs parameters or a list of dicts, got {type(param_group).__name__}")
        for key in param_group.keys() - self.defaults.keys() - _FOREIGN_KEYS:
            close = get_close_matches(str(key), list(self.defaults), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f", only {', '.join(self.defaults)}"
            raise ValueError(f"{name} has no setting {key!r}{hint}")
        super().add_param_group(dict(param_group))  # a copy: two optimizers may be built from the same groups
        try:
            self._check_group(self.param_groups[-1])
        except (TypeError, ValueError):
            del self.param_groups[-1]  # refused whole: the optimizer stays as it was
            raise

    def _check_group(self, group: Group) -> None:
        check_numbers(group)
        reg = group["reg"]
        if not isinstance(reg, Regularizer) or isinstance(reg, type):
            raise TypeError(
                f"reg must be a regularizer such as L1() with name, value, prox and subgradient, got {reg!r}"
            )
        for name, p in named(group):
            if p.dtype not in (torch.float32, torch.float64):
                why = (
                    "because small steps vanish in fewer bits. Keep the parameters float32 and compute in half by "
                    "torch.autocast"
                    if p.is_floating_point()
                    else "because regularizers are functions of real numbers"
                )
                raise TypeError(f"parameter {name} is {p.dtype}; {type(self).__name__} needs float32 or float64, {why}")
            try:
                check_shape(reg, p)
            except ValueError as error:
                raise ValueError(f"parameter {name} of shape {tuple(p.shape)}: {error}") from None

    def _ready(self) -> list[Group]:
        """The groups, after a look at all of them: what is refused is refused before any parameter has moved."""
        for group in self.param_groups:
            check_numbers(group)
            for p in group["params"]:
                if p.grad is not None and p.grad.layout != torch.strided:
                    raise RuntimeError(f"{type(self).__name__} does not support sparse gradients, got {p.grad.layout}")
        return self.param_groups

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with each regularizer as a plain dict: ``torch.load(weights_only=True)`` reads it."""
        state = super().state_dict()
        groups = [{**g, "reg": describe(g["reg"])} for g in state["param_groups"]]
        return {**state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over numbers and state; refuse a checkpoint whose regularizers differ from this optimizer's.

        The state is copied: two optimizers never share a dual variable.

        Raises:
            ValueError: if number, settings or regularizers of the groups differ. Nothing has changed then.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(f"the checkpoint has {len(saved)} param groups, this optimizer {len(self.param_groups)}")
        for i, (old, new) in enumerate(zip(saved, self.param_groups, strict=True)):
            keys = {"reg", *_RULES}
            if keys & old.keys() != keys & new.keys():
                raise ValueError(
                    f"param group {i} was saved with {', '.join(sorted(keys & old.keys()))}, but "
                    f"{type(self).__name__} has {', '.join(sorted(keys & new.keys()))}: another optimizer saved it"
                )
            if old["reg"] != describe(new["reg"]):
                raise ValueError(
                    f"param group {i} was saved with reg {old['reg']}, but this optimizer has {describe(new['reg'])}: "
                    "build the optimizer with the saved regularizer, then load"
                )
        groups = [{**old, "reg": new["reg"]} for old, new in zip(saved, self.param_groups, strict=True)]
        state = {
            key: {k: v.clone() if isinstance(v, Tensor) else v for k, v in entry.items()}
            for key, entry in state_dict["state"].items()
        }
        super().load_state_dict({**state_dict, "state": state, "param_groups": groups})


def named(group: Group) -> list[tuple[str, Tensor]]:
    """Parameters with their names, or with their places where the optimizer was given no names."""
    names = group.get("param_names") or [f"#{i}" for i in range(len(group["params"]))]
    return [(repr(n), p) for n, p in zip(names, group["params"], strict=True)]


def trainable(group: Group) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters that have a gradient, and the gradients, with the sign of an ascent if asked for."""
    params = [p for p in group["params"] if p.grad is not None]
    grads = [-p.grad if group["maximize"] else p.grad for p in params]
    return params, grads


def use_foreach(group: Group, params: list[Tensor]) -> bool:
    """Multi-tensor kernels: if asked for, or by default where every parameter is a plain tensor on a CUDA device.

    Subclasses such as DTensor lack sharding rules for some of them and take the loop.
    """
    if not params:
        return False  # the kernels refuse empty lists
    if group["foreach"] is not None:
        return bool(group["foreach"])
    return all(is_plain(p) and p.is_cuda for p in params)


def is_plain(p: Tensor) -> bool:
    """Whether ``p`` is a tensor like any other, not of a subclass that knows only some operations."""
    return type(p) in (Tensor, torch.nn.Parameter)


def scratch(p: Tensor) -> Tensor | None:
    """The memory of ``p`` for what comes before a new ``p``: for large tensors, fresh memory costs more than the sums.

    ``None``, which lets torch allocate, for subclasses, and in a compiled step, where nothing comes before.
    """
    return p if is_plain(p) and not torch.compiler.is_compiling() else None


def scalar(x: float | Tensor) -> float | Tensor:
    """A tensor with one element without its dims, which would broadcast against 0-dim parameters."""
    return x.squeeze() if isinstance(x, Tensor) and x.ndim else x


def call(closure: Callable[[], Any] | None) -> Any:
    """Evaluate a closure with gradients switched on, as torch's optimizers do."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()
