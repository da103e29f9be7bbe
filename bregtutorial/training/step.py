"""One optimizer step on one batch: forward under autocast, backward, clip, step, schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import ReduceLROnPlateau

from bregtutorial import processes
from bregtutorial.training.evaluation import Measure, autocast, device_of, place


class Step:
    """What :func:`bregtutorial.fit` does with a batch.

    Args:
        model: the network; for several processes it is wrapped here, unless it is wrapped already.
        optimizer: of ``torch.optim`` or of this package; where it has a ``network``, that one is trained.
        measures: the loss, then the metrics.
        schedules: stepped after every step that the optimizer took.
        precision, channels_last, compile, clip: as in ``fit``.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        measures: Mapping[str, Measure],
        schedules: Sequence[Any],
        *,
        precision: str,
        channels_last: bool,
        compile: bool | Mapping[str, Any],
        clip: float | None,
    ) -> None:
        self.model = model.module if isinstance(model, DistributedDataParallel) else model
        self.optimizer, self.measures, self.schedules = optimizer, measures, list(schedules)
        self.precision, self.channels_last, self.compile, self.clip = precision, channels_last, compile, clip
        if compile and model is not self.model:
            raise ValueError("compile needs the network itself, got a DistributedDataParallel: fit wraps it by itself")
        self.device = device_of(model)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "float16")
        if channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.levels = hasattr(optimizer, "network")
        self._whole = model if model is not self.model else self._wrap(model)

    def __call__(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """Take the step; return loss and metrics, as they were before it, without waiting for them."""
        network = self._network()
        x, y = place(x, self.device, self.channels_last), y.to(self.device, non_blocking=True)
        self.optimizer.zero_grad()
        with autocast(self.device, self.precision):
            output = network(x)
            loss = self.measures["loss"](output, y)
        torch.autograd.backward(self.scaler.scale(loss))
        if self.levels:
            processes.average(p.grad for p in network.parameters())
            processes.share(network.buffers())
        if self.clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(network.parameters(), self.clip)
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scaler.get_scale() >= scale:  # a smaller one: the gradients overflowed, and no step was taken
            for schedule in self.schedules:
                if not isinstance(schedule, ReduceLROnPlateau):
                    schedule.step()
        with torch.no_grad():
            return [loss.detach(), *(f(output, y) for name, f in self.measures.items() if name != "loss")]

    def _network(self) -> nn.Module:
        """The network of this step; an optimizer such as Multilevel names it anew before each."""
        network: nn.Module = getattr(self.optimizer, "network", self.model)
        return self._whole if network is self.model else network

    def _wrap(self, network: nn.Module) -> nn.Module:
        processes.share([*network.parameters(), *network.buffers()])
        if self.compile:
            options = {} if self.compile is True else self.compile
            network = cast(nn.Module, torch.compile(network, **options))
        if processes.world_size() > 1 and not self.levels:  # a small network would need a wrapper every few steps
            network = DistributedDataParallel(network, device_ids=[self.device] if self.device.type == "cuda" else None)
        return network
