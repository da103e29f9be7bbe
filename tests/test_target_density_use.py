"""TargetDensity in use: what it refuses, after a stop, in fit, with autocast, in several processes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from density_runs import RULES, awake, build, each_rule, go_on
from optim_table import Case, draw
from torch import distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import bregtutorial as bt
from bregtutorial.regularizers import L1, Nuclear
from bregtutorial.schedules import Ramp


def through_a_file(data: Any) -> Any:
    file = io.BytesIO()
    torch.save(data, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@each_rule
@pytest.mark.parametrize("control_last", [True, False])
@pytest.mark.parametrize("stop", [1, 7, 20])
def test_a_resumed_run_is_the_run_that_never_stopped(rule: str, control_last: bool, stop: int) -> None:
    def fresh(saved: Any = None) -> Any:
        params, opt = build(Case("", bt.AdaBreg))
        if saved and control_last:
            opt.load_state_dict(saved[1])
        control = bt.TargetDensity(opt, Ramp(0.6, 0.2, 20, "cubic"), rule=rule, every=3, warmup=2)
        if saved:
            control.load_state_dict(saved[2])
            opt.load_state_dict(saved[1])
            with torch.no_grad():
                for p, q in zip(params, saved[0], strict=True):
                    p.copy_(q)
        return params, opt, control

    whole, first = fresh(), fresh()
    go_on(*whole, range(30))
    go_on(*first, range(stop))
    second = fresh(through_a_file([first[0], first[1].state_dict(), first[2].state_dict()]))
    go_on(*second, range(stop, 30))
    assert [g["lam"] for g in second[1].param_groups] == [g["lam"] for g in whole[1].param_groups]
    assert second[2].state_dict() == whole[2].state_dict()
    for p, q in zip(whole[0], second[0], strict=True):
        assert torch.equal(p, q)
        assert torch.equal(whole[1].state[p]["dual"], second[1].state[q]["dual"])


class Unknown(L1):
    name = "unknown"
    wakes_below = property()  # type: ignore[assignment]


ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"density": 0.0}, r"density must be in \(0, 1\), or a function of the step, got 0.0"),
    ({"density": 1.0}, r"density must be in \(0, 1\)"),
    ({"density": float("nan")}, r"density must be in \(0, 1\)"),
    (
        {"rule": "quantil"},
        "rule must be one of 'quantile', .*, got 'quantil'; did you mean 'quantile'?",
    ),
    ({"every": 0}, "every must be an integer >= 1, got 0"),
    ({"every": 0.5}, "every must be an integer >= 1, got 0.5"),
    ({"warmup": -1}, "warmup must be an integer >= 0, got -1"),
    ({"gain": 0.0}, "gain must be > 0 and finite, got 0.0"),
    ({"damping": 1.5}, r"damping must be in \(0, 1\], got 1.5"),
    ({"bounds": (0.0, 1.0)}, r"bounds must be two numbers with 0 < smallest <= largest, got \(0.0, 1.0\)"),
    ({"bounds": (2.0, 1.0)}, "bounds must be two numbers"),
    (
        {"group": "head"},
        r"no param group 'head' with a regularizer and lam > 0; there are \['conv', ",
    ),
    ({"group": "bias"}, "no param group 'bias' with a regularizer"),
]


@pytest.mark.parametrize(("arguments", "text"), ERRORS)
def test_bad_settings_are_refused_and_change_nothing(arguments: Any, text: str) -> None:
    _, opt = build(Case("", bt.LinBreg))
    with pytest.raises(ValueError, match=text):
        bt.TargetDensity(opt, **{"density": 0.1, **arguments})
    assert [g["lam"] for g in opt.param_groups] == [0.15, 0.45, 0.15]


def test_what_has_no_duals_or_no_zeros_is_refused_by_name() -> None:
    w = torch.nn.Parameter(torch.zeros(3, 3))
    with pytest.raises(TypeError, match="must be LinBreg or AdaBreg, whose duals say who wakes, got ProxSGD"):
        bt.TargetDensity(bt.ProxSGD([w], lam=0.1), 0.1)
    with pytest.raises(ValueError, match="no param group with a regularizer and lam > 0"):
        bt.TargetDensity(bt.LinBreg([w]), 0.1)
    for rule in RULES:
        with pytest.raises(ValueError, match=r"group 0 has Nuclear\(\): a matrix of low rank has no zeros to count"):
            bt.TargetDensity(bt.LinBreg([w], lam=0.1, reg=Nuclear()), 0.1, rule=rule)
    opt = bt.LinBreg([w], lam=0.1, reg=Unknown())
    with pytest.raises(ValueError, match="needs a regularizer with a method wakes_below"):
        bt.TargetDensity(opt, 0.1)
    w.grad = draw(3, 3, seed=0).float()
    control = bt.TargetDensity(opt, 0.5, rule="odds")
    for _ in range(30):
        opt.step()
        control.step()
    assert 3 <= awake(w) <= 6


def test_a_function_must_give_a_density_at_every_step() -> None:
    params, opt = build(Case("", bt.LinBreg))
    control = bt.TargetDensity(opt, lambda k: 1.5 if k == 2 else 0.5, every=1)
    with pytest.raises(ValueError, match=r"density must be in \(0, 1\), got 1.5 at step 2"):
        go_on(params, opt, control, range(3))


def test_infinite_duals_are_named() -> None:
    params, opt = build(Case("", bt.LinBreg))
    control = bt.TargetDensity(opt, 0.1, every=1)
    for p in params:
        p.grad = torch.full_like(p, torch.inf)
    opt.step()
    with pytest.raises(RuntimeError, match="19 or more duals are infinite or NaN: lower lr, clip gradients"):
        control.step()


def test_a_state_of_another_control_is_refused() -> None:
    _, opt = build(Case("", bt.LinBreg))
    saved = bt.TargetDensity(opt, 0.1, rule="odds").state_dict()
    for control in (bt.TargetDensity(opt, 0.1), bt.TargetDensity(opt, 0.1, rule="odds", group="conv")):
        before = control.state_dict()
        with pytest.raises(ValueError, match=r"the state is of rule='odds' on param groups \[0, 1\], this control has"):
            control.load_state_dict(saved)
        assert control.state_dict() == before


def digits(optimizer: str, rule: str, lam: float = 0.1, **options: Any) -> Any:
    gen = torch.Generator().manual_seed(0)
    model = bt.models.mlp((784, 40, 10), generator=gen)
    bt.sparse_init_(model, 0.02, generator=gen)
    groups = bt.parameter_groups(model, lam=lam)
    opt = bt.AdaBreg(groups, lr=3e-3) if optimizer == "adabreg" else bt.LinBreg(groups, lr=0.3, momentum=0.9)
    train = bt.data.Loader(bt.load_dataset("digits"), 100, normalise=False)
    return model, opt, train, bt.TargetDensity(opt, rule=rule, **options)


@pytest.mark.parametrize("rule", ["quantile", "odds"])
@pytest.mark.parametrize("optimizer", ["linbreg", "adabreg"])
def test_fit_hits_the_density_from_any_guess(optimizer: str, rule: str) -> None:
    for target, lam in ((0.05, 1e-3), (0.2, 10.0)):
        model, opt, train, control = digits(optimizer, rule, lam, density=target)
        rows = bt.fit(model, opt, train, epochs=10, schedules=[control])
        assert rows[-1]["density"] == pytest.approx(target, rel=0.001 if rule == "quantile" else 0.05)
        assert rows[-1]["lam"] == control.lam
        assert rows[-1]["train_accuracy"] > 0.8


def test_the_published_rule_needs_a_good_guess() -> None:
    ends = []
    for lam in (1e-3, 10.0):
        model, opt, train, control = digits("linbreg", "difference", lam, density=0.05)
        ends.append(bt.fit(model, opt, train, epochs=5, schedules=[control])[-1]["density"])
    assert ends[0] > 2 * 0.05
    assert ends[1] < 0.05 / 2


class StopError(Exception):
    """Where the run below is interrupted."""


@each_rule
def test_fit_resumes_the_control_with_the_rest(rule: str, tmp_path: Path) -> None:
    def run(folder: Path, stop: int | None) -> Any:
        model, opt, train, control = digits("adabreg", rule, density=Ramp(0.5, 0.1, 60, "cubic"), every=7)

        def log(row: dict[str, float]) -> None:
            if row["epoch"] == stop:
                raise StopError

        rows = bt.fit(model, opt, train, epochs=3, schedules=[control], checkpoint=folder, log=log)
        return [{k: v for k, v in row.items() if k != "seconds"} for row in rows], [*model.parameters()], control

    whole = run(tmp_path / "whole", None)
    with pytest.raises(StopError):
        run(tmp_path / "cut", 2)
    again = run(tmp_path / "cut", None)
    assert again[0] == whole[0]
    assert all(torch.equal(p, q) for p, q in zip(again[1], whole[1], strict=True))
    assert again[2].state_dict() == whole[2].state_dict()


@each_rule
def test_a_step_that_a_grad_scaler_skips_does_no_harm(rule: str) -> None:
    params, opt = build(Case("", bt.LinBreg))
    control, scaler = bt.TargetDensity(opt, 0.25, rule=rule, every=1), torch.amp.GradScaler("cpu", init_scale=4.0)
    for k in range(8):
        opt.zero_grad()
        loss = sum((p * draw(*p.shape, seed=10 * k + i)).sum() for i, p in enumerate(params))
        scaler.scale(loss * (torch.inf if k in (0, 4) else 1.0)).backward()
        duals = [opt.state[p]["dual"].clone() for p in params if opt.state]
        scaler.step(opt)
        control.step()
        if k in (0, 4):
            assert len(duals) == (3 if k else 0)
            assert all(torch.equal(v, opt.state[p]["dual"]) for v, p in zip(duals, params, strict=bool(k)))
        scaler.update()
    assert all(bool(p.isfinite().all()) for p in params)
    assert awake(*params[:2]) == 48 or rule != "quantile"


class Sharded(nn.Module):
    """Two layers that FSDP2 can shard."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 7), nn.Linear(7, 2)
        with torch.no_grad():
            for i, p in enumerate(self.parameters()):
                p.copy_(draw(*p.shape, seed=i).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x).tanh())


def strengths(rank: int, world: int, wrap: str, rule: str, reg: Any) -> list[float]:
    """lam after each step on this rank's part of the batches."""
    model: Any = Sharded()
    if wrap == "fsdp":
        from torch.distributed.fsdp import fully_shard

        fully_shard(model)
    opt = bt.AdaBreg(bt.parameter_groups(model, lam=0.02, reg=reg), lr=0.02)
    if wrap == "ddp":
        model = DistributedDataParallel(model)
    control, found = bt.TargetDensity(opt, 0.3, rule=rule, every=2), []
    for k in range(8):
        x, y = draw(8, 6, seed=100 + k).float(), draw(8, 2, seed=200 + k).float()
        part = slice(rank * 8 // world, (rank + 1) * 8 // world)
        opt.zero_grad()
        F.mse_loss(model(x[part]), y[part]).backward()
        opt.step()
        control.step()
        found.append(control.lam)
    return found


RUNS: list[tuple[str, str, Any]] = [
    *[("ddp", rule, L1()) for rule in RULES],
    *[("fsdp", *rest) for rest in (("quantile", bt.GroupL2("rows")), ("odds", L1()))],
]


def worker(rank: int, folder: str) -> None:
    """One of two processes; they meet in a file."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save([strengths(rank, 2, *run) for run in RUNS], f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this build of torch has no gloo"
)
def test_two_processes_agree_on_every_strength(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(worker, (str(tmp_path),), nprocs=2)
    both = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert both[0] == both[1]  # to the last bit
    for run, found in zip(RUNS, both[0], strict=True):
        assert found == pytest.approx(strengths(0, 1, "alone", *run[1:]), rel=1e-3), run
        assert len({*found}) > 3
