"""Two processes that share every batch are one: the same weights, one history, one writer; and no death goes unnoticed.

The processes are started by torchrun and run this file as a script.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import lr_scheduler
from training_runs import Hook, assert_same, images, linbreg, network, state_of, without_time

import bregtutorial as bt
from bregtutorial import processes
from bregtutorial.training import keeper

HERE = Path(__file__).resolve()
TOGETHER, IMAGES, EPOCHS = 8, 75, 4  # 9 batches of 8 for training, and 3 images left over
pytestmark = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this build of torch has no gloo"
)
Result = tuple[dict[str, Any], list[dict[str, float]]]


def smooth(here: bt.processes.Process) -> nn.Module:
    """A network whose loss is a mean over the images of a batch, without batch normalisation and dropout."""
    generator = torch.Generator().manual_seed(0)
    model = bt.models.mlp((16, 24, 24, 3), generator=generator)
    bt.sparse_init_(model, density=0.5, groups="rows", generator=generator)
    if here.rank > 0:  # whatever the other processes start from, it is the first that counts
        nn.init.zeros_(model[1].weight)
    return model


def loaders(here: bt.processes.Process) -> dict[str, Any]:
    share = {"batch_size": TOGETHER // here.world_size, "rank": here.rank, "world_size": here.world_size}
    train = bt.data.Loader(images(IMAGES), seed=3, drop_last=True, **share)
    return {"train": train, "test": bt.data.Loader(images(21, seed=1), shuffle=False, **share), "epochs": EPOCHS}


def with_momentum(here: bt.processes.Process, folder: Path) -> Result:
    model = smooth(here)
    opt = linbreg(model, momentum=0.9)
    schedules = [lr_scheduler.OneCycleLR(opt, 0.2, total_steps=40), lr_scheduler.ReduceLROnPlateau(opt, patience=0)]
    wrapped = DistributedDataParallel(model) if here.world_size > 1 and folder.name == "wrapped" else model
    if wrapped is not model:
        with pytest.raises(ValueError, match="compile needs the network itself, got a DistributedDataParallel"):
            bt.fit(wrapped, opt, **loaders(here), compile=True)
    options = {"clip": 0.5, "schedules": schedules, "checkpoint": folder, "checkpoint_every": 0.0}
    rows = bt.fit(wrapped, opt, **loaders(here), **options)
    return state_of(model, opt), without_time(rows)


def with_levels(here: bt.processes.Process, folder: Path) -> Result:
    model = smooth(here)
    opt = bt.Multilevel(model, bt.LinBreg(bt.parameter_groups(model, 0.05, bt.GroupL2("rows")), lr=0.1), coarse_steps=4)
    rows = bt.fit(model, opt, **loaders(here))
    assert opt.fine_steps < opt.all_steps
    return state_of(model, opt), without_time(rows)


def stopped(here: bt.processes.Process, folder: Path) -> Result:
    """Every process has its own dropout; one of them gets a Ctrl-C, and all of them stop at the same step."""
    results = []
    for place, stop in ((folder / "whole", 0), (folder, 19), (folder, 0)):
        torch.manual_seed(here.rank)
        model = network()
        opt = linbreg(model)
        press = here.rank == here.world_size - 1
        hook = Hook(
            lambda k, stop=stop, press=press: os.kill(os.getpid(), signal.SIGINT) if press and k == stop else None
        )
        try:
            rows = bt.fit(model, opt, **loaders(here), checkpoint=place, schedules=[hook])
        except KeyboardInterrupt:
            assert hook.steps == 20  # they ask each other every 20 steps
            continue
        results.append((state_of(model, opt), without_time(rows)))
    assert_same(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]
    return results[0]


def slow(here: bt.processes.Process, folder: Path) -> Result:
    """Steps that take long, a Ctrl-C, and little time until the end: they do not wait for the twentieth step."""
    keeper.PATIENCE, before = 0.2, keeper.PATIENCE
    model = network()
    opt = linbreg(model)

    def sleep_and_press(step: int) -> None:
        time.sleep(0.1)
        if step == 4 and here.rank == 1:
            os.kill(os.getpid(), signal.SIGINT)

    hook = Hook(sleep_and_press)
    with pytest.raises(KeyboardInterrupt):
        bt.fit(model, opt, **loaders(here), checkpoint=folder, schedules=[hook])
    keeper.PATIENCE = before
    assert hook.steps < 9  # the end of the epoch, where they ask each other in any case
    return {"steps": torch.tensor(hook.steps)}, []


def again(here: bt.processes.Process, folder: Path) -> Result:
    """A block within a block, and the numbers of all."""
    with bt.distributed("cpu") as inner:
        assert inner == here
    return {"sum": torch.tensor(processes.total([here.rank + 1.0]))}, []


SCENARIOS = {"bare": with_momentum, "wrapped": with_momentum, "levels": with_levels, "stopped": stopped}
TOGETHER_ONLY = {"slow": slow, "again": again}


def main(folder: Path) -> None:
    """What each of the processes does."""
    torch.set_num_threads(1)
    with bt.distributed("cpu", timeout=60) as here:
        refused = ""
        try:
            bt.fit(nn.Linear(16, 3), None, [None] * (here.rank + 1), epochs=1)
        except ValueError as error:
            refused = str(error)
        results = {name: f(here, folder / name) for name, f in (SCENARIOS | TOGETHER_ONLY).items()}
        known = tuple(vars(here).values())
    with bt.distributed("cpu", timeout=60) as here:  # they meet a second time
        results["met again"] = again(here, folder)
    torch.save([results, refused, known], folder / f"{here.rank}.pt")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """The folder of a run of two processes, and what each of them returned."""
    folder = tmp_path_factory.mktemp("processes")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        str(HERE),
        str(folder),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == 0, done.stderr
    return folder, [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]


def test_the_processes_know_who_they_are(both: tuple[Path, list[Any]]) -> None:
    assert [here for _, _, here in both[1]] == [(rank, 2, torch.device("cpu")) for rank in (0, 1)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_all_processes_have_the_same_weights_and_the_same_history(name: str, both: tuple[Path, list[Any]]) -> None:
    (first, rows), (second, other_rows) = (results[name] for results, _, _ in both[1])
    assert_same(first, second)
    assert rows == other_rows
    assert [row["step"] for row in rows] == [9, 18, 27, 36]


@pytest.mark.parametrize("name", ["bare", "wrapped", "levels"])
def test_two_processes_are_one_with_the_whole_batch(name: str, both: tuple[Path, list[Any]], tmp_path: Path) -> None:
    state, rows = both[1][0][0][name]
    with bt.distributed("cpu") as here:
        alone, alone_rows = SCENARIOS[name](here, tmp_path)
    for key, x in alone.items():
        if isinstance(x, torch.Tensor):
            torch.testing.assert_close(state[key], x, rtol=1e-4, atol=1e-6)
            if "/model/" in key:
                assert torch.equal(state[key] == 0, x == 0), key
    for row, expected in zip(rows, alone_rows, strict=True):
        assert row == pytest.approx(expected, rel=1e-5)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]


def test_one_process_writes(both: tuple[Path, list[Any]]) -> None:
    folder, (first, _) = both
    lines = [json.loads(line) for line in (folder / "bare" / "history.jsonl").read_text().splitlines()]
    assert without_time(lines) == first[0]["bare"][1]
    assert [p.name for p in sorted((folder / "bare").glob("*"))] == [
        "history.jsonl",
        f"step-{27:09d}.pt",
        f"step-{36:09d}.pt",
    ]
    assert sorted(p.name for p in (folder / "stopped").glob("*.pt")) == [f"step-{k:09d}.pt" for k in (20, 36)]


def test_a_checkpoint_of_two_processes_is_not_for_one(both: tuple[Path, list[Any]]) -> None:
    with bt.distributed("cpu") as here, pytest.raises(ValueError, match="processes was 2 and is 1"):
        with_momentum(here, both[0] / "bare")


def test_processes_with_unequal_numbers_of_batches_are_refused(both: tuple[Path, list[Any]]) -> None:
    message = "the processes must take equally many steps, got [1, 2] batches: use drop_last=True"
    assert [refused for _, refused, _ in both[1]] == [message] * 2


LOST = """
    import os, sys, time
    sys.path.insert(0, {tests!r})
    import torch
    torch.set_num_threads(1)
    import bregtutorial as bt
    from pathlib import Path
    from test_training_distributed import with_momentum, loaders, smooth
    from training_runs import Hook, linbreg

    folder, port = Path({folder!r}), {port}

    def train(rank, ending):
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
        os.environ["MASTER_PORT"] = str(port + 1 + (ending == "hangs"))

        def end(step):
            (folder / "time").write_text(str(time.time()))
            if rank == 1 and step == 5:
                os._exit(3) if ending == "dies" else time.sleep(100)

        with bt.distributed("cpu", timeout=8) as here:
            model = smooth(here)
            bt.fit(model, linbreg(model), **loaders(here), schedules=[Hook(end)])

    train_alone = smooth(bt.processes.Process(0, 1, torch.device("cpu")))  # what torch imports at a first step
    bt.fit(train_alone, linbreg(train_alone), [(torch.rand(4, 16), torch.arange(4) % 3)], epochs=1)
    for ending in ("dies", "hangs"):
        pids = []
        for rank in (0, 1):
            pids.append(os.fork())
            if pids[-1] == 0:
                try:
                    train(rank, ending)
                except RuntimeError as error:
                    print(ending, rank, time.time() - float((folder / "time").read_text()), str(error)[:80], flush=True)
                os._exit(0)
        os.waitpid(pids[0], 0)
        os.kill(pids[1], 9)
        os.waitpid(pids[1], 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_whose_fellow_is_lost_gives_up_in_time(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = textwrap.dedent(LOST).format(tests=str(HERE.parent), folder=str(tmp_path), port=port)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=200)
    lines = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
    assert [(ending, rank) for ending, rank, _, _ in lines] == [("dies", "0"), ("hangs", "0")], done
    for _, _, seconds, _ in lines:
        assert float(seconds) < 30


def test_processes_meet_within_a_meeting_and_again(both: tuple[Path, list[Any]]) -> None:
    for results, *_ in both[1]:
        for name in ("again", "met again"):
            assert results[name][0]["sum"].tolist() == [3.0]


def test_alone_a_process_needs_no_others() -> None:
    with bt.distributed("cpu") as here:
        assert (here.rank, here.world_size, here.device) == (0, 1, torch.device("cpu"))
        assert not distributed.is_initialized()
    assert processes.total([1, 2.5]) == [1, 2.5]
    assert (processes.gather("x"), processes.tell("y"), processes.rank()) == (["x"], "y", 0)
    gradient = torch.ones(2)
    processes.average([None, gradient])
    processes.share([gradient])
    assert torch.equal(gradient, torch.ones(2))


@pytest.mark.parametrize(
    ("gpus", "local", "way_out"), [(0, 0, "take device='cpu'"), (2, 2, "start torchrun with fewer")]
)
def test_a_gpu_that_is_not_there_is_an_error_with_a_way_out(
    gpus: int, local: int, way_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", str(local))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(ValueError, match=f"needs a GPU of its own, found {gpus}: {way_out}"), bt.distributed("cuda"):
        pass


@pytest.mark.skipif(torch.cuda.device_count() < 1, reason="needs a GPU")
def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", str(torch.cuda.device_count()))
    with pytest.raises(ValueError, match="needs a GPU of its own"), bt.distributed("cuda"):
        pass


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main(Path(sys.argv[1]))
