"""Keeps a run: checkpoints by the clock, the history line by line, and order when it is interrupted."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType

from bregtutorial import processes
from bregtutorial.training import folder as files
from bregtutorial.training.run import Row, Run

AGREE = 20  # steps after which several processes ask each other whether to save or to stop
PATIENCE = 5.0  # seconds after which they ask at the latest: torchrun kills them 30 seconds after a Ctrl-C


class Keeper:
    """The keeper of a run; without a folder it only sees to it that Ctrl-C ends the run between two steps.

    Args:
        run: what is kept.
        folder: where, or None.
        every: seconds from one checkpoint to the next.

    Raises:
        OSError: nothing can be written there.
        TypeError: what would be written could not be loaded.
    """

    def __init__(self, run: Run, folder: str | os.PathLike[str] | None, every: float) -> None:
        self.run, self.every = run, every
        self.folder = None if folder is None else Path(folder)
        self.mine = self.folder if processes.rank() == 0 else None  # only one process writes
        self.interrupted = self.cleared = False
        self._last = time.monotonic()
        self._meeting, self._met = (
            0,
            (0, 0.0),
        )  # step at which the processes ask each other; step and time when they did
        if self.mine is not None:
            files.require_writable(self.mine)
            for name, part in run.parts():
                files.require_loadable(name, part)

    def resume(self) -> None:
        """Go on from the newest checkpoint that is whole, if there is any.

        Raises:
            ValueError: it belongs to another run.
            DamagedCheckpointError: none is whole.
        """
        found = files.newest(self.mine) if self.mine is not None else (None, None)
        path, state = processes.tell(found) if self.folder is not None else found
        if state is not None:
            try:
                self.run.load_state_dict(state)
            except ValueError as error:
                raise ValueError(
                    f"{path} belongs to another run: {error}. Build model, data, optimizer and schedules as they were "
                    "at its start, or name another folder, or start again with resume=False"
                ) from error
        if self.mine is not None:  # rows that came after the checkpoint will come again
            files.write_history(self.mine, self.run.rows)

    def clear(self) -> None:
        """Remove what an earlier run has left in the folder."""
        self.cleared = True
        if self.mine is not None:
            files.clear(self.mine)

    def after_step(self) -> None:
        """Save if it is time, stop if somebody asked for it: at a moment when all weights have taken the same steps.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        if processes.world_size() == 1 or self.run.step >= self._meeting:
            self._act(can_save=self.run.resumable)

    def after_epoch(self, row: Row, *, last: bool) -> None:
        """Note the row, then as :meth:`after_step`; any batches can be resumed from here, and the end is always saved.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        if self.mine is not None:
            files.write_history(self.mine, [row], append=True)
        self._act(can_save=True, must_save=last)

    def _act(self, *, can_save: bool, must_save: bool = False) -> None:
        due, stop = time.monotonic() - self._last >= self.every, self.interrupted
        if processes.world_size() > 1:
            due, stop = self._agree(due, stop)
        if self.folder is not None and can_save and (due or stop or must_save):
            self.save()
        if stop:
            raise KeyboardInterrupt(f"training was stopped after step {self.run.step}")

    def _agree(self, due: bool, stop: bool) -> tuple[bool, bool]:
        """What any of the processes wants; and from their mean pace, which all know then, when they ask again."""
        step, now = self.run.step, time.monotonic()
        pace = (now - self._met[1]) / max(step - self._met[0], 1) / processes.world_size()
        saving, stopping, mean = processes.total([due, stop, pace])
        soon = step + max(int(PATIENCE / max(mean, 1e-9)), 1)
        self._met, self._meeting = (step, now), min(soon, step - step % AGREE + AGREE)
        return saving > 0, stopping > 0

    def save(self) -> None:
        """Write a checkpoint.

        Raises:
            RuntimeError: weights are not finite; the checkpoint before is worth more.
            OSError: it cannot be written.
        """
        state = self.run.state_dict()
        if bad := self.run.not_finite():
            raise RuntimeError(f"{bad} is not finite after step {self.run.step}, so no checkpoint was written")
        if self.mine is not None:
            files.save_step(self.mine, self.run.step, state)
        self._last = time.monotonic()

    def __enter__(self) -> Keeper:
        """Let Ctrl-C wait for the end of a step; a second one does not wait."""
        self._met = self.run.step, time.monotonic()
        ours = signal.getsignal(signal.SIGINT) is not None  # else it is not Python's, and could not be put back
        self._handles = ours and threading.current_thread() is threading.main_thread()
        if self._handles:
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Tell whoever ended the run how it can go on."""
        if self._handles:
            signal.signal(signal.SIGINT, self._before)
        kept = files.saved(self.folder) if self.folder is not None else []
        if error is not None and kept:
            how = "with resume=True and else the same arguments" if self.cleared else "with the same arguments"
            error.add_note(f"The run is kept in {kept[0]}: {how}, fit goes on from there.")
