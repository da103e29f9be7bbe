"""A run that was stopped, killed or damaged goes on as if nothing had happened, or says why it cannot."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from training_runs import (
    OPTIMIZERS,
    SCHEDULES,
    Hook,
    assert_same,
    batches,
    linbreg,
    network,
    state_of,
    without_time,
)

import bregtutorial as bt
from bregtutorial.checkpoint import DamagedCheckpointError

EPOCHS, STEPS = 4, 24
Result = tuple[dict[str, Any], list[dict[str, float]]]


def run(
    folder: Path | None = None,
    *,
    optimizer: str = "LinBreg",
    schedule: str = "none",
    stop: int = 0,
    epochs: int = EPOCHS,
    train: Any = None,
    **options: Any,
) -> Result:
    """A run whose process gets a Ctrl-C in step ``stop``; in another one, everything is built anew, as here."""
    torch.manual_seed(5)
    model = network()
    opt = OPTIMIZERS[optimizer](model)
    hook = Hook(lambda step: os.kill(os.getpid(), signal.SIGINT) if step == stop else None)
    schedules = [*SCHEDULES[schedule](opt), hook]
    train = batches() if train is None else train
    options = {"test": batches(9, shuffle=False), "checkpoint": folder, "schedules": schedules, **options}
    rows = bt.fit(model, opt, train, epochs=epochs, **options)
    return state_of(model, opt), without_time(rows)


def history(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("stop", [1, 6, 13, 24])
@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [(name, "none") for name in OPTIMIZERS] + [("SGD", "one cycle"), ("SGD", "plateau"), ("momentum", "two")],
)
def test_a_run_that_was_stopped_is_the_run_that_was_not(
    optimizer: str, schedule: str, stop: int, tmp_path: Path
) -> None:
    kind = {"optimizer": optimizer, "schedule": schedule}
    whole = run(**kind)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(tmp_path, stop=stop, **kind)
    name = tmp_path / f"step-{stop:09d}.pt"
    assert caught.value.__notes__ == [f"The run is kept in {name}: with the same arguments, fit goes on from there."]
    assert bt.checkpoint.load(name)["step"] == stop
    torch.rand(100)  # what else happens in the new process does not matter
    resumed = run(tmp_path, **kind)
    assert_same(whole[0], resumed[0])
    assert whole[1] == resumed[1]
    assert without_time(history(tmp_path)) == whole[1]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_and_the_state_of_the_scaler_are_resumed(precision: str, tmp_path: Path) -> None:
    kind = {"optimizer": "momentum", "precision": precision}
    whole = run(**kind)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop=9, **kind)
    resumed = run(tmp_path, **kind)
    assert_same(whole[0], resumed[0])
    assert whole[1] == resumed[1]


def test_stopping_often_is_like_never(tmp_path: Path) -> None:
    whole = run(optimizer="AdaBreg", schedule="plateau")
    for stop in (2, 3, 11, 12, 18):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, optimizer="AdaBreg", schedule="plateau", stop=stop)
    resumed = run(tmp_path, optimizer="AdaBreg", schedule="plateau")
    assert_same(whole[0], resumed[0])
    assert whole[1] == resumed[1]


def test_the_weights_of_a_multilevel_run_are_resumed_within_a_cycle(tmp_path: Path) -> None:
    def levels(folder: Path | None, stop: int = 0) -> Result:
        generator = torch.Generator().manual_seed(0)
        model = bt.models.mlp((16, 30, 30, 3), generator=generator)
        bt.sparse_init_(model, density=0.4, groups="rows", generator=generator)
        plain = bt.LinBreg(bt.parameter_groups(model, 0.05, bt.GroupL2("rows")), lr=0.1)
        opt = bt.Multilevel(model, plain, coarse_steps=4)
        hook = Hook(lambda step: os.kill(os.getpid(), signal.SIGINT) if step == stop else None)
        rows = bt.fit(model, opt, batches(), epochs=EPOCHS, checkpoint=folder, schedules=[hook])
        assert rows[-1]["density"] == bt.density(model) < 1
        assert opt.fine_steps < opt.all_steps == STEPS
        return state_of(model, opt), without_time(rows)

    whole = levels(None)
    with pytest.raises(KeyboardInterrupt):
        levels(tmp_path, stop=8)
    resumed = levels(tmp_path)
    assert_same(whole[0], resumed[0])
    assert whole[1] == resumed[1]


KILLED = """
    import os, random, signal, sys, time
    sys.path.insert(0, {tests!r})
    import torch
    torch.set_num_threads(1)
    from pathlib import Path
    from test_training_resume import run

    def child(folder, seconds=None):
        pid, start = os.fork(), time.perf_counter()
        if pid == 0:
            result = run(folder, checkpoint_every=0.0, optimizer="momentum", schedule="two")
            torch.save(result, folder / "result.pt")
            os._exit(0)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)[1], time.perf_counter() - start

    run()  # what torch imports at its first step, the children need not import again
    dice, kills = random.Random(1), 0
    status, seconds = child(Path({folder!r}) / "whole")
    while child(Path({folder!r}) / "killed", dice.uniform(0, seconds / 5) if kills < 12 else None)[0]:
        kills += 1
    print(kills)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_that_is_killed_at_any_moment_loses_no_step_that_was_saved(tmp_path: Path) -> None:
    """Killed again and again, also while it writes: it saves after every step, so that it writes most of the time."""
    script = textwrap.dedent(KILLED).format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3
    whole, killed = (torch.load(tmp_path / name / "result.pt", weights_only=True) for name in ("whole", "killed"))
    assert_same(whole[0], killed[0])
    assert whole[1] == killed[1] == without_time(history(tmp_path / "killed"))
    assert whole[1] == run(optimizer="momentum", schedule="two")[1]


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*args: object) -> None:
        raise Killed  # not caught by anything, as a kill is not

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop=5)
    for call in ("fsync", "replace"):
        monkeypatch.setattr(os, call, die)
        with pytest.raises(Killed):
            run(tmp_path, checkpoint_every=0.0)
        monkeypatch.undo()
        assert {p.suffix for p in tmp_path.iterdir()} == {".pt", ".tmp", ".jsonl"}
        assert [p.name for p in tmp_path.glob("*.pt")] == [f"step-{5:09d}.pt"]
    resumed, whole = run(tmp_path), run()
    assert_same(whole[0], resumed[0])
    assert not list(tmp_path.glob("*.tmp"))


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_the_clock_says_when_a_checkpoint_is_due_and_two_stay(tmp_path: Path) -> None:
    run(tmp_path / "often", checkpoint_every=0.0)
    run(tmp_path / "rarely", checkpoint_every=1e6)
    assert [p.name for p in sorted((tmp_path / "often").glob("*"))] == [
        "history.jsonl",
        f"step-{STEPS - 1:09d}.pt",
        f"step-{STEPS:09d}.pt",
    ]
    assert [p.name for p in sorted((tmp_path / "rarely").glob("*.pt"))] == [f"step-{STEPS:09d}.pt"]


def test_a_finished_run_is_returned_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    short = run(tmp_path, epochs=2)
    again = run(tmp_path, epochs=2, loss=lambda out, y: 1 / 0, metrics={"accuracy": lambda out, y: 1 / 0})
    assert_same(short[0], again[0])
    assert short[1] == again[1]
    longer, whole = run(tmp_path), run()
    assert_same(whole[0], longer[0])
    assert longer[1] == whole[1]
    with pytest.raises(ValueError, match=f"the run in {tmp_path} has 4 epochs already, more than epochs=3"):
        run(tmp_path, epochs=3)


def test_without_resume_a_run_starts_again(tmp_path: Path) -> None:
    run(tmp_path)
    assert len(run(tmp_path, epochs=1, resume=False)[1]) == 1
    assert [p.name for p in tmp_path.glob("*.pt")] == [f"step-{6:09d}.pt"]
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1


def test_batches_without_a_state_are_resumed_at_the_end_of_an_epoch(tmp_path: Path) -> None:
    """torch's DataLoader shuffles by the global random numbers, which are kept."""

    def loader() -> Any:
        data = batches()
        x, y = zip(*data, strict=True)
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.cat(x), torch.cat(y)), 4, shuffle=True)

    whole = run(train=loader())
    with pytest.raises(KeyboardInterrupt) as caught:
        run(tmp_path, train=loader(), stop=15, checkpoint_every=0.0)
    assert [p.name for p in sorted(tmp_path.glob("*.pt"))] == [f"step-{step:09d}.pt" for step in (6, 12)]
    assert f"{12:09d}.pt" in caught.value.__notes__[0]
    resumed = run(tmp_path, train=loader())
    assert_same(whole[0], resumed[0])
    assert whole[1] == resumed[1]


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    def twice(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("still here")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, schedules=[Hook(twice)])
    assert not list(tmp_path.glob("*.pt"))
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_without_a_folder_ends_between_two_steps() -> None:
    model = network()
    opt = linbreg(model)
    hook = Hook(lambda step: os.kill(os.getpid(), signal.SIGINT) if step == 3 else None)
    with pytest.raises(KeyboardInterrupt, match="stopped after step 3") as caught:
        bt.fit(model, opt, batches(), epochs=1, schedules=[hook])
    assert not hasattr(caught.value, "__notes__")
    assert hook.steps == 3


# --- what is refused ------------------------------------------------------------------------------------------------


def wider() -> nn.Module:
    return nn.Sequential(bt.models.mlp((16, 9)), nn.BatchNorm1d(9), nn.Linear(9, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": wider()}, r"model\.0\.1\.weight was 'torch\.float32 \(8, 16\)' and is 'torch\.float32 \(9, 16\)'"),
        (
            {"optimizer": lambda m: bt.AdaBreg(bt.parameter_groups(m, 0.05), lr=0.1)},
            "optimizer was 'LinBreg' and is 'A",
        ),
        ({"optimizer": lambda m: linbreg(m, lr=0.2)}, r"param_groups\[0\]\.lr was 0\.1 and is 0\.2"),
        ({"optimizer": lambda m: bt.LinBreg(bt.parameter_groups(m, 0.07))}, r"\[0\]\.lam was 0\.05 and is 0\.07"),
        (
            {"optimizer": lambda m: bt.LinBreg(bt.parameter_groups(m, 0.05, bt.GroupL2("rows")))},
            r"reg\.name was 'l1' and is 'group_l2'",
        ),
        ({"optimizer": lambda m: bt.LinBreg(m.parameters(), lam=0.05)}, "param_groups were 3 and are 1"),
        ({"schedules": lambda o: [lr_scheduler.StepLR(o, 5)]}, r"settings of schedules\[0\]\.step_size was 4 and is 5"),
        ({"schedules": lambda o: []}, "schedules was 'StepLR' and is ''"),
        ({"precision": "bfloat16"}, "precision was 'float32' and is 'bfloat16'"),
        ({"clip": 1.0}, "clip was None and is 1.0"),
        ({"metrics": {}}, "loss and metrics was 'loss, accuracy' and is 'loss'"),
        ({"train": batches(14)}, "batches of an epoch was 6 and is 4"),
        ({"train": batches(seed=4)}, "the state was saved with seed=3, this loader has 4"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_name(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    def start(**options: Any) -> Any:
        model = options.pop("model", None) or network()
        opt = options.pop("optimizer", linbreg)(model)
        schedules = options.pop("schedules", lambda o: [lr_scheduler.StepLR(o, 4)])(opt)
        arguments = {"train": batches(), "epochs": 1, "checkpoint": tmp_path, "schedules": schedules, **options}
        return model, lambda: bt.fit(model, opt, **arguments)

    start()[1]()
    files = {p: p.read_bytes() for p in tmp_path.iterdir()}
    model, train = start(epochs=2, **change)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ValueError, match=rf"step-000000006\.pt belongs to another run: .*{message}.*resume=False"):
        train()
    assert_same(before, model.state_dict())
    assert files == {p: p.read_bytes() for p in tmp_path.iterdir()}


def test_a_damaged_checkpoint_is_put_aside_for_the_one_before(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop=9, checkpoint_every=0.0)
    newest = tmp_path / f"step-{9:09d}.pt"
    whole, weight = newest.read_bytes(), bt.checkpoint.load(newest)["model"]["0.1.weight"]
    place = whole.index(weight.numpy().tobytes())
    newest.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.warns(UserWarning, match=rf"{newest} is damaged: .* goes on from .*step-000000008"):
        resumed = run(tmp_path)
    expected = run()
    assert_same(expected[0], resumed[0])
    assert expected[1] == resumed[1]
    assert newest.with_suffix(".damaged").exists()


def test_where_all_are_damaged_nothing_is_trained(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop=9, checkpoint_every=0.0)
    for path in tmp_path.glob("*.pt"):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedCheckpointError, match=r"step-000000009\.pt is damaged") as caught:
        run(tmp_path)
    assert caught.value.__notes__ == ["No checkpoint in the folder is whole. Start again with resume=False."]
    assert len(run(tmp_path, resume=False)[1]) == EPOCHS


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    steps = iter(range(1, 100))

    def loss(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        value = nn.functional.cross_entropy(output, y)
        return value * float("nan") if next(steps) == 11 else value

    metrics = {"accuracy": lambda out, y: (out.argmax(1) == y).double().mean()}
    with pytest.raises(RuntimeError, match="the loss is nan in epoch 2, step 11") as caught:
        run(tmp_path, loss=loss, metrics=metrics, checkpoint_every=0.0, test=None)
    kept = sorted(tmp_path.glob("*.pt"))
    assert [p.name for p in kept] == [f"step-{step:09d}.pt" for step in (9, 10)]
    assert str(kept[-1]) in caught.value.__notes__[0]
    assert all(torch.isfinite(p).all() for p in bt.checkpoint.load(kept[-1])["model"].values())


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    def poison(step: int) -> None:
        if step == 4:
            with torch.no_grad():
                model[3][-1].weight[0, 0] = float("inf")

    model = network()
    with pytest.raises(RuntimeError, match=r"3\.3\.weight is not finite after step 4, so no checkpoint was written"):
        bt.fit(
            model,
            torch.optim.SGD(model.parameters()),
            batches(),
            epochs=1,
            checkpoint=tmp_path,
            checkpoint_every=0.0,
            schedules=[Hook(poison)],
        )
    assert [p.name for p in sorted(tmp_path.glob("*.pt"))] == [f"step-{step:09d}.pt" for step in (2, 3)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_the_run_and_the_old_checkpoint_stays(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop=5)

    def fill(step: int) -> None:
        if step == 8:
            (tmp_path / f"step-{8:09d}.pt.tmp").symlink_to("/dev/full")

    with pytest.raises(OSError, match=r"cannot write the checkpoint: No space left on device.*step-000000008\.pt"):
        run(tmp_path, checkpoint_every=0.0, schedules=[Hook(fill)])
    assert f"step-{7:09d}.pt" in [p.name for p in tmp_path.glob("*.pt")]
    whole, resumed = run(), run(tmp_path)
    assert_same(whole[0], resumed[0])


@pytest.mark.skipif(os.name == "nt", reason="needs the users of POSIX")
def test_a_folder_that_cannot_be_written_is_named_before_training(tmp_path: Path) -> None:
    steps = Hook()
    (tmp_path / "locked").mkdir(mode=0o555)
    (tmp_path / "file").touch()
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)  # root may write everywhere
    try:
        with pytest.raises(PermissionError, match=r"no checkpoint can be written here: Permission denied: .*locked"):
            run(tmp_path / "locked", schedules=[steps])
    finally:
        os.seteuid(was)
    with pytest.raises(OSError, match=r"no checkpoint can be written here: .*file"):
        run(tmp_path / "file", schedules=[steps])
    assert steps.steps == 0


def test_a_state_that_could_not_be_loaded_is_refused_before_training(tmp_path: Path) -> None:
    class Odd(Hook):
        def state_dict(self) -> dict[str, Any]:
            return {"steps": random.Random(0)}

    odd = Odd()
    with pytest.raises(TypeError, match=r"schedules\[0\] must have a state_dict\(\) of tensors, .* that of Odd could"):
        run(tmp_path, schedules=[odd])
    assert odd.steps == 0
    with warnings.catch_warnings():
        run(schedules=[odd], epochs=1)  # without a folder it may be anything


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_run_on_a_gpu_is_resumed_to_the_last_bit(precision: str, tmp_path: Path) -> None:
    def gpu(folder: Path | None = None, stop: int = 0) -> Result:
        torch.manual_seed(5)
        model = network().cuda()
        opt = linbreg(model, momentum=0.9)
        hook = Hook(lambda step: os.kill(os.getpid(), signal.SIGINT) if step == stop else None)
        options = {"checkpoint": folder, "schedules": [hook], "precision": precision}
        rows = bt.fit(model, opt, batches(device="cuda"), epochs=EPOCHS, **options)
        return state_of(model, opt), without_time(rows)

    whole = gpu()
    with pytest.raises(KeyboardInterrupt):
        gpu(tmp_path, stop=9)
    resumed = gpu(tmp_path)
    assert_same(whole[0], resumed[0])
    assert whole[1] == resumed[1]
