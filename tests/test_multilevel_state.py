"""Multilevel between two steps: checkpoints, schedules, whoever looks at the model, and what it refuses."""

from __future__ import annotations

import copy
import io
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from masked_twin import CASES, ROWS, MaskedTwin, assert_close, batches, everything, make, train
from torch import Tensor, nn

import bregtutorial as bt

OPTIONS = {"momentum": {"momentum": 0.8}, "adabreg": {"kind": bt.AdaBreg, "lr": 0.01}}
each_optimizer = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def multilevel(name: str, m: float | None = 5, **options: Any) -> bt.Multilevel:
    return bt.Multilevel(*make(CASES[name], **options), m, break_even=1.0)


def assert_same_bits(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert not [name for name, x in a.items() if not torch.equal(x, b[name])]


def on_disk(thing: Any) -> Any:
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@each_optimizer
@pytest.mark.parametrize("name", ["autoencoder", "padded", "resnet"])
@pytest.mark.parametrize("stop", [1, 3, 6, 9])
def test_a_checkpoint_at_any_step_goes_on_bit_for_bit(name: str, stop: int, options: dict[str, Any]) -> None:
    whole, stopped, resumed = (multilevel(name, **dict(options)) for _ in range(3))
    data = list(batches(CASES[name], 14))
    for x, y in data:
        train(whole, x, y)
    for x, y in data[:stop]:
        train(stopped, x, y)
    state = on_disk({"model": stopped.model.state_dict(), "optimizer": stopped.state_dict()})
    for x, y in data[:2]:  # the one that loads has a past of its own
        train(resumed, x, y)
    resumed.model.load_state_dict(state["model"])
    resumed.load_state_dict(state["optimizer"])
    for x, y in data[stop:]:
        train(resumed, x, y)
    assert resumed.fine_steps == whole.fine_steps
    assert_same_bits(everything(resumed.model, resumed.optimizer), everything(whole.model, whole.optimizer))


LOOKS: dict[str, Callable[[bt.Multilevel], Any]] = {
    "a call of the model": lambda ml: bt.evaluate(ml.model, batches(CASES["padded"], 1)),
    "its state_dict": lambda ml: ml.model.state_dict(),
    "the optimizer's state_dict": lambda ml: ml.optimizer.state_dict(),
    "its own state_dict": lambda ml: ml.state_dict(),
    "its state": lambda ml: ml.state,
    "sync": lambda ml: ml.sync(),
}


@each_optimizer
def test_whoever_looks_at_the_model_sees_its_present_and_changes_no_bit_of_its_future(options: dict[str, Any]) -> None:
    watched, alone = multilevel("padded", **dict(options)), multilevel("padded", **dict(options))
    looks = [*LOOKS.values()]
    for step, (x, y) in enumerate(batches(CASES["padded"], 15)):
        train(watched, x, y), train(alone, x, y)
        looks[step % len(looks)](watched)
        present = [p.clone() for p in watched.model.parameters()]
        watched.sync()
        assert all(torch.equal(a, b) for a, b in zip(present, watched.model.parameters(), strict=True))
    assert_same_bits(everything(watched.model, watched.optimizer), everything(alone.model, alone.optimizer))


def test_a_copy_of_the_model_looks_at_nobody() -> None:
    ml = multilevel("mlp")
    x, y = next(batches(CASES["mlp"], 1))
    for _ in range(3):
        train(ml, x, y)
    twin = copy.deepcopy(ml.model)
    with torch.no_grad():
        twin(x)
    stale = [p.clone() for p in ml.model.parameters()]
    ml.sync()
    assert any(not torch.equal(a, b) for a, b in zip(stale, ml.model.parameters(), strict=True))


def schedule(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))


def test_schedules_of_lr_and_lam_act_within_a_cycle() -> None:
    case = CASES["mlp"]
    ml = multilevel("mlp", 7, momentum=0.8)
    twin = MaskedTwin(*make(case, momentum=0.8), 7, case.hidden, case.seen)
    schedules = [schedule(ml), schedule(twin.optimizer)]
    for step, (x, y) in enumerate(batches(case, 24)):
        train(ml, x, y), train(twin, x, y)
        for each in schedules:
            each.step()
        for optimizer in (ml, twin.optimizer):
            for group in optimizer.param_groups:
                group["lam"] *= 0.9 if step % 5 else 1.4
        assert_close(everything(ml.model, ml.optimizer), everything(twin.model, twin.optimizer))
    assert ml.param_groups[0]["lr"] == pytest.approx(case.lr / 25)


def test_a_target_density_is_met_after_dense_steps() -> None:
    ml = multilevel("autoencoder", 4, momentum=0.8)
    control = bt.TargetDensity(ml, 0.3, every=5)
    for step, (x, y) in enumerate(batches(CASES["autoencoder"], 26)):
        train(ml, x, y)
        control.step()
        if step % 5 == 0:
            assert bt.density(ml.model) == pytest.approx(0.3, abs=0.05)
            assert ml.network is not ml.model
            assert sum((p != 0).any(1).sum() for p in ml.network.parameters() if p.ndim == 2) < 30
    ml.set_lam(10.0)
    ml.sync()
    assert bt.density(ml.model) == 0


def test_set_lam_within_a_cycle_moves_what_is_awake_at_once_and_the_rest_at_the_dense_step() -> None:
    case = CASES["mlp"]
    ml = multilevel("mlp", 5, momentum=0.8)
    data = list(batches(case, 8))
    for x, y in data[:3]:
        train(ml, x, y)
    ml.sync()
    before = [(p != 0).any(1) for p in ml.model.parameters() if p.ndim == 2]
    ml.set_lam(1e-9)
    ml.sync()
    now = [(p != 0).any(1) for p in ml.model.parameters() if p.ndim == 2]
    assert all(torch.equal(a, b) for a, b in zip(before, now, strict=True))
    for x, y in data[3:7]:
        train(ml, x, y)
    assert sum(int((p != 0).any(1).sum()) for p in ml.model.parameters() if p.ndim == 2) > sum(
        int(b.sum()) for b in before
    )


@pytest.mark.parametrize("act", [lambda ml: ml.set_lam(0.05, keep="weights"), lambda ml: ml.reset_dual()])
def test_a_change_of_duals_ends_the_cycle(act: Callable[[bt.Multilevel], None]) -> None:
    ml, case = multilevel("mlp", 5), CASES["mlp"]
    for x, y in batches(case, 3):
        train(ml, x, y)
    before = [p.clone() for p in ml.model.state_dict().values()]
    act(ml)
    assert ml.network is ml.model
    ml.apply_prox()
    assert_close(dict(enumerate(before)), dict(enumerate(ml.model.state_dict().values())))


def test_finish_makes_the_next_step_dense() -> None:
    ml = multilevel("mlp")
    x, y = next(batches(CASES["mlp"], 1))
    train(ml, x, y)
    assert ml.network is not ml.model
    train(ml, x, y)
    ml.finish()
    assert ml.network is ml.model
    train(ml, x, y)
    assert ml.fine_steps == 2


def test_a_plain_checkpoint_goes_on_with_a_dense_step() -> None:
    ml, plain = multilevel("mlp"), make(CASES["mlp"])[1]
    x, y = next(batches(CASES["mlp"], 1))
    train(ml, x, y)
    state = ml.optimizer.state_dict()
    plain.load_state_dict(state)
    ml.load_state_dict(state)
    assert ml.network is ml.model


def test_fit_trains_it_and_resumes(tmp_path: Path) -> None:
    torch.set_default_dtype(torch.float32)

    def run(epochs: int, folder: Path | None) -> tuple[bt.Multilevel, list[dict[str, float]]]:
        data = bt.load_dataset("digits", size=400)
        model = bt.models.mlp((784, 60, 10), generator=torch.Generator().manual_seed(0))
        bt.sparse_init_(model, 0.2, groups="rows", generator=torch.Generator().manual_seed(0))
        ml = bt.Multilevel(model, bt.LinBreg(bt.parameter_groups(model, 0.05, ROWS), lr=0.1, momentum=0.9), 9)
        train_loader = bt.data.Loader(data, 32, seed=0)
        test = bt.data.Loader(data, 200, shuffle=False)
        schedules = [torch.optim.lr_scheduler.StepLR(ml, 30)]
        return ml, bt.fit(model, ml, train_loader, epochs=epochs, test=test, schedules=schedules, checkpoint=folder)

    ml, rows = run(4, None)
    assert rows[-1]["test_loss"] < rows[0]["test_loss"]
    assert rows[-1]["density"] == bt.density(ml.model) < 0.8
    run(3, tmp_path)
    resumed, again = run(4, tmp_path)
    for a, b in zip(rows, again, strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}
    assert_same_bits(ml.model.state_dict(), resumed.model.state_dict())


def test_fit_reports_the_density_of_the_present_without_a_test_set() -> None:
    torch.set_default_dtype(torch.float32)
    model = bt.models.mlp((784, 30, 10), generator=torch.Generator().manual_seed(0))
    bt.sparse_init_(model, 0.5, groups="rows", generator=torch.Generator().manual_seed(0))
    ml = bt.Multilevel(model, bt.LinBreg(bt.parameter_groups(model, 0.3, ROWS), lr=0.1), break_even=1.0)
    train_loader = bt.data.Loader(bt.load_dataset("digits", size=96), 32, seed=0)

    class Falling:
        """Kills every row in the last step of the epoch, which is a coarse one."""

        steps = 0

        def step(self) -> None:
            self.steps += 1
            ml.param_groups[0]["lam"] = 1e3 if self.steps == 2 else 0.3

        def state_dict(self) -> dict[str, int]:
            return {"steps": self.steps}

    rows = bt.fit(model, ml, train_loader, epochs=1, schedules=[Falling()])
    assert ml.network is not model
    assert rows[0]["density"] == bt.density(model) == 0


def test_flops_are_those_of_the_small_widths() -> None:
    ml = multilevel("autoencoder")
    x, y = next(batches(CASES["autoencoder"], 1))
    dense = bt.cost.flops(ml.network, x[:1]).dense
    train(ml, x, y)
    rows = [int((ml.model[i].weight != 0).any(1).sum()) for i in (1, 3, 5, 7)]
    sparse = bt.cost.flops(ml.network, x[:1]).dense
    assert sparse == 2 * sum(a * b for a, b in zip([16, *rows], rows, strict=False))
    assert dense == 2 * (16 * 14 + 14 * 9 + 9 * 14 + 14 * 16)
    step = bt.cost.training_flops(dense, sparse, coarse_steps=5)
    assert step == pytest.approx((5 * 3 * sparse + 2 * sparse + dense) / 6)
    share = [bt.cost.training_flops(1.0, 0.07), bt.cost.training_flops(1.0, 0.057, coarse_steps=99)]
    assert [f"{s / bt.cost.training_flops(1.0):.1%}" for s in share] == ["38.0%", "6.0%"]


def small_net(*between: nn.Module) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(6, 8), *between, nn.Linear(8, 4))
    bt.sparse_init_(model, 0.5, groups="rows")
    return model


@pytest.mark.parametrize(
    ("model", "reg", "said"),
    [
        (small_net(nn.ReLU()), bt.L1(), r"0: L1\(\) has no rows for groups"),
        (small_net(nn.ReLU(), nn.Dropout(0.1)), ROWS, "0: its dead outputs stay: no longer constant where 3 reads"),
        (small_net(nn.PReLU(8)), ROWS, "0: its dead outputs stay: 1 is a PReLU"),
        (nn.Sequential(nn.Linear(5, 3)), bt.GroupL2("inputs"), "0: GroupL2.* has no rows for groups"),
    ],
    ids=["entries", "dropout", "prelu", "columns"],
)
def test_what_cannot_shrink_is_named_once_with_the_reason(model: nn.Module, reg: Any, said: str) -> None:
    with pytest.warns(UserWarning, match=said):
        bt.Multilevel(model, bt.LinBreg(bt.parameter_groups(model, 0.1, reg)))


def test_what_cannot_shrink_trains_in_every_step() -> None:
    """One layer with rows, one with single weights behind it: the masked network again, with one layer unmasked."""
    optimizers, models = [], []
    for _ in range(2):
        torch.manual_seed(3)
        model = small_net(nn.Softplus())
        options = {"kinds": {"2.weight": "other"}, "other": {"reg": bt.L1(), "lam": 0.01}}
        models.append(model)
        optimizers.append(bt.LinBreg(bt.parameter_groups(model, 0.02, ROWS, **options), lr=0.5, momentum=0.5))
    with pytest.warns(UserWarning, match="its regularizer tells single inputs apart"):
        ml = bt.Multilevel(models[0], optimizers[0], 4, break_even=1.0)
    twin = MaskedTwin(models[1], optimizers[1], 4, (), ("0",))
    for _ in range(13):
        x, y = torch.randn(8, 6), torch.randint(4, (8,))
        train(ml, x, y), train(twin, x, y)
        assert_close(everything(ml.model, ml.optimizer), everything(twin.model, twin.optimizer))
    assert len(ml.network[0].weight) < 8


def test_most_of_the_network_alive_means_dense_steps_and_a_word_about_it() -> None:
    case = CASES["mlp"]
    ml = bt.Multilevel(*make(case), 5, break_even=0.01)
    plain = MaskedTwin(*make(case), 0, (), ())
    data = list(batches(case, 4))
    train(ml, *data[0])
    with pytest.warns(UserWarning, match=r"a coarse step would take \d+% .* break_even=1%"):
        train(ml, *data[1])
    for x, y in data[2:]:  # a second word would be an error
        train(ml, x, y)
    for x, y in data:
        train(plain, x, y)
    assert_same_bits(everything(ml.model, ml.optimizer), everything(plain.model, plain.optimizer))


def test_a_network_without_a_live_neuron_stays_dense() -> None:
    model = small_net(nn.ReLU())
    model[0].weight.data.zero_()
    ml = bt.Multilevel(model, bt.LinBreg(bt.parameter_groups(model, 10.0, ROWS)), break_even=1.0)
    train(ml, torch.randn(8, 6), torch.randint(4, (8,)))
    with pytest.warns(UserWarning, match="steps stay dense"):
        assert ml.network is model


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"coarse_steps": -1}, ValueError, "coarse_steps must be an integer >= 0, or None for infinity, got -1"),
        ({"coarse_steps": 1.5}, ValueError, "coarse_steps"),
        ({"coarse_steps": math.nan}, ValueError, "coarse_steps"),
        ({"break_even": -0.1}, ValueError, "break_even must be a fraction >= 0"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be a LinBreg or AdaBreg, .* got Adam"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: type[Exception], said: str) -> None:
    model, optimizer = make(CASES["mlp"])
    if options.pop("optimizer", None):
        optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(error, match=said):
        bt.Multilevel(model, optimizer, **options)


def test_groups_are_given_to_the_optimizer() -> None:
    with pytest.raises(RuntimeError, match="add them to its optimizer"):
        multilevel("mlp").add_param_group({"params": []})


def test_a_closure_is_evaluated_on_both_levels() -> None:
    ml = multilevel("mlp")
    x, _ = next(batches(CASES["mlp"], 1))
    seen = []

    def closure() -> Tensor:
        ml.zero_grad()
        loss = ml.network(x).square().mean()
        loss.backward()
        seen.append(ml.network)
        return loss

    losses = [ml.step(closure) for _ in range(4)]
    assert losses[-1] < losses[0]
    assert seen[0] is ml.model
    assert seen[1] is seen[3] is not ml.model


def test_it_says_nothing_where_everything_shrinks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not multilevel("autoencoder").reasons
