"""The front door: ``compact(model)`` and what belongs to it.

Book: Frontiers, "From zeros to speed".
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from torch import nn

from bregtutorial.compaction import resize
from bregtutorial.compaction.decide import decide
from bregtutorial.compaction.plan import Plan
from bregtutorial.compaction.resize import Model, Widths


class Compact:
    """Make a sparse network small; :data:`compact` is the one object of this class.

    ``compact(model)`` is ``compact.plan(model).apply()``. The network's forward must be the same operations for all
    data (:mod:`torch.fx` traces it) and gets a batch. Equality holds in evaluation mode, up to rounding. In training
    mode batch norms take their statistics from the batch: a constant in their input is lost there in both networks.

    Example:
        >>> import bregtutorial as bt
        >>> model = bt.models.mlp((784, 200, 80, 10))
        >>> for layer, dead in ((model[1], 163), (model[3], 68)):
        ...     _ = layer.weight.detach()[:dead].zero_()
        >>> bt.compact.plan(model)
        layer     inputs    outputs         parameters  constant  unread
        -----  ---------  ---------  -----------------  --------  ------
        1            784  200 -> 37  157,000 -> 29,045       163       0
        3      200 -> 37   80 -> 12      16,080 -> 456        68       0
        5       80 -> 12         10         810 -> 130         0       0
        all                          173,890 -> 29,631
        5: all outputs stay: output of the network
        small network: bt.models.mlp((784, 37, 12, 10))
        >>> small, x = bt.compact(model), torch.rand(3, 1, 28, 28)
        >>> torch.allclose(small(x), model(x), atol=1e-5)
        True

    References:
        Bungert, Roith, Tenbrinck, Burger (2022), JMLR 23(192), section 4.

    Book: Frontiers, "From zeros to speed".
    """

    def __call__(self, model: Model) -> Model:
        """The small network; the model stays as it is.

        Args:
            model: any network that :meth:`plan` understands.

        Raises:
            ValueError: if it cannot be traced or copied.
        """
        return self.plan(model).apply()

    def plan(self, model: Model) -> Plan[Model]:
        """What goes, layer by layer, and what stays and why. Nothing is changed.

        Args:
            model: any network whose operations do not depend on the data.

        Raises:
            ValueError: if it cannot be traced, has a layer without a shape yet, or changes a tensor in place that it
                reads again.
        """
        return Plan(model, decide(model))

    def widths(self, model: nn.Module) -> Widths:
        """Plain numbers for :meth:`rebuild`: (inputs, outputs, bias) of every layer, (channels,) of every norm layer.

        Args:
            model: any network.
        """
        return resize.all_widths(model)

    def rebuild(self, model: Model, widths: Mapping[str, tuple[int, ...]]) -> Model:
        """A network of the same class with these widths and weights of zero, for a state dict to fill.

        Args:
            model: a network of the original widths. It stays as it is.
            widths: as :meth:`widths` or :attr:`Plan.widths` returns them.

        Raises:
            ValueError: if a name is that of no layer or norm layer of the model.
        """
        return resize.rebuild(model, widths)

    def save(self, path: str | os.PathLike[str], model: nn.Module) -> None:
        """Write widths and weights of a small network into one file that holds no code.

        Args:
            path: the file.
            model: the small network.
        """
        resize.save(path, model)

    def load(self, path: str | os.PathLike[str], model: Model, *, map_location: str | torch.device = "cpu") -> Model:
        """The network that :meth:`save` wrote.

        Args:
            path: the file.
            model: a network of the original widths, freshly built. It stays as it is.
            map_location: the device for the weights.

        Raises:
            ValueError: if the file names a layer that the model does not have.
            DamagedCheckpointError: the file was cut short or altered after it was written.
        """
        return resize.load(path, model, map_location=map_location)

    def __repr__(self) -> str:
        return "bregtutorial.compact"


compact = Compact()
"""Make a sparse network small: ``compact(model)``, ``compact.plan(model)``; see :class:`Compact`."""
