"""What the training loop and its data cost beside a bare loop, on a small ResNet: one epoch of each, in turns.

    python benchmarks/training_loop.py

The bare loop finds its batches ready in memory and measures nothing. ``fit`` draws, gathers and normalises its batches,
counts loss, accuracy and density, and looks at the clock after every step: the target is 1.05 times the bare loop.
The last two rows augment the images, ``fit`` a batch at a time and torchvision one by one, as most tutorials do.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import _harness
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import bregtutorial as bt
from bregtutorial.data import ImageSet, Loader

COLUMNS = {"loop": "", "ms": ".0f", "ratio": ".3f"}


class Pictures(Dataset[tuple[Any, int]]):
    """The images one by one, through torchvision's transforms."""

    def __init__(self, data: ImageSet) -> None:
        from torchvision import transforms as t

        self.data, self.to_picture = data, t.ToPILImage()
        self.change = t.Compose(
            [t.RandomCrop(32, padding=4), t.RandomHorizontalFlip(), t.ToTensor(), t.Normalize(data.mean, data.std)]
        )

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return self.change(self.to_picture(self.data.images[i])), int(self.data.labels[i])


def start() -> tuple[torch.nn.Module, bt.LinBreg]:
    model = bt.models.resnet(generator=torch.Generator().manual_seed(0))
    bt.sparse_init_(model, density=0.2, generator=torch.Generator().manual_seed(0))
    return model, bt.LinBreg(bt.parameter_groups(model, lam=0.1), lr=0.01, momentum=0.9)


def bare(batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> Callable[[], None]:
    model, optimizer = start()

    def epoch() -> None:
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    return epoch


def fit(batches: Any) -> Callable[[], Any]:
    model, optimizer = start()
    return lambda: bt.fit(model, optimizer, batches, epochs=1)


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(__doc__, argv, size=512, batch_size=64)
    data, n = bt.load_dataset("textures", size=options.size), options.batch_size
    loops = {
        "bare loop, batches ready": bare([*Loader(data, n)]),
        "fit, batches ready": fit([*Loader(data, n)]),
        "fit, Loader": fit(Loader(data, n)),
        "fit, Loader, crops and flips": fit(Loader(data, n, augment="crop-flip")),
        "bare loop, DataLoader and torchvision, crops and flips": bare(DataLoader(Pictures(data), n, shuffle=True)),
    }
    rows = _harness.compare(loops, rounds=options.rounds, label="loop")
    _harness.record("training_loop", {"main": (COLUMNS, rows)}, images=len(data), batch_size=n)


if __name__ == "__main__":
    main()
