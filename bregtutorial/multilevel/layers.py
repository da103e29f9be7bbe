"""The modules of the small network.

Book: Frontiers, "Multilevel training".
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from bregtutorial.layers import Weighted
from bregtutorial.multilevel.cuts import EntryCut, RowCut
from bregtutorial.wiring.layers import meets_zeros


class SmallLayer(nn.Module):
    """The active rows of a Linear or Conv layer.

    Its weight has, behind the columns of live inputs, one for the constant of the dead inputs and two for inputs that
    carry nothing: those are never computed, but count in the norms of the rows.

    Args:
        layer: the layer at full size.
        bias: one entry for each channel that is kept, or None.
    """

    def __init__(self, layer: Weighted, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(layer.weight.detach()[:0]), bias
        self._matrix = isinstance(layer, nn.Linear)
        self._compute: Any = F.linear if isinstance(layer, nn.Linear) else layer._conv_forward
        self._border = meets_zeros(layer)
        self._extra, self._constant = 0, 0.0
        self._rows: Tensor | None
        self.register_buffer("_rows", None, persistent=False)
        self._width = 0

    def follow(self, cut: RowCut, rows: Tensor) -> None:
        """Take over a cut; ``rows`` says of the channels that are kept whether their row is active."""
        self._extra, self._constant, self._width = cut.extra, cut.constant, len(rows)
        places = rows.nonzero().flatten() if not cut.empty else cut.index  # a dead row stands in, and is 0 anywhere
        self._rows = None if rows.all() else places

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of the channels that are kept."""
        weight: Tensor = self.weight
        bias: Tensor | None = self.bias if self._rows is None else None
        shift = None
        if self._extra:
            weight, along, _ = weight.split_with_sizes((weight.shape[1] - self._extra, 1, self._extra - 1), dim=1)
            if self._border:  # next to a border some of the kernel sees zeros instead of the constant
                shift = self._compute(x.new_full((1, 1, *x.shape[2:]), self._constant), along, None)
            else:
                told = self._constant * along.flatten(1).sum(1)
                bias = told if bias is None else bias + told
        y: Tensor = self._compute(x, weight, bias)
        y = y if shift is None else y + shift
        return y if self._rows is None else self._among_dead_rows(y, self._rows)

    def _among_dead_rows(self, y: Tensor, rows: Tensor) -> Tensor:
        """All channels that are kept: where the row is dead, the bias alone."""
        dim = y.ndim - 1 if self._matrix else 1
        shape = list(y.shape)
        shape[dim] = self._width
        y = y.new_zeros(shape).index_copy(dim, rows, y)
        if self.bias is None:
            return y
        return y + (self.bias if self._matrix else self.bias.view(-1, *(1,) * (y.ndim - 2)))


class SmallNorm:
    """A batch norm of the channels that are kept; looks after the running statistics of the others.

    A dropped channel is constant, so its batch has that mean and no variance: its running statistics follow without
    being computed from images.

    Args:
        norm: the batch norm at full size.
        small: its copy in the small network, changed in place.
    """

    def __init__(self, norm: _BatchNorm, small: _BatchNorm) -> None:
        self.norm: Any = norm
        self.small: Any = small
        self.device = next(iter([*norm.parameters(), *norm.buffers()])).device
        self.tracks = norm.running_mean is not None and norm.running_var is not None
        if self.tracks:
            small.register_forward_hook(self._follow)

    def gather(self, cut: EntryCut, constants: Tensor) -> None:
        """Take over the statistics; ``constants`` are what comes in, channel by channel."""
        self.cut, self.dropped = cut, cut.dropped
        if not self.tracks:
            return
        mean, var = self.norm.running_mean, self.norm.running_var
        self.small.running_mean, self.small.running_var = cut.down(mean), cut.down(var)
        self.mean, self.var = mean[self.dropped], var[self.dropped]
        self.constant = constants[self.dropped].to(mean)

    def _follow(self, *_: Any) -> None:
        if not self.small.training or not len(self.dropped):
            return
        rate = self.norm.momentum
        rate = 1 / float(self.norm.num_batches_tracked) if rate is None else rate
        self.mean.lerp_(self.constant, rate)
        self.var.mul_(1 - rate)

    def scatter(self) -> None:
        """Write the statistics back."""
        if self.tracks:
            for big, kept, dead in (
                (self.norm.running_mean, self.small.running_mean, self.mean),
                (self.norm.running_var, self.small.running_var, self.var),
            ):
                big.index_copy_(0, self.cut.index, kept)
                big.index_copy_(0, self.dropped, dead)
