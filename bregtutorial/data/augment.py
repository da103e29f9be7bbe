"""Random crops and flips of a whole batch at once, exact on 8-bit pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bregtutorial.data._random import bits

PAD = 4
AUGMENTS = ("crop", "flip", "crop-flip")


def draw(n: int, augment: str, seed: int, epoch: int) -> Tensor:
    """Draw what happens to each of ``n`` images in an epoch: int64 ``(n, 3)`` with the columns down, right and flip.

    An image's row depends on ``seed``, ``epoch`` and its place in the data set, not on batches or processes.

    Example:
        >>> draw(3, "flip", seed=0, epoch=0)[:, :2].tolist()
        [[4, 4], [4, 4], [4, 4]]
    """
    raw = bits(n, "augment", seed, epoch)
    steps = 2 * PAD + 1
    columns = [torch.full((n,), PAD), torch.full((n,), PAD), torch.zeros(n, dtype=torch.int64)]
    if "crop" in augment:
        columns[0] = torch.from_numpy(((raw >> 1) % steps).astype("int64"))
        columns[1] = torch.from_numpy(((raw >> 32) % steps).astype("int64"))
    if "flip" in augment:
        columns[2] = torch.from_numpy((raw & 1).astype("int64"))
    return torch.stack(columns, dim=1)


def crop_flip(images: Tensor, moves: Tensor) -> Tensor:
    """Pad with 4 zeros a side, cut the old size out at ``(down, right)``, and mirror where ``flip`` is 1.

    Args:
        images: ``(B, C, H, W)``, any dtype.
        moves: int64 ``(B, 3)``: ``down`` and ``right`` in ``0 .. 8``, where 4 is the old place, and ``flip``.

    Example:
        >>> image = torch.tensor([[[[1, 2, 3]]]])
        >>> crop_flip(image, torch.tensor([[4, 5, 0]])), crop_flip(image, torch.tensor([[4, 4, 1]]))
        (tensor([[[[2, 3, 0]]]]), tensor([[[[3, 2, 1]]]]))

    References:
        He, Zhang, Ren, Sun (2016), "Deep Residual Learning for Image Recognition", section 4.2.
    """
    b, c, h, w = images.shape
    down, right, flip = moves[:, :, None].unbind(1)
    rows = down + torch.arange(h, device=images.device)
    columns = torch.arange(w, device=images.device)
    columns = right + torch.where(flip == 1, columns.flip(0), columns)
    places = rows[:, :, None] * (w + 2 * PAD) + columns[:, None, :]
    padded = F.pad(images, (PAD, PAD, PAD, PAD))
    return padded.flatten(2).gather(2, places.reshape(b, 1, h * w).expand(b, c, h * w)).reshape(b, c, h, w)
