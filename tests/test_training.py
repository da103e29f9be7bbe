"""The training loop does what a loop written by hand does, to the last bit, and reports what it did."""

from __future__ import annotations

import itertools
import json
import sys
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler
from training_runs import BATCH, OPTIMIZERS, Hook, N, batches, images, linbreg, network, without_time

import bregtutorial as bt
from bregtutorial.data import Loader

EPOCHS = 3


def by_hand(model: nn.Module, optimizer: Any, epochs: int = EPOCHS, clip: float | None = None) -> list[list[float]]:
    """The losses of every epoch, batch by batch, of the loop that everybody writes."""
    model.train()
    losses: list[list[float]] = []
    train = batches()
    for _ in range(epochs):
        losses.append([])
        for x, y in train:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            losses[-1].append(loss.item())
    return losses


def fresh(seed: int = 0, **options: Any) -> tuple[nn.Module, Any]:
    torch.manual_seed(seed)  # of the dropout
    model = network(**options)
    return model, linbreg(model)


# --- the numbers ----------------------------------------------------------------------------------------------------


def test_without_a_regularizer_linbreg_is_a_loop_with_sgd_written_by_hand() -> None:
    torch.manual_seed(0)
    model = network()
    bt.fit(model, bt.LinBreg(model.parameters(), lr=0.1), batches(), epochs=EPOCHS)
    torch.manual_seed(0)
    other = network()
    by_hand(other, torch.optim.SGD(other.parameters(), lr=0.1))
    for (name, p), q in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(p, q), name
    assert not torch.equal(model[0][1].weight, network()[0][1].weight)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", [None, 0.05])
def test_fit_is_the_loop_that_everybody_writes(name: str, clip: float | None) -> None:
    ends = []
    for run in (lambda m, o: bt.fit(m, o, batches(), epochs=EPOCHS, clip=clip), lambda m, o: by_hand(m, o, clip=clip)):
        torch.manual_seed(0)
        model = network()
        run(model, OPTIMIZERS[name](model))
        ends.append(model.state_dict())
    assert all(torch.equal(p, ends[1][key]) for key, p in ends[0].items())


def test_clipping_changes_the_steps_that_were_too_long() -> None:
    for clip, low, high in ((0.05, 0.049, 0.0501), (None, 0.1, 100)):
        model, optimizer = fresh()
        norms: list[float] = []
        optimizer.register_step_pre_hook(
            lambda *_, m=model, n=norms: n.append(float(torch.stack([p.grad.norm() for p in m.parameters()]).norm()))
        )
        bt.fit(model, optimizer, batches(), epochs=1, clip=clip)
        assert all(low <= norm <= high for norm in norms)


def test_the_history_counts_images_and_not_batches() -> None:
    """A short last batch of 2 among batches of 4 has half their weight, and 1/11 of the whole."""
    model, optimizer = fresh()
    rows = bt.fit(model, optimizer, batches(), epochs=EPOCHS)
    sizes = [BATCH] * 5 + [N - 5 * BATCH]
    losses = by_hand(*fresh())
    for row, epoch in zip(rows, losses, strict=True):
        mean = sum(loss * n for loss, n in zip(epoch, sizes, strict=True)) / N
        assert row["train_loss"] == pytest.approx(mean, rel=1e-12)
        assert row["train_loss"] != pytest.approx(sum(epoch) / len(epoch), rel=1e-6)
        assert (row["train_accuracy"] * N) == pytest.approx(round(row["train_accuracy"] * N), abs=1e-12)


def test_evaluation_is_that_of_the_whole_set_at_once() -> None:
    model, optimizer = fresh()
    test = batches(shuffle=False)
    rows = bt.fit(model, optimizer, batches(), epochs=2, test=test, metrics={"top": top, "spread": spread})
    x, y = next(iter(batches(batch_size=N, shuffle=False)))
    with torch.no_grad():
        output = model.eval()(x)
    assert rows[-1]["test_loss"] == pytest.approx(F.cross_entropy(output, y).item(), rel=1e-6)
    assert rows[-1]["test_top"] == (output.argmax(1) == y).double().mean().item()
    parts = [spread(part, part).item() * len(part) for part in output.split(BATCH)]
    assert rows[-1]["test_spread"] == pytest.approx(sum(parts) / N, rel=1e-6)
    assert "test_accuracy" not in rows[-1]


def top(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (output.argmax(1) == y).double().mean()


def spread(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return output.std()


def test_a_row_says_where_the_training_stands() -> None:
    model, optimizer = fresh()
    seen: list[dict[str, float]] = []
    sets = {"valid": batches(8, shuffle=False), "test": batches(10, shuffle=False)}
    rows = bt.fit(model, optimizer, batches(), epochs=2, test=sets, log=seen.append)
    assert seen == rows
    sums = [f"{name}_{what}" for name in ("train", "valid", "test") for what in ("loss", "accuracy")]
    assert [list(row) for row in rows] == [["epoch", "step", *sums, "density", "lr", "lam", "seconds"]] * 2
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 6), (2, 12)]
    assert rows[-1]["density"] == bt.density(model)
    assert (rows[-1]["lr"], rows[-1]["lam"]) == (0.1, 0.05)
    assert json.loads(json.dumps(rows)) == rows
    direct = bt.evaluate(model, sets["valid"], name="valid")
    assert direct == {k: rows[-1][k] for k in direct}


def test_other_losses_have_no_accuracy_and_other_optimizers_no_lam() -> None:
    model = network()
    flat = [(x, F.one_hot(y, 3).float()) for x, y in batches()]
    rows = bt.fit(model, torch.optim.SGD(model.parameters(), lr=0.01), flat, epochs=1, test=flat, loss=F.mse_loss)
    assert list(rows[0]) == ["epoch", "step", "train_loss", "test_loss", "density", "lr", "lam", "seconds"]
    assert rows[0]["lam"] == 0
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1)
    assert "train_accuracy" in bt.fit(*fresh(), batches(), epochs=1, loss=smooth)[0]


# --- modes, schedules, networks -------------------------------------------------------------------------------------


def test_evaluation_moves_no_statistics_and_gives_every_module_its_mode_back() -> None:
    model = network()
    model[2].eval()  # dropout switched off by its owner
    before = model.state_dict()["1.running_mean"].clone()
    grads = []
    handle = model.register_forward_hook(lambda m, x, out: grads.append((out.requires_grad, m.training)))
    bt.evaluate(model, batches())
    handle.remove()
    assert grads == [(False, False)] * 6
    assert torch.equal(model.state_dict()["1.running_mean"], before)
    assert [m.training for m in (model, model[1], model[2])] == [True, True, False]


def test_a_model_in_evaluation_mode_is_trained_in_training_mode() -> None:
    model, optimizer = fresh()
    by_hand(model, optimizer, epochs=1)
    other, optimizer = fresh()
    bt.fit(other.eval(), optimizer, batches(), epochs=1, test=batches())
    assert not other.training
    assert torch.equal(other[1].running_mean, model[1].running_mean)


def test_schedules_count_steps_and_a_plateau_counts_epochs() -> None:
    model, optimizer = fresh()
    hook, cycle = Hook(), lr_scheduler.OneCycleLR(optimizer, max_lr=0.4, total_steps=13)
    rates: list[float] = []
    hook.call = lambda step: rates.append(optimizer.param_groups[0]["lr"])
    bt.fit(model, optimizer, batches(), epochs=2, schedules=[hook, cycle])
    assert hook.steps == 12
    assert max(rates) == pytest.approx(0.4, rel=0.05)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer)
    seen: list[float] = []
    plateau.step = seen.append  # type: ignore[method-assign,assignment]
    rows = bt.fit(model, optimizer, batches(), epochs=3, schedules=[plateau])
    assert seen == [row["train_loss"] for row in rows]


class Levels:
    """An optimizer that trains its two networks in turn."""

    def __init__(self, networks: list[nn.Module]) -> None:
        self.networks, self.taken = networks, 0
        self.optimizer = torch.optim.SGD([p for n in networks for p in n.parameters()], lr=0.1)
        self.param_groups, self.zero_grad = self.optimizer.param_groups, self.optimizer.zero_grad

    @property
    def network(self) -> nn.Module:
        return self.networks[self.taken % 2]

    def step(self) -> None:
        self.optimizer.step()
        self.taken += 1

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()


def test_the_network_is_asked_for_before_every_step() -> None:
    networks: list[nn.Module] = [bt.models.mlp((16, 3)), bt.models.mlp((16, 3))]
    calls: list[int] = []
    for i, net in enumerate(networks):
        net.register_forward_hook(lambda *_, i=i: calls.append(i))
    bt.fit(networks[0], Levels(networks), batches(), epochs=1)
    assert calls == [0, 1, 0, 1, 0, 1]


# --- precision, memory format, compilation --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["momentum", "AdaBreg"])
def test_half_precision_is_that_of_the_network_alone(name: str) -> None:
    torch.manual_seed(0)
    model = network(dropout=0.0)
    optimizer, dtypes = OPTIMIZERS[name](model), set()
    model.register_forward_hook(lambda m, x, out: dtypes.add(out.dtype))
    rows = bt.fit(model, optimizer, batches(), epochs=2, test=batches(), precision="bfloat16")
    assert dtypes == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert {x.dtype for entry in optimizer.state.values() for x in entry.values()} == {torch.float32}
    exact = network(dropout=0.0)
    reference = bt.fit(exact, OPTIMIZERS[name](exact), batches(), epochs=2, test=batches())
    assert rows[-1]["train_loss"] != reference[-1]["train_loss"]
    assert rows[-1]["train_loss"] == pytest.approx(reference[-1]["train_loss"], rel=0.02)


def test_schedules_wait_where_the_scaler_skips_a_step() -> None:
    """The first scale of 65,536 makes the gradients of this loss overflow in float16."""
    model, optimizer = fresh(dropout=0.0)
    before, hook, taken = model[0][1].weight.detach().clone(), Hook(), []
    optimizer.register_step_post_hook(lambda *_: taken.append(1))
    weights: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda *_: weights.append(model[0][1].weight.detach().clone()))
    rows = bt.fit(
        model,
        optimizer,
        batches(),
        epochs=3,
        schedules=[hook],
        precision="float16",
        loss=lambda out, y: 100 * F.cross_entropy(out, y),
    )
    assert torch.equal(weights[1], before)  # the first step was skipped
    assert hook.steps == len(taken) < rows[-1]["step"] == 18
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_channels_last_is_the_format_of_model_batches_and_duals() -> None:
    results = []
    for flag in (False, True):
        torch.manual_seed(0)
        model = bt.models.resnet((4, 8), (1, 1), in_channels=1, generator=torch.Generator().manual_seed(0))
        optimizer = bt.LinBreg(bt.parameter_groups(model, 0.01, conv={"reg": bt.GroupL2("kernels")}), lr=0.05)
        seen: list[bool] = []
        model.stages.register_forward_pre_hook(
            lambda m, x, s=seen: s.append(x[0].is_contiguous(memory_format=torch.channels_last))
        )
        rows = bt.fit(model, optimizer, batches(), epochs=1, test=batches(), channels_last=flag)
        weight = model.stages[0][0].conv1.weight
        dual = optimizer.state[weight]["dual"]
        assert set(seen) == {flag}
        assert weight.is_contiguous(memory_format=torch.channels_last) == flag
        assert dual.is_contiguous(memory_format=torch.channels_last) == flag
        results.append([rows[0]["train_loss"], rows[0]["test_loss"]])
    assert results[0] == pytest.approx(results[1], rel=1e-4)


@pytest.mark.skipif(not torch._dynamo.is_dynamo_supported(), reason="this build of torch does not compile")
def test_a_compiled_network_learns_the_same() -> None:
    graphs: list[Any] = []

    def backend(module: Any, inputs: Any) -> Any:
        graphs.append(module)
        return module

    rows = [
        bt.fit(*fresh(dropout=0.0), batches(20), epochs=2, test=batches(20), compile=choice)
        for choice in (False, {"backend": backend})
    ]
    assert graphs
    assert without_time(rows[0]) == without_time(rows[1])


# --- waiting, showing, failing --------------------------------------------------------------------------------------


def test_no_step_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read from the device in an epoch does not depend on the number of steps."""
    counts = []
    for n in (40, 200):
        calls: list[str] = []
        with monkeypatch.context() as patch:
            for name in ("item", "tolist", "__float__", "__bool__", "cpu"):
                old = getattr(torch.Tensor, name)
                patch.setattr(torch.Tensor, name, lambda *a, c=calls, o=old, n=name: (c.append(n), o(*a))[1])
            bt.fit(*fresh(), batches(n), epochs=1)
        counts.append(len(calls))
    assert 0 < counts[0] == counts[1]


def test_a_bar_is_shown_in_a_terminal_or_if_asked_for(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bt.fit(*fresh(), batches(), epochs=1)
    assert capfd.readouterr() == ("", "")
    bt.fit(*fresh(), batches(), epochs=2, progress=True)
    shown = capfd.readouterr()
    assert "12/12" in shown.err
    assert not shown.out
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bt.fit(*fresh(), batches(), epochs=1)
    assert "6/6" in capfd.readouterr().err
    bt.fit(*fresh(), batches(), epochs=1, progress=False)
    assert not capfd.readouterr().err


@pytest.mark.parametrize(("bad", "epoch"), [(1, 1), (4, 1), (9, 2)])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_named(bad: int, epoch: int, value: float) -> None:
    count = itertools.count(1)
    model, optimizer = fresh()
    with pytest.raises(RuntimeError, match=rf"the loss is {value} in epoch {epoch}, step {bad}: .* smaller lr"):
        bt.fit(
            model,
            optimizer,
            batches(),
            epochs=5,
            loss=lambda out, y: F.cross_entropy(out, y) * (value if next(count) == bad else 1),
        )
    assert model.training


def test_a_test_loss_that_is_no_number_is_named() -> None:
    data = [(x * (float("nan") if i == 1 else 1), y) for i, (x, y) in enumerate(batches())]
    with pytest.raises(RuntimeError, match="the loss is nan in batch 2 of valid"):
        bt.fit(*fresh(), batches(), epochs=1, test={"valid": data})


def test_a_gradient_that_is_no_number_in_the_last_step_is_named() -> None:
    """No batch comes after it whose loss would tell."""
    model, optimizer = fresh()
    steps = iter(range(1, 100))
    model[0][1].weight.register_hook(lambda g: g / 0 if next(steps) == 6 else g)
    with pytest.raises(RuntimeError, match=r"0\.1\.weight is not finite after step 6: take a smaller lr, or clip"):
        bt.fit(model, optimizer, batches(), epochs=1)


def test_a_batch_of_one_image() -> None:
    """Without batch normalisation it is one like any other; with it torch refuses, and drop_last=True is the cure."""
    one = batches(batch_size=1)
    model = bt.models.mlp((16, 8, 3))
    assert bt.fit(model, linbreg(model), one, epochs=1)[0]["step"] == N
    left_over = batches(21)  # five batches of four, and one image
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        bt.fit(*fresh(), left_over, epochs=1)
    assert bt.fit(*fresh(), batches(21, drop_last=True), epochs=1)[0]["step"] == 5


@pytest.mark.parametrize("name", ["momentum", "AdaBreg", "ProxSGD"])
def test_a_layer_may_be_frozen_and_thawed_between_steps(name: str) -> None:
    model, _ = fresh()
    optimizer = OPTIMIZERS[name](model)
    w, seen = model[0][1].weight, []

    def freeze(step: int) -> None:
        seen.append((w.detach().clone(), {k: v.clone() for k, v in optimizer.state[w].items()}))
        w.requires_grad_(step not in (2, 3))

    bt.fit(model, optimizer, batches(), epochs=1, schedules=[Hook(freeze)])
    moved = [not torch.equal(a[0], b[0]) for a, b in itertools.pairwise(seen)]
    assert moved == [True, False, False, True, True]
    assert all(torch.equal(x, seen[3][1][key]) for key, x in seen[1][1].items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs must be an integer of at least 0, got -1"),
        ({"epochs": 1.5}, "epochs must be an integer of at least 0, got 1.5"),
        ({"precision": "float61"}, "precision must be one of .* got 'float61'; did you mean 'float16'"),
        ({"clip": 0.0}, "clip must be the largest norm of a gradient, so > 0, got 0.0"),
        ({"metrics": {"loss": top}}, "metrics must not hold 'loss'"),
        ({"train": []}, "train has no batches"),
        ({"test": iter([])}, "the batches of test gave no image"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], message: str) -> None:
    model, optimizer = fresh()
    with pytest.raises(ValueError, match=message):
        bt.fit(model, optimizer, **{"train": batches(), "epochs": 1, **options})


def test_levels_cannot_scale_their_gradients() -> None:
    networks: list[nn.Module] = [bt.models.mlp((16, 3)), bt.models.mlp((16, 3))]
    with pytest.raises(ValueError, match="precision='float16' does not suit Levels, use 'bfloat16'"):
        bt.fit(networks[0], Levels(networks), batches(), epochs=1, precision="float16")


def test_no_epoch_is_no_training() -> None:
    model, optimizer = fresh()
    before = [p.detach().clone() for p in model.parameters()]
    assert bt.fit(model, optimizer, batches(), epochs=0) == []
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


# --- on a GPU -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("options", [{}, {"precision": "bfloat16"}, {"precision": "float16"}, {"channels_last": True}])
def test_a_gpu_learns_what_a_cpu_does(options: dict[str, Any]) -> None:
    ends = []
    for device in ("cpu", "cuda"):
        model = bt.models.resnet((8, 16), (1, 1), in_channels=1, generator=torch.Generator().manual_seed(0)).to(device)
        train = Loader(images(), BATCH, seed=3, device=device)
        optimizer = bt.AdaBreg(bt.parameter_groups(model, lam=0.001), lr=0.001)
        rows = bt.fit(model, optimizer, train, epochs=2, test=train, **options)
        ends.append([rows[-1]["train_loss"], rows[-1]["test_loss"]])
        assert {x.dtype for entry in optimizer.state.values() for x in entry.values()} == {torch.float32}
    assert ends[0] == pytest.approx(ends[1], rel=1e-3 if not options.get("precision") else 0.05)


def test_an_optimizer_of_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match="optimizer holds no parameter of the model"):
        bt.fit(network(), linbreg(network()), batches(), epochs=1)


def test_an_unknown_precision_of_an_evaluation_is_named() -> None:
    with pytest.raises(ValueError, match=r"precision must be one of .*'float16', got 'fp16'"):
        bt.evaluate(network(), batches(), precision="fp16")
