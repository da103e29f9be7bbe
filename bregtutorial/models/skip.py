"""An autoencoder in which every layer may see all earlier ones: the search space for architectures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bregtutorial.models._init import he_normal_


class SkipAutoencoder(nn.Module):
    r"""Linear layers that also add up earlier outputs, each times a scalar that starts at zero.

    .. math:: x_{l+1} = \operatorname{ReLU}(W_l x_l + b_l) + \sum_{i\le l} s_{l,i}\,x_i

    for the layers :math:`l = 0, 1, \dots` and the image :math:`x_0`; the last layer has no ReLU. Outputs add up only
    where they have the same width, so that other pairs have no scalar. A scalar that is 0 is a connection that is not
    there: with a penalty, training decides which skips exist.

    Args:
        widths: pixels of a square image with one channel, hidden neurons, the same pixels.
        generator: source of the weights.

    Raises:
        ValueError: if there are fewer than two widths or one is less than 1, if the first and the last differ, or are
            no square number.

    Example:
        >>> net = SkipAutoencoder((16, 16, 9, 16))
        >>> list(net.skips())
        [(0, 1), (0, 3), (1, 3)]

    References:
        Bungert, Roith, Tenbrinck, Burger (2021), "Neural architecture search via Bregman iterations", arXiv 2106.02479,
        and its published code.

    Book: Experiments, "Architecture search".
    """

    def __init__(self, widths: Sequence[int] = (784,) * 7, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"widths needs an input and an output, all at least 1, got {tuple(widths)}")
        self.side = math.isqrt(widths[0])
        if widths[0] != widths[-1] or self.side**2 != widths[0]:
            raise ValueError(
                f"the first and last width must be one square number of pixels, got {widths[0]} and {widths[-1]}"
            )
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths))
        self.sources = [[i for i in range(k) if widths[i] == widths[k]] for k in range(1, len(widths))]
        self.scalars = nn.ParameterList(torch.zeros(len(sources)) for sources in self.sources)
        he_normal_(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, side, side)`` to images of the same shape."""
        outputs: list[Tensor] = [x.flatten(1)]
        for k, (layer, scalars) in enumerate(zip(self.layers, self.scalars, strict=True)):
            out = layer(outputs[-1])
            if k + 1 < len(self.layers):
                out = F.relu(out)
            for s, i in zip(scalars.unbind(), self.sources[k], strict=True):
                out = out + s * outputs[i]
            outputs.append(out)
        return outputs[-1].reshape(-1, 1, self.side, self.side)

    @torch.no_grad()
    def skips(self) -> dict[tuple[int, int], float]:
        """Scalar of every possible skip ``(i, k)``, which adds the output ``i`` to the output ``k``; 0 is the image."""
        found: dict[tuple[int, int], float] = {}
        for k, (scalars, sources) in enumerate(zip(self.scalars, self.sources, strict=True), start=1):
            found |= {(i, k): s for i, s in zip(sources, scalars.tolist(), strict=True)}
        return found


def skip_autoencoder(
    widths: Sequence[int] = (784,) * 7, *, generator: torch.Generator | None = None
) -> SkipAutoencoder:
    """A :class:`SkipAutoencoder`, by default of the paper's size: seven layers of 784 neurons, 21 possible skips.

    Its scalars are the ``other`` parameters of :func:`bregtutorial.parameter_groups`, which leaves them unpenalised
    unless told what they cost.

    Args:
        widths: pixels of a square image with one channel, hidden neurons, the same pixels.
        generator: source of the weights.

    Raises:
        ValueError: if the widths are not those of an autoencoder.

    Example:
        >>> import bregtutorial as bt
        >>> net = skip_autoencoder((16, 16, 16))
        >>> rows = bt.GroupL2("rows")
        >>> for group in bt.parameter_groups(net, lam=0.07, reg=rows, other={"reg": bt.L1(), "lam": 1.96}):
        ...     print(group["name"], group["reg"], group["lam"], [name for name, _ in group["params"]])
        linear GroupL2(groups='filters') 0.07 ['layers.0.weight', 'layers.1.weight']
        bias Zero() 0.0 ['layers.0.bias', 'layers.1.bias']
        other L1() 1.96 ['scalars.0', 'scalars.1']

    References:
        Bungert, Roith, Tenbrinck, Burger (2021), "Neural architecture search via Bregman iterations", arXiv 2106.02479.

    Book: Experiments, "Architecture search".
    """
    return SkipAutoencoder(widths, generator=generator)
