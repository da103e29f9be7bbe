"""Networks of other widths: modules replaced by smaller ones of the same kind, and files that hold such networks.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from bregtutorial import checkpoint
from bregtutorial.wiring.layers import LAYERS, NORMS, depthwise, widths_of

Model = TypeVar("Model", bound=nn.Module)
Widths = dict[str, tuple[int, ...]]


def all_widths(model: nn.Module) -> Widths:
    """Inputs, outputs and whether there is a bias (1 or 0) of every layer; the number of channels of norm layers.

    Plain numbers, so that a file of them loads with ``weights_only=True``.

    Args:
        model: any network.

    Example:
        >>> all_widths(nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4)))
        {'0': (3, 4, 0), '1': (4,)}

    Book: Frontiers, "From zeros to speed".
    """
    found: Widths = {}
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, _ConvNd)) and type(module) in LAYERS:
            found[name] = (*widths_of(module), int(module.bias is not None))
        elif isinstance(module, _BatchNorm) and type(module) in NORMS:
            found[name] = (module.num_features,)
        elif isinstance(module, nn.PReLU):
            found[name] = (module.num_parameters,)
    return found


def rebuild(model: Model, widths: Mapping[str, tuple[int, ...]]) -> Model:
    """A network of the same class with these widths and weights of zero, for a state dict to fill.

    Args:
        model: a network of the original widths. It stays as it is.
        widths: as :func:`all_widths` returns them. Modules that are not named keep their width.

    Raises:
        ValueError: if a name is that of no layer or norm layer of the model.

    Example:
        >>> big = nn.Sequential(nn.Linear(3, 100), nn.ReLU(), nn.Linear(100, 2))
        >>> rebuild(big, {"0": (3, 5, 1), "2": (5, 2, 1)})
        Sequential(
          (0): Linear(in_features=3, out_features=5, bias=True)
          (1): ReLU()
          (2): Linear(in_features=5, out_features=2, bias=True)
        )

    Book: Frontiers, "From zeros to speed".
    """
    present = all_widths(model)
    for name in widths.keys() - present.keys():
        close = get_close_matches(name, list(present), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"widths names {name!r}, which is no layer or norm layer of {type(model).__name__}{hint}")
    changed = {name: tuple(width) for name, width in widths.items() if tuple(width) != present[name]}
    return replaced(model, {name: resized(model.get_submodule(name), width) for name, width in changed.items()})


def replaced(model: Model, modules: Mapping[str, nn.Module]) -> Model:
    """A deep copy with some modules replaced; what they replace is never copied.

    Raises:
        ValueError: if the model holds a tensor that cannot be copied.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        >>> replaced(model, {"1": nn.Tanh()})[1], model[1]
        (Tanh(), ReLU())

    Book: Frontiers, "From zeros to speed".
    """
    memo: dict[int, Any] = {id(model.get_submodule(name)): module for name, module in modules.items()}
    try:
        return copy.deepcopy(model, memo)
    except RuntimeError as error:
        raise ValueError(
            f"{type(model).__name__} cannot be copied: it holds a weight that is computed from other parameters. "
            "Make it plain first, with prune.remove or remove_weight_norm"
        ) from error


def resized(module: nn.Module, width: tuple[int, ...]) -> nn.Module:
    """A module of the same kind and settings with another width, its weights zero.

    Example:
        >>> resized(nn.Conv2d(8, 16, 3, padding=1), (4, 6, 0))
        Conv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)

    Book: Frontiers, "From zeros to speed".
    """
    tensors = dict(chain(module.named_parameters(), module.named_buffers()))
    small = _same_kind(module, width)
    if tensors:
        small = small.to_empty(device=next(iter(tensors.values())).device)
    for name, p in small.named_parameters():
        p.requires_grad_(tensors.get(name, tensors["weight"]).requires_grad)  # a new bias is trained as the weight is
        nn.init.zeros_(p)
    for buffer in small.buffers():
        buffer.zero_()
    return small.train(module.training)


def _same_kind(module: nn.Module, width: tuple[int, ...]) -> nn.Module:
    # On the meta device: no random numbers are drawn, which the caller might miss.
    make: dict[str, Any] = {"device": "meta"}
    numbers = [t for t in chain(module.parameters(), module.buffers()) if t.is_floating_point()]
    if numbers:
        make["dtype"] = numbers[0].dtype
    kind: Any = type(module)
    if isinstance(module, nn.PReLU):
        return nn.PReLU(*width, **make)
    if isinstance(module, _BatchNorm):
        settings = (module.eps, module.momentum, module.affine, module.track_running_stats)
        norm: nn.Module = kind(*width, *settings, **make)
        return norm
    n_in, n_out, bias = width
    if isinstance(module, nn.Linear):
        return nn.Linear(n_in, n_out, bias=bool(bias), **make)
    assert isinstance(module, _ConvNd)  # for the type checker: LAYERS and NORMS hold nothing else
    make |= {name: getattr(module, name) for name in ("stride", "padding", "dilation", "padding_mode")}
    if isinstance(module, _ConvTransposeNd):
        make["output_padding"] = module.output_padding
    groups = n_in if depthwise(module) else module.groups
    conv: nn.Module = kind(n_in, n_out, module.kernel_size, bias=bool(bias), groups=groups, **make)
    return conv


def save(path: str | os.PathLike[str], model: nn.Module) -> None:
    """Write the widths and the weights of a network into one file, without any code.

    Args:
        path: the file.
        model: a compacted network.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     save(file.name, nn.Sequential(nn.Linear(3, 5)))
        ...     load(file.name, nn.Sequential(nn.Linear(3, 100)))
        Sequential(
          (0): Linear(in_features=3, out_features=5, bias=True)
        )

    Book: Frontiers, "From zeros to speed".
    """
    checkpoint.save(path, {"widths": all_widths(model), "weights": model.state_dict()})


def load(path: str | os.PathLike[str], model: Model, *, map_location: str | torch.device = "cpu") -> Model:
    """The network that :func:`save` wrote, as a network of the class of ``model``.

    Args:
        path: the file.
        model: a network of the original widths, freshly built. It stays as it is.
        map_location: the device for the weights.

    Raises:
        ValueError: if the file names a layer that the model does not have.
        DamagedCheckpointError: the file was cut short or altered after it was written.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     save(file.name, nn.Sequential(nn.Linear(3, 5)))
        ...     load(file.name, nn.Sequential(nn.Linear(3, 100)))[0].out_features
        5

    Book: Frontiers, "From zeros to speed".
    """
    content = checkpoint.load(path)
    small = rebuild(model, content["widths"]).to(map_location)
    small.load_state_dict(content["weights"])
    return small
