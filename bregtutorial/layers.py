"""Which modules carry the weights that sparse training is about, and which are never penalised."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import UninitializedParameter

Weighted = nn.Linear | _ConvNd
NORMS: tuple[type[nn.Module], ...] = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
TRANSPOSED: tuple[type[nn.Module], ...] = (_ConvTransposeNd,)


def weighted_layers(model: nn.Module) -> Iterator[tuple[str, Weighted]]:
    """Name and module of every Linear and Conv layer; a weight shared by two layers comes once.

    Raises:
        ValueError: for a lazy layer whose weight has no shape yet.

    Example:
        >>> [name for name, _ in weighted_layers(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)))]
        ['0', '2']
    """
    seen = set()
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Linear, _ConvNd)) or id(module.weight) in seen:
            continue
        if isinstance(module.weight, UninitializedParameter):
            raise ValueError(f"layer {name or 'model'!r} is lazy and has no weights yet: run one batch through the model")
        seen.add(id(module.weight))
        yield name, module


def fan_in(module: Weighted) -> int:
    """Number of inputs that one output of the layer sums over.

    Example:
        >>> fan_in(nn.Linear(784, 200)), fan_in(nn.Conv2d(8, 16, 3)), fan_in(nn.Conv2d(8, 16, 3, groups=8))
        (784, 72, 9)
    """
    if isinstance(module, nn.Linear):
        return module.in_features
    size = module.in_channels // module.groups
    for k in module.kernel_size:
        size *= k
    return size
