"""Files that are written whole or not at all, and that say so when they were damaged later.

A checkpoint is an ordinary file of ``torch.save``, which is a zip archive with a checksum (CRC-32) of every tensor.
``torch.load`` does not look at the checksums; :func:`load` does, so a flipped bit is an error and not a wrong weight.

Book: Frontiers, "Scaling out".
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["DamagedCheckpointError", "load", "save"]


class DamagedCheckpointError(RuntimeError):
    """A checkpoint was cut short or altered after it was written.

    Example:
        >>> print(DamagedCheckpointError("run.pt", "the checksum of data/0 does not agree"))
        run.pt is damaged: the checksum of data/0 does not agree

    Book: Frontiers, "Scaling out".
    """

    def __init__(self, path: str | os.PathLike[str], why: object) -> None:
        super().__init__(f"{path} is damaged: {why}")


def save(path: str | os.PathLike[str], state: Any) -> None:
    """Write ``state`` to a file whole or not at all: whatever happens, ``path`` holds its old content or the new.

    The bytes go to a temporary file in the same folder and onto the disk (fsync); then the file takes its name, which
    is one step for the file system.

    Args:
        path: the file; its folder must exist.
        state: tensors, numbers (also numpy's), strings, and lists, tuples and dicts of them.

    Raises:
        OSError: the disk is full, or the folder refuses; the error names the file, and an old one is still there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/run.pt", {"weights": torch.ones(2), "epoch": 3})
        ...     load(f"{folder}/run.pt")
        {'weights': tensor([1., 1.]), 'epoch': 3}

    Book: Frontiers, "Scaling out".
    """
    path, buffer = Path(path), io.BytesIO()
    # in memory first: what can fail below is the disk alone, and says so as an OSError
    torch.save(without_numpy(state), buffer)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        kept = f"; {path} is as it was" if path.exists() else ""
        raise OSError(error.errno, f"cannot write the checkpoint: {error.strerror}{kept}", str(path)) from error
    _sync_folder(path.parent)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a file of :func:`save` with ``weights_only=True``, after checking its checksums; tensors are on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedCheckpointError: the file was cut short or altered after it was written.
        pickle.UnpicklingError: it holds other objects than tensors, numbers, strings, and lists and dicts of them.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "run.pt")
        ...     save(path, torch.zeros(100))
        ...     _ = path.write_bytes(path.read_bytes()[:-1])
        ...     load(path)
        Traceback (most recent call last):
        bregtutorial.checkpoint.DamagedCheckpointError: ...run.pt is damaged: File is not a zip file

    Book: Frontiers, "Scaling out".
    """
    raw = io.BytesIO(Path(path).read_bytes())
    try:
        with zipfile.ZipFile(raw) as archive:
            broken = archive.testzip()
    except Exception as error:  # bytes without meaning raise nearly every kind of error
        raise DamagedCheckpointError(path, error) from error
    if broken is not None:
        raise DamagedCheckpointError(path, f"the checksum of {broken} does not agree")
    raw.seek(0)
    try:
        return torch.load(raw, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise  # whole, but it holds objects
    except Exception as error:  # the archive's own bookkeeping, which has no checksum
        raise DamagedCheckpointError(path, error) from error


def without_numpy(thing: Any) -> Any:
    """``thing`` with the numbers of numpy as Python's: torch would write them, and then refuse to read the file."""
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, dict):
        values = {key: without_numpy(value) for key, value in thing.items()}
        return values if any(values[key] is not thing[key] for key in thing) else thing
    if type(thing) in (list, tuple):
        parts = [without_numpy(part) for part in thing]
        return type(thing)(parts) if any(a is not b for a, b in zip(parts, thing, strict=True)) else thing
    return thing


def _sync_folder(folder: Path) -> None:
    """Put the new name itself on the disk, where that is possible; the file is there already."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # there are file systems that cannot
            os.fsync(handle)
    finally:
        os.close(handle)
