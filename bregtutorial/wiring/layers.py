"""What modules with weights do to channels: layers sum over them, norms and depthwise convolutions scale them.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from bregtutorial.layers import Weighted

# Exact types: a subclass may do anything. The number is that of the dims of an image.
LAYERS: dict[type[nn.Module], int] = {nn.Linear: 0, nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
LAYERS |= {nn.ConvTranspose1d: 1, nn.ConvTranspose2d: 2, nn.ConvTranspose3d: 3}
NORMS: dict[type[nn.Module], tuple[int, ...]] = {
    nn.BatchNorm1d: (0, 1),
    nn.BatchNorm2d: (2,),
    nn.BatchNorm3d: (3,),
}


def widths_of(layer: Weighted) -> tuple[int, int]:
    """Inputs and outputs of a layer.

    Example:
        >>> widths_of(nn.Linear(3, 2)), widths_of(nn.ConvTranspose2d(3, 2, 5))
        ((3, 2), (3, 2))

    Book: Frontiers, "From zeros to speed".
    """
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def depthwise(module: nn.Module) -> bool:
    """Whether every channel of a convolution is an image of its own.

    Example:
        >>> depthwise(nn.Conv2d(8, 8, 3, groups=8)), depthwise(nn.Conv2d(8, 16, 3, groups=8))
        (True, False)

    Book: Frontiers, "From zeros to speed".
    """
    if not isinstance(module, _ConvNd) or isinstance(module, _ConvTransposeNd):
        return False
    return 1 < module.groups == module.in_channels == module.out_channels


def matrix(layer: Weighted) -> Tensor:
    """The weight as ``(outputs, inputs, kernel)``, with one entry in the last dim for a matrix, on the CPU.

    Example:
        >>> matrix(nn.Linear(3, 2)).shape, matrix(nn.ConvTranspose2d(3, 2, 5)).shape
        (torch.Size([2, 3, 1]), torch.Size([2, 3, 25]))

    Book: Frontiers, "From zeros to speed".
    """
    w = layer.weight.detach().cpu()
    w = w.transpose(0, 1) if isinstance(layer, _ConvTransposeNd) else w
    return w.reshape(*w.shape[:2], -1)


def meets_zeros(layer: Weighted) -> bool:
    """Whether some outputs see zeros beside the image: those of a zero padding, or of any transposed convolution.

    Example:
        >>> meets_zeros(nn.Conv2d(1, 1, 3)), meets_zeros(nn.Conv2d(1, 1, 3, padding=1))
        (False, True)
        >>> meets_zeros(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"))
        False

    Book: Frontiers, "From zeros to speed".
    """
    if isinstance(layer, nn.Linear) or layer.padding_mode != "zeros":
        return False
    if isinstance(layer, _ConvTransposeNd):
        return True
    if isinstance(layer.padding, str):
        return layer.padding == "same" and max(layer.kernel_size) > 1
    return any(layer.padding)


def foldable(layer: Weighted, constants: Tensor) -> Tensor:
    """Inputs of the layer that a bias can stand for: constant, and zero where the layer sees zeros at the border.

    Args:
        layer: a Linear or Conv layer.
        constants: the value of every input, NaN for one that varies.

    Example:
        >>> foldable(nn.Linear(3, 1), torch.tensor([0.0, 2.0, torch.nan])).tolist()
        [True, True, False]
        >>> foldable(nn.Conv2d(3, 1, 3, padding=1), torch.tensor([0.0, 2.0, torch.nan])).tolist()
        [True, False, False]

    Book: Frontiers, "From zeros to speed".
    """
    return constants == 0 if meets_zeros(layer) else constants.isfinite()


def expand(constants: Tensor, n: int) -> Tensor:
    """One constant an input: those of channels are repeated for every pixel, an unknown one stands for all.

    Example:
        >>> expand(torch.tensor([1, 2]), 6)
        tensor([1, 1, 1, 2, 2, 2])

    Book: Frontiers, "From zeros to speed".
    """
    return constants.expand(n) if constants.ndim == 0 else constants.repeat_interleave(n // len(constants))


def fold(layer: Weighted, constants: Tensor) -> Tensor:
    r"""What inputs that are constant add to the outputs: :math:`\sum_i c_i\sum_k W_{oik}`, over the kernel's entries k.

    Args:
        layer: a Linear or Conv layer.
        constants: the value of every input; NaN and 0 add nothing.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> _ = nn.init.constant_(layer.weight, 3.0)
        >>> fold(layer, torch.tensor([0.5, torch.nan]))
        tensor([1.5000], dtype=torch.float64)

    Book: Frontiers, "From zeros to speed".
    """
    adds = constants.isfinite() & (constants != 0)
    return matrix(layer)[:, adds].sum(2, dtype=torch.float64) @ constants[adds].double()


def layer_constant(layer: Weighted, constants: Tensor) -> Tensor:
    """Outputs of a layer: constant where every input that has a weight can be folded, NaN elsewhere.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> _ = nn.init.eye_(layer.weight), nn.init.ones_(layer.bias)
        >>> layer_constant(layer, torch.tensor([0.5, torch.nan]))
        tensor([1.5000,    nan], dtype=torch.float64)

    Book: Frontiers, "From zeros to speed".
    """
    w = matrix(layer)
    c = expand(constants, w.shape[1])
    stays = foldable(layer, c)
    value = fold(layer, torch.where(stays, c, 0.0)) + _vector(layer.bias, len(w), 0.0)
    return torch.where((w[:, ~stays] != 0).any(2).any(1), torch.nan, value)


def depthwise_constant(layer: Weighted, constants: Tensor) -> Tensor:
    """As :func:`layer_constant`, for a convolution in which every output has one input, the channel of its number."""
    w = matrix(layer)[:, 0].double()
    c, bias, dead = expand(constants, len(w)), _vector(layer.bias, len(w), 0.0), (w == 0).all(1)
    value = torch.where(foldable(layer, c), w.sum(1) * c + bias, torch.nan)
    return torch.where(dead, bias, value)


def norm_constant(norm: _BatchNorm, constants: Tensor) -> Tensor:
    """Outputs of a batch norm in evaluation mode; a channel whose scale is zero is constant, whatever comes in."""
    n = norm.num_features
    scale, shift = _vector(norm.weight, n, 1.0), _vector(norm.bias, n, 0.0)
    value = torch.tensor(torch.nan)  # without running statistics: those of the batch, whose rounding is magnified
    if norm.running_mean is not None and norm.running_var is not None:
        mean, var = _vector(norm.running_mean, n, 0.0), _vector(norm.running_var, n, 1.0)
        value = (expand(constants, n) - mean) / (var + norm.eps).sqrt() * scale + shift
    return torch.where(scale == 0, shift, value)


def prelu_constant(module: nn.PReLU, constants: Tensor) -> Tensor:
    """Outputs of PReLU, whose slope for negative inputs may differ from channel to channel."""
    slope = module.weight.detach().cpu().double()
    c = constants if len(slope) == 1 else expand(constants, len(slope))
    return torch.where(c > 0, c, slope * c)


def _vector(p: Tensor | None, n: int, default: float) -> Tensor:
    return torch.full((n,), default, dtype=torch.float64) if p is None else p.detach().cpu().double()
