"""What a folder of checkpoints holds, whose it is, and what outside the run must not spoil it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset
from training_runs import Hook, assert_same, batches, images, linbreg, network, state_of, without_time

import bregtutorial as bt
from bregtutorial.training import folder as files
from bregtutorial.training import run as running


def fit(epochs: int, folder: Path | None, *, make: Any = lambda opt: [], **options: Any) -> Any:
    """A run that is built anew as in another process."""
    torch.manual_seed(5)
    model = network()
    opt = linbreg(model)
    options = {"train": batches(), "checkpoint": folder, "schedules": make(opt), **options}
    rows = bt.fit(model, opt, epochs=epochs, **options)
    return state_of(model, opt), without_time(rows)


def assert_resumes(folder: Path, **options: Any) -> None:
    whole = fit(3, None, **options)
    fit(1, folder, **options)
    resumed = fit(3, folder, **options)
    assert_same(whole[0], resumed[0])
    assert whole[1] == resumed[1]


NUMPY = {
    "schedule": {"make": lambda opt: [lr_scheduler.LambdaLR(opt, lambda k: 1 - np.float64(k) / 100)]},
    "observe": {"observe": lambda model: {"root": np.sqrt(2.0)}},
    "clip": {"clip": np.float64(1.0)},
}


@pytest.mark.parametrize("name", NUMPY)
def test_numbers_of_numpy_do_not_make_a_checkpoint_unreadable(name: str, tmp_path: Path) -> None:
    assert_resumes(tmp_path, **NUMPY[name])


def test_numbers_of_numpy_are_saved_as_numbers_and_the_rest_as_it_is(tmp_path: Path) -> None:
    state = {"a": [np.float32(0.5), (np.int64(2), "b")], "c": {"d": torch.ones(2)}, "e": [1, 2]}
    bt.checkpoint.save(tmp_path / "x.pt", state)
    found = bt.checkpoint.load(tmp_path / "x.pt")
    assert found["a"] == [0.5, (2, "b")]
    assert found["e"] == [1, 2]
    assert torch.equal(found["c"]["d"], torch.ones(2))
    assert isinstance(state["a"][0], np.float32)  # whose it was has not changed


@pytest.mark.parametrize("of_the_sampler", [False, True])
def test_the_generator_of_a_data_loader_goes_on(of_the_sampler: bool, tmp_path: Path) -> None:
    data = TensorDataset(images().images.float() / 255, images().labels)

    def loader() -> DataLoader[Any]:
        own = torch.Generator().manual_seed(1)
        if not of_the_sampler:
            return DataLoader(data, 4, shuffle=True, generator=own)
        return DataLoader(data, 4, sampler=torch.utils.data.RandomSampler(data, generator=own))

    whole = fit(3, None, train=loader())
    fit(1, tmp_path, train=loader())
    assert_same(whole[0], fit(3, tmp_path, train=loader())[0])


def test_a_checkpoint_from_before_generators_were_kept_is_resumed(tmp_path: Path) -> None:
    data = TensorDataset(images().images.float() / 255, images().labels)
    fit(1, tmp_path, train=DataLoader(data, 4))
    path, state = files.newest(tmp_path)
    for process in state["processes"]:
        del process["generators"]
    bt.checkpoint.save(path, state)
    assert len(fit(2, tmp_path, train=DataLoader(data, 4))[1]) == 2


def test_the_advice_after_ctrl_c_does_not_remove_the_run(tmp_path: Path) -> None:
    hook = Hook(lambda step: os.kill(os.getpid(), signal.SIGINT) if step == 3 else None)
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(2, tmp_path, make=lambda opt: [hook], resume=False)
    assert "with resume=True and else the same arguments, fit goes on" in caught.value.__notes__[0]


def test_copies_in_the_folder_are_not_taken_for_checkpoints_and_stay(tmp_path: Path) -> None:
    files.save_step(tmp_path, 1, {"step": 1})
    for name in ("step-best.pt", "step-000000001-backup.pt"):
        (tmp_path / name).write_bytes((tmp_path / "step-000000001.pt").read_bytes())
    for step in (2, 3):
        files.save_step(tmp_path, step, {"step": step})
    assert files.newest(tmp_path)[1] == {"step": 3}
    left = {"step-best.pt", "step-000000001-backup.pt", "step-000000002.pt", "step-000000003.pt"}
    assert {path.name for path in tmp_path.iterdir()} == left


def test_an_old_checkpoint_that_cannot_be_removed_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "in use", str(path))

    files.save_step(tmp_path, 1, {})
    files.save_step(tmp_path, 2, {})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        files.save_step(tmp_path, 3, {})
    assert len(files.saved(tmp_path)) == 3
    files.save_step(tmp_path, 4, {})
    assert [path.name for path in files.saved(tmp_path)] == ["step-000000004.pt", "step-000000003.pt"]


SMALL: dict[str, Any] = {"tier": "quick", "epochs": 1, "size": 128, "progress": False}


def test_a_checkpoint_is_refused_to_another_recipe_and_to_other_images(tmp_path: Path) -> None:
    first = bt.run("convnet-l1/lasso", checkpoint=tmp_path, **SMALL)
    with pytest.raises(ValueError, match=r"belongs to another run: recipe\.conv\.reg\.name was 'l1' and is 'group_l2'"):
        bt.run("convnet-groups/lasso", checkpoint=tmp_path, **SMALL)
    with pytest.raises(ValueError, match=r"belongs to another run: images\.train was"):
        bt.run("convnet-l1/lasso", checkpoint=tmp_path, **{**SMALL, "size": 120})
    again = bt.run("convnet-l1/lasso", checkpoint=tmp_path, **SMALL)
    assert without_time(again.history) == without_time(first.history)
    bt.run("convnet-groups/lasso", checkpoint=tmp_path, resume=False, **SMALL)


def test_other_images_and_another_target_are_another_run(tmp_path: Path) -> None:
    def other(name: str) -> bt.data.Loader:
        return bt.data.Loader(bt.data.ImageSet(images().images, images().labels, ("a", "b", "c"), name), 4, seed=3)

    fit(1, tmp_path / "a", train=other("one"))
    with pytest.raises(ValueError, match="belongs to another run"):
        fit(2, tmp_path / "a", train=other("two"))
    fit(1, tmp_path / "b", make=lambda opt: [bt.TargetDensity(opt, 0.2)])
    with pytest.raises(ValueError, match=r"settings of schedules\[0\]\.density was 0\.2 and is 0\.6"):
        fit(2, tmp_path / "b", make=lambda opt: [bt.TargetDensity(opt, 0.6)])


def test_float16_that_overflows_in_every_step_is_an_error() -> None:
    def overflow(model: nn.Module) -> nn.Module:
        model[0][1].weight.register_hook(lambda g: torch.full_like(g, torch.inf))
        return model

    model = overflow(network())
    with pytest.raises(RuntimeError, match="float16 overflows in every step up to"):
        bt.fit(model, linbreg(model), batches(), epochs=10, precision="float16")


def test_a_gpu_is_asked_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device="cuda": asked.append(device) or torch.zeros(1))
    running._random_state(torch.device("cuda", 1))
    assert asked == [torch.device("cuda", 1)]


def test_a_model_without_weights_to_count_is_refused_before_training() -> None:
    model = nn.Sequential(nn.Flatten(), nn.LayerNorm(16))
    with pytest.raises(ValueError, match="has no Linear or Conv layer"):
        bt.fit(model, torch.optim.SGD(model.parameters()), batches(), epochs=1, loss=pytest.fail)


class Stateful(nn.Linear):
    """A layer with a state that is no tensor."""

    def get_extra_state(self) -> dict[str, int]:
        return {"calls": 3}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.calls = state["calls"]


def test_a_module_may_have_a_state_that_is_no_tensor(tmp_path: Path) -> None:
    for epochs in (1, 2):
        model = nn.Sequential(nn.Flatten(), Stateful(16, 3))
        rows = bt.fit(model, linbreg(model), batches(), epochs=epochs, checkpoint=tmp_path)
    assert len(rows) == 2
    assert model[1].calls == 3
