"""Random small networks with dead parts, for the tests of compaction."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

SIDE = 11  # of the images
Draw = Callable[[st.SearchStrategy], object]


class Residual(nn.Module):
    """Two branches, added."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut, self.after = branch, shortcut, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.branch(x) + self.shortcut(x))


class Concatenated(nn.Module):
    """Two branches, one behind the other."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.first(x), self.second(x)], 1)


class Gated(nn.Module):
    """Channels times a number for each, computed from their averages."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(width, 2, 1), nn.Conv2d(2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.excite(gate))


class Mean(nn.Module):
    """The average over the pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def conv(draw: Draw, n_in: int, n_out: int, *, same: bool = False) -> list[nn.Module]:
    """A convolution with or without padding, bias, norm and activation; ``same`` keeps the size of the image."""
    k = draw(st.sampled_from([3, 1]))
    stride = 1 if same else draw(st.sampled_from([1, 1, 2]))
    padding = k // 2 if same or draw(st.booleans()) else 0
    mode = draw(st.sampled_from(["zeros", "zeros", "zeros", "reflect", "replicate", "circular"]))
    groups = n_in if n_in == n_out and draw(st.integers(0, 3)) == 0 else 1
    layers: list[nn.Module] = [
        nn.Conv2d(n_in, n_out, k, stride, padding, bias=draw(st.booleans()), padding_mode=mode, groups=groups)
    ]
    if draw(st.booleans()):
        layers.append(nn.BatchNorm2d(n_out, affine=draw(st.integers(0, 3)) > 0))
    return [*layers, activation(draw, n_out)]


def activation(draw: Draw, width: int) -> nn.Module:
    choices = [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        nn.Tanh(),
        nn.Sigmoid(),
        nn.LeakyReLU(0.1),
        nn.Hardswish(),
        nn.Identity(),
    ]
    return draw(st.sampled_from([*choices, nn.PReLU(width), nn.PReLU(), nn.Dropout(0.5)]))


def pool(draw: Draw) -> nn.Module:
    return draw(
        st.sampled_from(
            [
                nn.Identity(),
                nn.MaxPool2d(3, 1, 1),
                nn.AvgPool2d(2, 1),
                nn.AvgPool2d(3, 1, 1),
                nn.AvgPool2d(3, 1, 1, count_include_pad=False),
                nn.AvgPool2d(2, 2, ceil_mode=True),
                nn.ZeroPad2d(1),
                nn.ConstantPad2d(1, 0.5),
                nn.ReflectionPad2d(1),
                nn.Upsample(scale_factor=2, mode="bilinear"),
            ]
        )
    )


def block(draw: Draw, n_in: int) -> tuple[nn.Module, int]:
    n_out = draw(st.integers(2, 7))
    kind = draw(st.sampled_from(["plain", "plain", "residual", "projected", "cat", "gated", "upward"]))
    if kind == "residual":
        middle = draw(st.integers(1, 6))
        branch = nn.Sequential(*conv(draw, n_in, middle, same=True), *conv(draw, middle, n_in, same=True))
        return Residual(branch, nn.Identity(), activation(draw, n_in)), n_in
    if kind == "projected":
        branches = (nn.Sequential(*conv(draw, n_in, n_out, same=True)) for _ in range(2))
        return Residual(*branches, activation(draw, n_out)), n_out
    if kind == "upward":
        up = nn.ConvTranspose2d(n_in, n_out, 2, draw(st.integers(1, 2)), bias=draw(st.booleans()))
        return nn.Sequential(up, activation(draw, n_out)), n_out
    if kind == "cat":
        branches = [nn.Sequential(*conv(draw, n_in, n, same=True)) for n in (n_out, 2)]
        return Concatenated(*branches), n_out + 2
    layers = [*conv(draw, n_in, n_out), *([Gated(n_out)] if kind == "gated" else []), pool(draw)]
    return nn.Sequential(*layers), n_out


@st.composite
def convnets(draw: Draw) -> nn.Module:
    """A trunk of blocks, and a head of Linear layers."""
    width = n_in = draw(st.integers(1, 3))
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(2, 4))):
        module, width = block(draw, width)
        layers.append(module)
    if draw(st.booleans()):
        layers += [draw(st.sampled_from([Mean(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())]))]
        flat = width
    else:
        layers += [nn.AdaptiveMaxPool2d(2), nn.Flatten()]
        flat = 4 * width
        if draw(st.booleans()):
            layers.append(nn.BatchNorm1d(flat))
    layers += head(draw, flat)
    return damaged(draw, nn.Sequential(*layers)), n_in


@st.composite
def padded(draw: Draw) -> nn.Module:
    """3x3 convolutions with zero padding, norm and ReLU, some side by side: many constants meet zeros."""
    width, layers = 2, []
    for _ in range(draw(st.integers(2, 3))):
        n_out = draw(st.integers(3, 8))
        branches = [
            nn.Sequential(nn.Conv2d(width, n, 3, padding=1, bias=False), nn.BatchNorm2d(n), nn.ReLU())
            for n in (n_out, 3)
        ]
        if draw(st.booleans()):
            layers.append(Concatenated(*branches))
            width = n_out + 3
        else:
            layers.append(branches[0])
            width = n_out
    return damaged(draw, nn.Sequential(*layers, Mean(), nn.Linear(width, 3)), rows_only=True), 2


@st.composite
def mlps(draw: Draw) -> nn.Module:
    """Linear layers with or without bias, norm and activation."""
    n_in = draw(st.integers(1, 6))
    return damaged(draw, nn.Sequential(*head(draw, n_in))), n_in


def head(draw: Draw, n_in: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(0, 3))):
        n_out = draw(st.integers(1, 6))
        layers.append(nn.Linear(n_in, n_out, bias=draw(st.booleans())))
        if draw(st.booleans()):
            layers.append(nn.BatchNorm1d(n_out))
        layers.append(activation(draw, n_out))
        n_in = n_out
    return [*layers, nn.Linear(n_in, 3)]


@torch.no_grad()
def damaged(draw: Draw, model: nn.Module, *, rows_only: bool = False) -> nn.Module:
    """Random weights and statistics, of which some rows, columns, single weights and scales are zero."""
    g = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    rate = draw(st.sampled_from([0.4, 0.2, 0.6, 0.9, 0.0]))
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            w = module.weight.normal_(generator=g)
            kill = rate * (torch.rand(3, generator=g) < 0.6)
            kill = torch.tensor([rate, 0.0, 0.0]) if rows_only else kill
            w[torch.rand(w.shape[0], generator=g) < kill[0]] = 0.0
            w[:, torch.rand(w.shape[1], generator=g) < kill[1]] = 0.0
            w.mul_((torch.rand(w.shape, generator=g) >= kill[2] / 2).to(w))
            if module.bias is not None:
                module.bias.normal_(generator=g).mul_(torch.rand(len(module.bias), generator=g) > 0.3)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_(generator=g)
            module.running_var.uniform_(0.5, 2.0, generator=g)
            if module.affine:
                module.weight.normal_(generator=g).mul_(torch.rand(len(module.weight), generator=g) >= rate / 3)
                module.bias.normal_(generator=g)
        elif isinstance(module, nn.PReLU):
            module.weight.normal_(generator=g)
    return model


def networks() -> st.SearchStrategy:
    """Any of these, with the number of channels of its images or inputs."""
    return st.one_of(convnets(), padded(), mlps())
