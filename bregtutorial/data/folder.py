"""The reader's own images: a folder for each class."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bregtutorial.data.imageset import ImageSet
from bregtutorial.data.splits import train_test_rows

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
LAYOUT = "root/train/<class>/<image> and root/test/<class>/<image>, or root/<class>/<image>"

Listing = list[tuple[Path, int]]
# Mean and deviation of training images that were read before: reading them again for the test images takes long.
_constants: dict[tuple[object, ...], tuple[tuple[float, ...], tuple[float, ...]]] = {}


def read_folder(split: str, root: Path, seed: int, image_size: int, grey: bool) -> ImageSet:
    """Read the images below ``root``, cut to the central square and resized.

    Args:
        split: ``"train"`` or ``"test"``.
        root: holds ``train`` and ``test`` with a folder for each class, or the folders of the classes; then 80 % of
            each class are for training, chosen by ``seed`` from the sorted names.
        seed: of that choice.
        image_size: side of the squares, in pixels.
        grey: one channel of brightness in place of red, green and blue.

    Raises:
        FileNotFoundError: there is no such folder or no image in it.
        ValueError: a file is no readable image, or a class of the test images is not among those for training.
    """
    if image_size < 1:
        raise ValueError(f"image_size must be at least 1 pixel, got {image_size}")
    key = (root.resolve(), seed, image_size, grey)
    if split == "train" or key not in _constants:
        train = _read("train", root, seed, image_size, grey)
        _constants[key] = train.mean, train.std
        if split == "train":
            return train
    mean, std = _constants[key]
    return replace(_read("test", root, seed, image_size, grey), mean=mean, std=std)


def _read(split: str, root: Path, seed: int, image_size: int, grey: bool) -> ImageSet:
    listing, classes = list_images(root, split, seed)
    channels = 1 if grey else 3
    images = torch.empty(len(listing), image_size, image_size, channels, dtype=torch.uint8)
    for i, (path, _) in enumerate(listing):
        images[i] = torch.from_numpy(_open(path, image_size, grey)).view(image_size, image_size, channels)
    labels = torch.tensor([label for _, label in listing], dtype=torch.int64)
    name = f"folder:{root.resolve().name}"
    images = images.permute(0, 3, 1, 2).contiguous()
    return ImageSet(images, labels, classes, name, split=split, source=f"images below {root}")


def list_images(root: Path, split: str, seed: int) -> tuple[Listing, tuple[str, ...]]:
    """Return paths with labels, and the sorted names of the classes."""
    if not root.is_dir():
        raise FileNotFoundError(f"root={str(root)!r} is no folder; load_dataset('folder') reads {LAYOUT}")
    if not ((root / "train").is_dir() or (root / "test").is_dir()):
        listing, classes = _list_classes(root)
        rows = train_test_rows(np.array([label for _, label in listing]), split, "folder", seed)
        if not len(rows):
            raise FileNotFoundError(f"{root}: no class has the 3 images that it takes to split off a test part")
        return [listing[i] for i in rows], classes
    listing, classes = _list_classes(root / "train")
    if split == "train":
        return listing, classes
    listing, names = _list_classes(root / "test")
    if unknown := sorted(set(names) - set(classes)):
        raise ValueError(f"{root / 'test'} has the classes {unknown}, which {root / 'train'} has not")
    return [(path, classes.index(names[label])) for path, label in listing], classes


def _list_classes(folder: Path) -> tuple[Listing, tuple[str, ...]]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is missing; load_dataset('folder') reads {LAYOUT}")
    classes = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")))
    listing: Listing = []
    for label, name in enumerate(classes):
        paths = sorted((p for p in (folder / name).iterdir() if _is_image(p)), key=lambda p: p.name)
        if not paths:
            raise FileNotFoundError(f"{folder / name} holds no image ({', '.join(ENDINGS)})")
        listing += [(path, label) for path in paths]
    if not classes:
        raise FileNotFoundError(f"{folder} holds no folder of a class; load_dataset('folder') reads {LAYOUT}")
    return listing, classes


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def _eight_bits(image: Any) -> Any:
    """The image itself, or one of 16 bits with 8 of them: pillow would make everything above 255 white."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose white is not known")
    if not image.mode.startswith("I"):
        return image
    return importlib.import_module("PIL.Image").fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))


def _open(path: Path, image_size: int, grey: bool) -> npt.NDArray[np.uint8]:
    pil, ops = importlib.import_module("PIL.Image"), importlib.import_module("PIL.ImageOps")
    try:
        with pil.open(path) as image:
            upright = _eight_bits(ops.exif_transpose(image)).convert("L" if grey else "RGB")
            side, (width, height) = min(upright.size), upright.size
            left, top = (width - side) // 2, (height - side) // 2
            square = upright.crop((left, top, left + side, top + side))
            return np.array(square.resize((image_size, image_size), pil.Resampling.BILINEAR))
    except (
        OSError,
        SyntaxError,
        ValueError,
        pil.DecompressionBombError,
    ) as error:  # pillow says "broken PNG" by a SyntaxError
        raise ValueError(f"{path} is no readable image ({error}); repair it or take it away") from error
