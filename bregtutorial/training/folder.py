"""The folder of a run: checkpoints named by their step, of which the newest two stay, and the history."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from bregtutorial.checkpoint import DamagedCheckpointError, load, save, without_numpy
from bregtutorial.training.identity import differences

KEPT = 2  # if the newest is damaged, there is one before it


def saved(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    numbered = {path: path.stem.removeprefix("step-") for path in folder.glob("step-*.pt")}
    return sorted((path for path, step in numbered.items() if step.isdecimal()), reverse=True)  # not somebody's copies


def save_step(folder: Path, step: int, state: Any) -> None:
    """Write a checkpoint, then remove all but the newest two.

    Raises:
        OSError: it cannot be written; those before are still there.
    """
    save(folder / f"step-{step:09d}.pt", state)
    for old in saved(folder)[KEPT:]:
        with contextlib.suppress(OSError):  # somebody reads it, or it is gone; the next save tries again
            old.unlink()


def newest(folder: Path) -> tuple[Path, Any] | tuple[None, None]:
    """The newest checkpoint that is whole, and its content; nothing if there is none at all.

    A damaged one before it is put aside as ``*.damaged``, with a warning that names both.

    Raises:
        DamagedCheckpointError: there are some, and none is whole.
    """
    damaged: list[tuple[Path, DamagedCheckpointError]] = []
    for path in saved(folder):
        try:
            state = load(path)
        except DamagedCheckpointError as error:
            damaged.append((path, error))
            continue
        for bad, why in damaged:
            bad.replace(bad.with_suffix(".damaged"))
            warnings.warn(f"{why}; it is now called *.damaged, and the run goes on from {path}", stacklevel=2)
        return path, state
    if damaged:
        damaged[0][1].add_note("No checkpoint in the folder is whole. Start again with resume=False.")
        raise damaged[0][1]
    return None, None


def clear(folder: Path) -> None:
    """Remove the checkpoints and the history of an earlier run."""
    for path in (*saved(folder), folder / "history.jsonl"):
        path.unlink(missing_ok=True)


def claim(folder: Path, facts: Mapping[str, Any], *, anew: bool = False) -> None:
    """Note in ``run.json`` whose checkpoints a folder holds, or refuse it to another run; ``anew`` begins it again.

    Raises:
        ValueError: the checkpoints are those of another run.
        OSError: nothing can be written there.
    """
    note, ours = folder / "run.json", json.loads(json.dumps(facts))
    if not anew and note.is_file():
        found = [*differences(json.loads(note.read_text("utf8")), ours)]
        if found:
            raise ValueError(
                f"{folder} belongs to another run: {'; '.join(found[:3])}. Name another folder, or start again with "
                "resume=False"
            )
        return
    require_writable(folder)
    note.with_suffix(".tmp").write_text(json.dumps(ours, indent=1) + "\n", "utf8")
    os.replace(note.with_suffix(".tmp"), note)


def write_history(folder: Path, rows: Iterable[Mapping[str, float]], *, append: bool = False) -> None:
    """Write one line a row."""
    with (folder / "history.jsonl").open("a" if append else "w", encoding="utf8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def require_writable(folder: Path) -> None:
    """Make a folder if need be, remove what a kill left half-written, find out now whether files can be written.

    Raises:
        OSError: they cannot; the error names the folder.
    """
    probe = folder / "step-.pt.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"?")
        for leftover in folder.glob("step-*.pt.tmp"):
            leftover.unlink()
    except OSError as error:
        raise OSError(error.errno, f"no checkpoint can be written here: {error.strerror}", str(folder)) from error


def require_loadable(name: str, thing: Any) -> None:
    """Find out now whether what will be saved can be loaded.

    Raises:
        TypeError: the state holds objects.
    """
    file = io.BytesIO()
    try:
        torch.save(without_numpy(thing.state_dict()), file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except (pickle.PickleError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{name} must have a state_dict() of tensors, numbers, strings, and lists and dicts of them, and that of "
            f"{type(thing).__name__} could be written, but not read safely: {error}"
        ) from error
