"""Four processes and sets that four does not divide; and the death of the first, through which the others meet."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training_distributed import smooth
from torch import distributed
from training_runs import images, linbreg, without_time

import bregtutorial as bt

WORLD, IMAGES = 4, 75  # 9 batches of 8, and 3 images left over: one for each process but the last
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.skipif(
        not (distributed.is_available() and distributed.is_gloo_available()), reason="this build of torch has no gloo"
    ),
]
SCRIPT = """
    import os, sys, time
    sys.path.insert(0, {tests!r})
    import torch
    torch.set_num_threads(1)
    import bregtutorial as bt
    from test_training_four import WORLD, learn
    from training_runs import Hook

    def process(rank):
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(WORLD))
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT={port!r})
        found, last = {{}}, [0.0]
        try:
            with bt.distributed("cpu", timeout=30) as here:
                try:
                    learn(here, drop_last=False)
                except ValueError as error:
                    found["refused"] = str(error)
                found["learned"] = learn(here)

                def die(step):
                    last[0] = time.monotonic()
                    if rank == 0 and step == 5:
                        os._exit(3)

                learn(here, schedules=[Hook(die)])
        except RuntimeError as error:
            found["error"] = str(error)
            found["seconds"] = time.monotonic() - last[0]
            torch.save(found, f"{folder}/{{rank}}.pt")

    pids = []
    for rank in range(WORLD):
        pids.append(os.fork())
        if pids[-1] == 0:
            try:
                process(rank)
            finally:
                os._exit(0)
    print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
"""


def learn(here: bt.processes.Process, *, drop_last: bool = True, schedules: Any = ()) -> Any:
    """Two epochs; the 21 test images are no multiple of anything here."""
    model = smooth(here)
    share = {"batch_size": 8 // here.world_size, "rank": here.rank, "world_size": here.world_size}
    train = bt.data.Loader(images(IMAGES), seed=3, drop_last=drop_last, **share)
    test = bt.data.Loader(images(21, seed=1), shuffle=False, **share)
    rows = bt.fit(model, linbreg(model, momentum=0.9), train, test=test, epochs=2, schedules=schedules)
    return {name: p.detach() for name, p in model.named_parameters()}, without_time(rows)


@pytest.fixture(scope="module")
def survivors(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("four")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    script = textwrap.dedent(SCRIPT).format(tests=str(Path(__file__).parent), folder=folder, port=port)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=280)
    assert done.stdout.strip() == "[3, 0, 0, 0]", done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(1, WORLD)]


def test_an_uneven_last_batch_is_refused_by_all_before_training(survivors: list[dict[str, Any]]) -> None:
    message = "the processes must take equally many steps, got [10, 10, 10, 9] batches: use drop_last=True"
    assert [found["refused"] for found in survivors] == [message] * 3


def test_four_processes_are_one_with_the_whole_batch(survivors: list[dict[str, Any]]) -> None:
    with bt.distributed("cpu") as here:
        weights, rows = learn(here)
    for found in survivors:
        for name, w in weights.items():
            torch.testing.assert_close(found["learned"][0][name], w, rtol=1e-4, atol=1e-6)
        for row, expected in zip(found["learned"][1], rows, strict=True):
            assert row == pytest.approx(expected, rel=1e-5)


def test_when_the_first_process_dies_all_others_end_with_an_error_in_time(survivors: list[dict[str, Any]]) -> None:
    for found in survivors:
        assert found["error"]
        assert found["seconds"] < 60
