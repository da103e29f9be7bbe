"""The public data sets that torchvision downloads and checks, with one clear message where that is not possible."""

from __future__ import annotations

import contextlib
import http.client
import importlib
import math
import os
import shutil
import socket
import tarfile
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bregtutorial.data.imageset import ImageSet

TIMEOUT = 30.0  # seconds that a silent host may take; the standard library would wait for ever


@dataclass(frozen=True)
class Download:
    """A data set of torchvision: its class, the folder of its files, megabytes to fetch, what to take offline."""

    kind: str
    folder: str
    megabytes: float
    instead: str


DOWNLOADS = {
    "mnist": Download("MNIST", "MNIST/raw", 11.6, "digits"),
    "fashion-mnist": Download("FashionMNIST", "FashionMNIST/raw", 30.9, "digits"),
    "cifar10": Download("CIFAR10", "", 170.5, "textures"),
}


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the data: the argument, else the variable ``BREGTUTORIAL_DATA``, else the user's cache.

    Example:
        >>> data_root("/data").as_posix()
        '/data'
    """
    if root is not None:
        return Path(root).expanduser()
    if chosen := os.environ.get("BREGTUTORIAL_DATA"):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(cache) / "bregtutorial"


def read_download(name: str, split: str, root: Path, tier: str) -> ImageSet:
    """Return a public data set, which is downloaded on first use unless the tier is quick.

    Args:
        name: a key of ``DOWNLOADS``.
        split: ``"train"`` or ``"test"``.
        root: folder of the data; only whole, checked files ever appear in it.
        tier: ``"quick"`` downloads nothing.

    Raises:
        FileNotFoundError: the files are not there and the tier is quick.
        ConnectionError: the download failed.
        OSError: the folder cannot be written.
    """
    if not is_whole(name, root):
        _fetch(name, root, tier)
    train = _read(name, "train", root)
    return train if split == "train" else replace(_read(name, "test", root), mean=train.mean, std=train.std)


def is_whole(name: str, root: Path) -> bool:
    """Return whether all unpacked files are there, in the length that they state (MNIST) or with their checksum."""
    kind, folder = _torchvision(name), root / DOWNLOADS[name].folder
    if name == "cifar10":
        check = importlib.import_module("torchvision.datasets.utils").check_integrity
        files = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
        return all(check(folder / kind.base_folder / file, md5) for file, md5 in files)
    return all(_states_its_length(folder / Path(file).stem) for file, _ in kind.resources)


def _states_its_length(path: Path) -> bool:
    """An IDX file begins with its shape, so that a torso gives itself away."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(16)
    n_dims = head[3] if len(head) > 3 else 4
    if len(head) < 4 + 4 * n_dims:
        return False
    dims = [int.from_bytes(head[4 * i : 4 * i + 4], "big") for i in range(1, 1 + n_dims)]
    return path.stat().st_size == 4 + 4 * n_dims + math.prod(dims)


def _read(name: str, split: str, root: Path) -> ImageSet:
    dataset = _construct(name, root, split, download=False)
    images = torch.as_tensor(dataset.data)
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    labels: Tensor = torch.as_tensor(dataset.targets, dtype=torch.int64)
    classes = tuple("0123456789") if name == "mnist" else tuple(dataset.classes)
    source = f"torchvision.datasets.{DOWNLOADS[name].kind}"
    return ImageSet(images.contiguous(), labels, classes, name, split=split, source=source)


def _fetch(name: str, root: Path, tier: str) -> None:
    """Let torchvision download and unpack in a folder of its own, then move file by file to the place of the data."""
    download = DOWNLOADS[name]
    archives, urls = _archives(name)
    check = importlib.import_module("torchvision.datasets.utils").check_integrity
    here = [file for file, md5 in archives if check(root / download.folder / file, md5)]
    if tier == "quick" and len(here) < len(archives):
        raise FileNotFoundError(
            f"load_dataset({name!r}): {root} does not hold the data set, and the quick tier downloads nothing.\n"
            f"{_ways_out(name, root)}\n  or let tier='colab' download {download.megabytes} MB once"
        )
    with _stage(name, root) as stage:
        for file in here:
            _place(root / download.folder / file, root, Path(stage), shutil.copyfile)
        try:
            with _careful():
                _construct(name, stage, "train", download=True)
        except (RuntimeError, OSError, EOFError, http.client.HTTPException, tarfile.TarError) as error:
            raise ConnectionError(
                f"load_dataset({name!r}) could not download {download.megabytes} MB.\nTried {', '.join(urls)}\n"
                f"and got: {' '.join(str(error).split()) or type(error).__name__}\n{_ways_out(name, root)}"
            ) from None
        for path in [p for p in Path(stage).rglob("*") if p.is_file() and p.name not in dict(archives)]:
            _place(path, Path(stage), root, os.replace)


def _stage(name: str, root: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder inside that of the data, so that a finished file moves to its place in one step."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="incomplete-", dir=root)
    except OSError as error:
        why = f"load_dataset({name!r}) cannot write here: {error.strerror}; name another folder by root="
        raise OSError(error.errno, f"{why} or BREGTUTORIAL_DATA", str(root)) from error


def _place(path: Path, old: Path, new: Path, how: Callable[[Path, Path], object]) -> None:
    target = new / path.relative_to(old)
    target.parent.mkdir(parents=True, exist_ok=True)
    how(path, target)


def _ways_out(name: str, root: Path) -> str:
    archives, _ = _archives(name)
    files = "\n    ".join(str(root / DOWNLOADS[name].folder / file) for file, _ in archives)
    return (
        f"Ways out: put the original files here (any folder will do, as root= or BREGTUTORIAL_DATA)\n    {files}\n"
        f"  or take load_dataset({DOWNLOADS[name].instead!r}), which needs no network"
    )


def _archives(name: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Return file name and checksum of every archive, and the addresses to fetch them from."""
    kind = _torchvision(name)
    if name == "cifar10":
        return [(kind.filename, kind.tgz_md5)], [kind.url]
    return list(kind.resources), list(kind.mirrors)


def _construct(name: str, root: str | Path, split: str, *, download: bool) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"dtype\(\): align")  # numpy 2.4.0 to 2.4.4, on CIFAR's pickles of Python 2
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # tarfile of Python 3.12 and 3.13
        return _torchvision(name)(root, train=split == "train", download=download)


def _torchvision(name: str) -> Any:
    return getattr(importlib.import_module("torchvision.datasets"), DOWNLOADS[name].kind)


@contextlib.contextmanager
def _careful() -> Iterator[None]:
    """Bound the waiting for a silent host, and keep what an archive holds inside its folder; torchvision does not."""
    before, archive = socket.getdefaulttimeout(), vars(tarfile.TarFile).get("extraction_filter")
    socket.setdefaulttimeout(TIMEOUT)
    if hasattr(tarfile, "data_filter"):  # Python 3.11.4
        tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
        tarfile.TarFile.extraction_filter = archive
