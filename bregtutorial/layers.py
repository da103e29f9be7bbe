"""Which modules carry the weights that sparse training is about, and which are never penalised.

Book: Foundations, "A first sparse network".
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import is_lazy

from bregtutorial.groups import canonical

Weighted = nn.Linear | _ConvNd
NORMS: tuple[type[nn.Module], ...] = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)


def all_layers(model: nn.Module) -> Iterator[tuple[str, Weighted]]:
    """Name and module of every Linear and Conv layer.

    Raises:
        ValueError: for a lazy layer whose weight has no shape yet.

    Example:
        >>> [name for name, _ in all_layers(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)))]
        ['0', '2']

    Book: Foundations, "A first sparse network".
    """
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Linear, _ConvNd)):
            continue
        if is_lazy(module.weight):
            raise ValueError(
                f"layer {name or 'model'!r} is lazy and has no weights yet: run one batch through the model first"
            )
        yield name, module


def weighted_layers(model: nn.Module) -> Iterator[tuple[str, Weighted]]:
    """As :func:`all_layers`, but of layers that share one weight only the first.

    Raises:
        ValueError: for a lazy layer whose weight has no shape yet.

    Example:
        >>> encoder, decoder = nn.Linear(3, 3), nn.Linear(3, 3)
        >>> decoder.weight = encoder.weight
        >>> [name for name, _ in weighted_layers(nn.Sequential(encoder, decoder))]
        ['0']

    Book: Foundations, "A first sparse network".
    """
    seen = {}  # holds the weights themselves: a weight that is computed on access is freed, and its id comes back
    for name, module in all_layers(model):
        weight = module.weight
        if id(weight) not in seen:
            seen[id(weight)] = weight
            yield name, module


def fan_in(module: Weighted) -> int:
    """Number of inputs that one output of the layer sums over.

    Example:
        >>> fan_in(nn.Linear(784, 200)), fan_in(nn.Conv2d(8, 16, 3)), fan_in(nn.Conv2d(8, 16, 3, groups=8))
        (784, 72, 9)

    Book: Algorithms, "Sparse initialisation".
    """
    if isinstance(module, nn.Linear):
        return module.in_features
    size = module.in_channels // module.groups
    for k in module.kernel_size:
        size *= k
    return size


def partition(module: Weighted, groups: str) -> str:
    """What ``groups`` of the layer are called in its weight tensor, where every weight is ``(out, in, *kernel)``.

    The weight of a transposed convolution is ``(in, out, *kernel)``, so that filters and inputs change places. In a
    convolution with ``groups > 1`` dim 1 counts channels within each of them: a slice along it ties channels together.

    Raises:
        ValueError: for groups that are no slices of the weight tensor.

    Example:
        >>> partition(nn.Conv2d(8, 16, 3), "inputs"), partition(nn.ConvTranspose2d(8, 16, 3), "inputs")
        ('inputs', 'filters')

    Book: Algorithms, "Group sparsity".
    """
    name = canonical(groups)
    if isinstance(module, _ConvTransposeNd):
        name = {"filters": "inputs", "inputs": "filters"}.get(name, name)
    if isinstance(module, _ConvNd) and module.groups > 1 and name == "inputs":
        raise ValueError(
            f"groups={groups!r} of a {type(module).__name__} with groups={module.groups} are no slices of its weight "
            f"{tuple(module.weight.shape)}, where dim 1 counts channels within each group: use 'kernels'"
        )
    return name


def whole(x: Tensor) -> Tensor:
    """A tensor that is sharded over processes, put together; any other as it is.

    Example:
        >>> import torch
        >>> whole(torch.ones(2))
        tensor([1., 1.])

    Book: Frontiers, "Scaling out".
    """
    full: Tensor = x.full_tensor() if hasattr(x, "full_tensor") else x
    return full
