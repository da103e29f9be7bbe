"""Keeps a run in a folder: checkpoints by the clock, the history line by line, and order when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import warnings
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch

from bregtutorial import processes
from bregtutorial.checkpoint import DamagedCheckpointError, load, save
from bregtutorial.training.run import Row, Run

KEPT = 2  # checkpoints in a folder: if the newest is damaged, there is one before it
AGREE = 20  # steps after which several processes ask each other whether to save or to stop


class Keeper:
    """The folder of a run; without one it keeps nothing and only ends an interrupted run between two steps.

    Args:
        run: what is kept.
        folder: where, or None.
        every: seconds from one checkpoint to the next.
    """

    def __init__(self, run: Run, folder: str | os.PathLike[str] | None, every: float) -> None:
        self.run, self.every = run, every
        self.folder = None if folder is None else Path(folder)
        self.interrupted = False
        self._last = time.monotonic()
        if self.folder is not None and processes.rank() == 0:
            require_writable(self.folder)

    def resume(self) -> None:
        """Go on from the newest checkpoint that is whole, if there is any.

        Raises:
            ValueError: it belongs to another run.
            DamagedCheckpointError: none is whole.
        """
        if self.folder is None:
            return
        path, state = processes.share(newest(self.folder) if processes.rank() == 0 else None)
        if path is None:
            return
        try:
            self.run.load_state_dict(state)
        except ValueError as error:
            raise ValueError(
                f"{path} belongs to another run: {error}. Build model, data, optimizer and schedules as they were at "
                "its start, or name another folder, or start again with resume=False"
            ) from error

    def clear(self) -> None:
        """Remove the checkpoints and the history of an earlier run."""
        if self.folder is not None and processes.rank() == 0:
            for path in (*saved(self.folder), self.folder / "history.jsonl"):
                path.unlink(missing_ok=True)

    def write_history(self) -> None:
        """Write the rows that there are, in place of later ones that the checkpoint does not know."""
        if self.folder is not None and processes.rank() == 0:
            text = "".join(json.dumps(row) + "\n" for row in self.run.rows)
            (self.folder / "history.jsonl").write_text(text, "utf8")

    def add_to_history(self, row: Row) -> None:
        """Append one row."""
        if self.folder is not None and processes.rank() == 0:
            with (self.folder / "history.jsonl").open("a", encoding="utf8") as file:
                file.write(json.dumps(row) + "\n")

    def after_step(self) -> None:
        """Save if it is time, stop if somebody asked for it: at a moment when all weights have taken the same steps.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        if processes.world_size() == 1 or self.run.step % AGREE == 0:
            self._act(self.run.resumable)

    def after_epoch(self, last: bool) -> None:
        """As :meth:`after_step`, but every kind of batches can be resumed here; and the end of a run is always saved.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        self._act(True, last)

    def _act(self, can_save: bool, must_save: bool = False) -> None:
        due = time.monotonic() - self._last >= self.every
        due, stop = (n > 0 for n in processes.total([due, self.interrupted]))
        if self.folder is not None and can_save and (due or stop or must_save):
            self.save()
        if stop:
            raise KeyboardInterrupt

    def save(self) -> None:
        """Write a checkpoint, then remove all but the newest two.

        Raises:
            RuntimeError: weights are not finite; the checkpoints before are worth more.
            OSError: it cannot be written.
        """
        state = self.run.state_dict()
        for name, p in self.run.take.model.named_parameters():
            if not torch.isfinite(p).all():
                raise RuntimeError(f"{name} is not finite after step {self.run.step}, so no checkpoint was written")
        if processes.rank() == 0 and self.folder is not None:
            save(self.folder / f"step-{self.run.step:09d}.pt", state)
            for old in saved(self.folder)[KEPT:]:
                old.unlink()
        self._last = time.monotonic()

    def __enter__(self) -> Keeper:
        """Let Ctrl-C wait for the end of a step; a second one does not wait."""
        self._before: Any = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Tell whoever ended the run how it can go on."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        kept = [] if self.folder is None else saved(self.folder)
        if error is not None and kept:
            error.add_note(f"The run is kept in {kept[0]}; call fit with the same arguments to go on from there.")


def saved(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    return sorted(folder.glob("step-*.pt"), reverse=True)


def newest(folder: Path) -> tuple[Path, Any] | tuple[None, None]:
    """The newest checkpoint that is whole, and its content; nothing if there is none at all.

    Raises:
        DamagedCheckpointError: there are some, and none is whole.
    """
    found, problem = saved(folder), None
    for path in found:
        try:
            state = load(path)
        except DamagedCheckpointError as error:
            problem = error
            continue
        if problem is not None:
            warnings.warn(f"{problem}; going on from {path}", stacklevel=2)
        return path, state
    if problem is not None:
        raise DamagedCheckpointError(f"{problem}, and no other is whole. Start again with resume=False") from problem
    return None, None


def require_writable(folder: Path) -> None:
    """Make a folder if need be, and find out now whether files can be written there.

    Raises:
        OSError: they cannot; the error names the folder.
    """
    probe = folder / ".writable.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"?")
        probe.unlink()
    except OSError as error:
        raise OSError(error.errno, f"no checkpoint can be written here: {error.strerror}", str(folder)) from error
