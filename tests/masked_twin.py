"""Multilevel training in its literal form: the full network, and in coarse steps everything that rests is put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import bregtutorial as bt

ROWS = bt.GroupL2("rows")

# channels that only Linear and Conv layers read: (layers that write them, vectors that rest with them);
# other layers with rows, whose outputs everybody sees: only the weights of dead rows rest
Hidden = Sequence[tuple[Sequence[str], Sequence[str]]]


class MaskedTwin:
    """A network and its optimizer; ``step()`` follows ``backward()``."""

    def __init__(
        self, model: nn.Module, optimizer: Any, coarse_steps: float, hidden: Hidden, seen: Sequence[str] = ()
    ) -> None:
        self.model, self.optimizer, self.coarse_steps = model, optimizer, coarse_steps
        self.hidden, self.seen = hidden, seen
        self.params = dict(model.named_parameters())
        self.left: float = 0
        self.frozen: dict[str, Tensor] = {}

    def zero_grad(self) -> None:
        self.optimizer.zero_grad()

    def step(self) -> None:
        if not self.left:
            self.optimizer.step()
            self.frozen, self.left = self.rests(), self.coarse_steps
            return
        before = {name: [x.clone() for x in self.tensors(name)] for name in self.frozen}
        self.optimizer.step()
        with torch.no_grad():
            for name, rests in self.frozen.items():
                for x, old in zip(self.tensors(name), before[name], strict=True):
                    x.copy_(torch.where(rests, old, x))
        self.left -= 1

    def tensors(self, name: str) -> list[Tensor]:
        """A parameter, its dual and its buffers."""
        p = self.params[name]
        return [p.detach(), *(x for x in self.optimizer.state[p].values() if x.ndim)]

    def dead(self, layer: str) -> Tensor:
        return (self.params[f"{layer}.weight"] == 0).flatten(1).all(1)

    def rests(self) -> dict[str, Tensor]:
        """Of every parameter of which a part rests, that part as booleans."""
        found = {}
        for layer in [*self.seen, *(w for writers, _ in self.hidden for w in writers)]:
            w = self.params[f"{layer}.weight"]
            found[f"{layer}.weight"] = self.dead(layer).view(-1, *(1,) * (w.ndim - 1)).expand_as(w)
        for writers, vectors in self.hidden:
            gone = torch.stack([self.dead(w) for w in writers]).all(0)
            found |= dict.fromkeys(vectors, gone)
        return found


@dataclass
class Case:
    """A network, images and targets, and what may rest in it."""

    build: Callable[[], nn.Module]
    x: tuple[int, ...]
    hidden: Hidden
    seen: tuple[str, ...]
    lr: float = 0.3
    lam: float = 0.05
    density: float = 0.4


def padded() -> nn.Module:
    """Borders, a batch norm with momentum, one without, and an activation that maps 0 to something."""
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.Softplus(),
        nn.Conv2d(8, 7, 5, stride=2, padding=2),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.Conv2d(7, 6, 3, padding="same", padding_mode="reflect", bias=False),
        nn.BatchNorm2d(6, momentum=None),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 5),
    )


CASES = {
    "mlp": Case(
        lambda: bt.models.mlp((12, 14, 11, 6)), (12,), [(["1"], ["1.bias"]), (["3"], ["3.bias"])], ("5",), 0.1, 0.02
    ),
    "autoencoder": Case(
        lambda: bt.models.autoencoder((16, 14, 9, 14, 16)),
        (1, 4, 4),
        [([n], [f"{n}.bias"]) for n in ("1", "3", "5")],
        ("7",),
        lr=1.0,
        lam=0.01,
    ),
    "convnet": Case(
        lambda: bt.models.convnet((1, 8, 7), (12, 5), kernel_size=3, image_size=14),
        (1, 14, 14),
        [([n], [f"{n}.bias"]) for n in ("0", "3", "7")],
        ("9",),
        lr=0.1,
        lam=0.02,
    ),
    "padded": Case(
        padded,
        (2, 8, 8),
        [
            (["0"], ["0.bias", "1.weight", "1.bias"]),
            (["3"], ["3.bias"]),
            (["6"], ["7.weight", "7.bias"]),
        ],
        ("10",),
        lr=0.3,
        lam=0.02,
    ),
    "resnet": Case(
        lambda: bt.models.resnet((9, 10), (1, 2), 5, in_channels=2),
        (2, 8, 8),
        [
            (["stages.0.0.conv1"], ["stages.0.0.bn1.weight", "stages.0.0.bn1.bias"]),
            (["stages.1.0.conv1"], ["stages.1.0.bn1.weight", "stages.1.0.bn1.bias"]),
            (["stages.1.1.conv1"], ["stages.1.1.bn1.weight", "stages.1.1.bn1.bias"]),
            (["conv", "stages.0.0.conv2"], [f"{n}.{v}" for n in ("bn", "stages.0.0.bn2") for v in ("weight", "bias")]),
            (
                ["stages.1.0.conv2", "stages.1.0.shortcut.0", "stages.1.1.conv2"],
                [
                    f"stages.1.{n}.{v}"
                    for n in ("0.bn2", "0.shortcut.1", "1.bn2")
                    for v in ("weight", "bias")
                ],
            ),
        ],
        ("fc",),
        lr=0.1,
        lam=0.02,
        density=0.25,
    ),
}  # fmt: skip


def make(case: Case, **options: Any) -> tuple[nn.Module, Any]:
    """The network, with some rows, biases of both signs, and norms that are not at their start."""
    torch.manual_seed(1)
    model = case.build()
    bt.sparse_init_(model, density=case.density, groups="rows")
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1:
                p.add_(0.3 * torch.randn(p.shape))
    kind = options.pop("kind", bt.LinBreg)
    return model, kind(bt.parameter_groups(model, case.lam, ROWS), lr=options.pop("lr", case.lr), **options)


def batches(case: Case, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    for _ in range(steps):
        x = torch.randn(16, *case.x, generator=generator)
        yield x, torch.randint(5, (16,), generator=generator)


def loss_of(output: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(output, x.sigmoid()) if output.shape == x.shape and x.ndim > 2 else F.cross_entropy(output, y)


def train(ml: Any, x: Tensor, y: Tensor) -> Tensor:
    """One step; returns the loss before it."""
    loss = loss_of(getattr(ml, "network", ml.model)(x), x, y)
    ml.zero_grad()
    loss.backward()
    ml.step()
    return loss.detach()


def everything(model: nn.Module, optimizer: Any) -> dict[str, Tensor]:
    """Weights, statistics, duals and buffers."""
    found = dict(model.state_dict())
    for name, p in model.named_parameters():
        found |= {f"{name} {key}": x for key, x in optimizer.state[p].items()}
    return found


def assert_close(a: dict[str, Tensor], b: dict[str, Tensor], atol: float = 1e-11) -> None:
    assert a.keys() == b.keys()
    for name, x in a.items():
        torch.testing.assert_close(x, b[name], rtol=0, atol=atol, msg=lambda m, name=name: f"{name}: {m}")
