"""Residual networks for 32x32 images: ResNet-18 of the paper's Table 3, and narrow ones for a CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bregtutorial.models._init import he_normal_


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; where the shape changes the shortcut is a 1x1 convolution.

    Args:
        n_in: channels before the two convolutions.
        n_mid: channels between them.
        n_out: channels after them.
        stride: of the first convolution and the shortcut.

    Example:
        >>> BasicBlock(8, 4, 16, stride=2)(torch.zeros(1, 8, 32, 32)).shape
        torch.Size([1, 16, 16, 16])

    References:
        He, Zhang, Ren, Sun (2016), "Deep Residual Learning for Image Recognition", section 3.3, option B.

    Book: Experiments, "CIFAR-10 and ResNet-18".
    """

    def __init__(self, n_in: int, n_mid: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_mid, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_mid)
        self.conv2 = nn.Conv2d(n_mid, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Shortcut plus the two convolutions."""
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.shortcut(x) + self.bn2(self.conv2(out)))


class ResNet(nn.Module):
    """A 3x3 stem, stages of basic blocks that halve the image, global average, one Linear layer.

    Args:
        widths: channels of every stage; the stem has the first.
        blocks: basic blocks of every stage.
        n_classes: outputs.
        in_channels: channels of the images.
        inner: channels between the two convolutions of every block, in order; default: the stage's width.
        generator: source of the weights.

    Raises:
        ValueError: if ``widths`` and ``blocks`` differ in length or ``inner`` does not name every block.

    Example:
        >>> net = ResNet((4, 8), (1, 1), inner=(2, 3))
        >>> [block[0].conv1.out_channels for block in net.stages]
        [2, 3]

    References:
        He, Zhang, Ren, Sun (2016), "Deep Residual Learning for Image Recognition". Bungert et al. (2022), section 4.5:
        3x3 stem with stride 1, no max-pooling.

    Book: Experiments, "CIFAR-10 and ResNet-18".
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (2, 2, 2, 2),
        n_classes: int = 10,
        *,
        in_channels: int = 3,
        inner: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"widths and blocks need one entry a stage, got {len(widths)} and {len(blocks)}")
        middles = (
            list(inner) if inner is not None else [w for w, n in zip(widths, blocks, strict=True) for _ in range(n)]
        )
        if len(middles) != sum(blocks):
            raise ValueError(f"inner needs one width a block, {sum(blocks)}, got {len(middles)}")
        self.conv = nn.Conv2d(in_channels, widths[0], 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(widths[0])
        stages, n_in = [], widths[0]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            stack = []
            for block in range(count):
                stack.append(BasicBlock(n_in, middles.pop(0), width, 2 if stage > 0 and block == 0 else 1))
                n_in = width
            stages.append(nn.Sequential(*stack))
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(n_in, n_classes)
        he_normal_(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits ``(B, n_classes)``."""
        out = self.stages(F.relu(self.bn(self.conv(x))))
        logits: Tensor = self.fc(out.mean(dim=(2, 3)))
        return logits


def resnet(
    widths: Sequence[int] = (16, 32, 64),
    blocks: Sequence[int] = (1, 1, 1),
    n_classes: int = 10,
    *,
    in_channels: int = 3,
    inner: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
) -> ResNet:
    """A :class:`ResNet` of any size; the default is small enough for a CPU.

    Args:
        widths: channels of every stage.
        blocks: basic blocks of every stage.
        n_classes: outputs.
        in_channels: channels of the images.
        inner: channels between the two convolutions of every block, in order; default: the stage's width.
        generator: source of the weights.

    Raises:
        ValueError: if ``widths`` and ``blocks`` differ in length or ``inner`` does not name every block.

    Example:
        >>> resnet()(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])

    References:
        He, Zhang, Ren, Sun (2016), "Deep Residual Learning for Image Recognition".

    Book: Experiments, "CIFAR-10 and ResNet-18".
    """
    return ResNet(widths, blocks, n_classes, in_channels=in_channels, inner=inner, generator=generator)


def resnet18(n_classes: int = 10, *, generator: torch.Generator | None = None) -> ResNet:
    """ResNet-18 with the stem for 32x32 images.

    Args:
        n_classes: outputs.
        generator: source of the weights.

    Example:
        >>> sum(p.numel() for p in resnet18().parameters())
        11173962

    References:
        Bungert et al. (2022), section 4.5, Table 3.

    Book: Experiments, "CIFAR-10 and ResNet-18".
    """
    return ResNet((64, 128, 256, 512), (2, 2, 2, 2), n_classes, generator=generator)
