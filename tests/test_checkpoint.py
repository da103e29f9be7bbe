"""A checkpoint is written whole or not at all, and what was damaged later is never loaded."""

from __future__ import annotations

import errno
import os
import pickle
import random
import stat
from pathlib import Path
from typing import Any

import pytest
import torch

from bregtutorial import checkpoint
from bregtutorial.checkpoint import DamagedCheckpointError

STATE = {"weights": torch.linspace(-1, 1, 50), "rows": [{"epoch": 1, "lr": 0.1}], "name": "run", "none": None}


def same(state: Any) -> bool:
    rest = {k: v for k, v in state.items() if k != "weights"}
    return torch.equal(state["weights"], STATE["weights"]) and rest == {
        k: v for k, v in STATE.items() if k != "weights"
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "run.pt", STATE)
    return tmp_path / "run.pt"


def test_what_is_saved_is_loaded(path: Path) -> None:
    assert same(checkpoint.load(path))
    assert same(torch.load(path, weights_only=True))  # an ordinary file
    assert [p.name for p in path.parent.iterdir()] == ["run.pt"]
    checkpoint.save(path, {"other": 1})
    assert checkpoint.load(str(path)) == {"other": 1}


def test_tensors_come_to_the_cpu(path: Path) -> None:
    checkpoint.save(path, torch.ones(2, device="meta" if not torch.cuda.is_available() else "cuda"))
    if torch.cuda.is_available():
        assert checkpoint.load(path).device.type == "cpu"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99, 0.999])
def test_a_file_that_was_cut_short_is_refused(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DamagedCheckpointError, match=r"run\.pt is damaged: "):
        checkpoint.load(path)


def test_no_flipped_bit_reaches_a_weight(path: Path) -> None:
    """In every byte one: it is found, or it lies in the padding. torch.load alone would pass some of them on."""
    whole, dice = path.read_bytes(), random.Random(0)
    refused = missed = 0
    for i in range(0, len(whole), 3):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ (1 << dice.randrange(8))]) + whole[i + 1 :])
        try:
            assert same(checkpoint.load(path))
        except DamagedCheckpointError:
            refused += 1
            missed += loads_something_else(path)
    assert refused > 0.1 * len(whole)
    assert missed > 0  # else the checksums would be superfluous


@pytest.mark.filterwarnings("ignore")
def loads_something_else(path: Path) -> bool:
    try:
        return not same(torch.load(path, weights_only=True))
    except Exception:
        return False


def test_objects_are_not_loaded(path: Path) -> None:
    torch.save({"object": Path()}, path)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        checkpoint.load(path)


def test_a_missing_file_is_no_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "none.pt")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_on_a_full_disk_the_error_names_the_file_and_the_old_one_stays(path: Path) -> None:
    path.with_name("run.pt.tmp").symlink_to("/dev/full")  # where the new one is about to be written
    with pytest.raises(OSError, match=rf"No space left on device; .*is as it was: '{path}'") as caught:
        checkpoint.save(path, {"new": torch.zeros(1000)})
    assert caught.value.errno == errno.ENOSPC
    assert same(checkpoint.load(path))
    assert [p.name for p in path.parent.iterdir()] == ["run.pt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_whatever_call_fails_the_old_file_stays(path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="cannot write the checkpoint: Input/output error"):
        checkpoint.save(path, {"new": 1})
    assert same(checkpoint.load(path))
    assert [p.name for p in path.parent.iterdir()] == ["run.pt"]


def test_the_bytes_are_on_the_disk_before_the_name_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut can leave the new name with an empty file behind it."""
    calls: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        calls.append(("fsync", os.readlink(f"/proc/self/fd/{handle}") if os.path.isdir("/proc/self/fd") else ""))
        fsync(handle)

    def noted_replace(source: Path, target: Path) -> None:
        calls.append(("replace", str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    checkpoint.save(path, {"new": 1})
    assert [name for name, _ in calls] == ["fsync", "replace", "fsync"]
    if calls[0][1]:
        assert [place for _, place in calls] == [f"{path}.tmp", str(path), str(path.parent)]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot write the checkpoint: No such file .*none/run\.pt"):
        checkpoint.save(tmp_path / "none" / "run.pt", STATE)


def test_where_a_folder_cannot_be_put_on_the_disk_the_file_still_counts(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse_folders(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    checkpoint.save(path, {"new": 1})
    assert checkpoint.load(path) == {"new": 1}
