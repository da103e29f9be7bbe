"""How hard the generated textures are: a linear model against a small ResNet.

    python benchmarks/textures.py                     # 4,000 images, 6 epochs
    python benchmarks/textures.py --size 1000 --epochs 3

The linear model is ridge regression on the pixels, with the strength that does best *on the test images*, which
flatters it. The ResNet is trained by AdamW with one cycle of the learning rate.
"""

import argparse
import time

import torch
from torch import Tensor
from torch.nn import functional as F

import bregtutorial as bt
from bregtutorial.data import ImageSet, Loader
from bregtutorial.tables import format_table

STRENGTHS = (1e2, 1e3, 1e4, 1e5)


def linear_accuracy(train: ImageSet, test: ImageSet) -> float:
    """Best test accuracy of ridge regression over STRENGTHS, solved in closed form in the space of the images."""
    a, labels = next(iter(Loader(train, len(train), shuffle=False)))
    b, truth = next(iter(Loader(test, len(test), shuffle=False)))
    a, b = (F.pad(x.flatten(1).double(), (0, 1), value=1.0) for x in (a, b))
    gram, cross, targets = a @ a.T, b @ a.T, F.one_hot(labels, len(train.classes)).double()
    factors = (torch.linalg.cholesky(gram + strength * torch.eye(len(a)).double()) for strength in STRENGTHS)
    return max(accuracy(cross @ torch.cholesky_solve(targets, factor), truth) for factor in factors)


def resnet_accuracy(
    train: ImageSet, test: ImageSet, epochs: int, widths: tuple[int, ...] = (16, 32, 64), batch_size: int = 128
) -> float:
    """Test accuracy of a small ResNet after some epochs."""
    model = bt.models.resnet(widths, generator=torch.Generator().manual_seed(0))
    batches = Loader(train, batch_size, drop_last=True, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=epochs * len(batches))
    for _ in range(epochs):
        for images, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
            cycle.step()
    model.eval()
    with torch.no_grad():
        scores = torch.cat([model(images) for images, _ in Loader(test, 500, shuffle=False)])
    return accuracy(scores, test.labels)


def accuracy(scores: Tensor, labels: Tensor) -> float:
    return (scores.argmax(dim=1) == labels).double().mean().item()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4000, help="training images")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of the ResNet")
    options = parser.parse_args(argv)
    train, test = bt.load_dataset("textures", size=options.size), bt.load_dataset("textures", "test", size=1000)
    rows = []
    for name, run in {
        "ridge regression": lambda: linear_accuracy(train, test),
        f"ResNet, {options.epochs} epochs": lambda: resnet_accuracy(train, test, options.epochs),
    }.items():
        start = time.perf_counter()
        score = run()
        rows.append((name, len(train), f"{score:.1%}", f"{time.perf_counter() - start:.0f}"))
    print(f"textures {train.fingerprint()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(format_table(["model", "training images", "test accuracy", "seconds"], rows))


if __name__ == "__main__":
    main()
