"""Every failure is found on a run that has it, its number is right, its cure cures; and healthy runs have none."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import bregtutorial as bt
from bregtutorial.diagnosis import Diagnosis, Finding

GROUPS = ("filters", "inputs", "kernels")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(density: float | None = 0.05, seed: int = 0) -> nn.Sequential:
    """A little of everything: convolution, norm layer, matrices, biases."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        *(nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(16 * 36, 30), nn.ReLU(), nn.Linear(30, 4)),
    )
    if density is not None:
        bt.sparse_init_(net, density, generator=rng(seed))
    return net


def train(net: nn.Module, opt: torch.optim.Optimizer, steps: int = 60, after: Callable[[], Any] | None = None) -> None:
    """Four noisy prototypes to tell apart; ``after`` runs after every step."""
    stream = rng(1)
    prototypes = torch.randn(4, 1, 8, 8, generator=stream)
    for _ in range(steps):
        y = torch.randint(4, (32,), generator=stream)
        x = prototypes[y] + 0.5 * torch.randn(32, 1, 8, 8, generator=stream)
        opt.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
        if after is not None:
            after()


def names(diagnosis: Diagnosis) -> list[str]:
    return [finding.name for finding in diagnosis]


def adabreg(net: nn.Module, lam: float = 0.3, **options: Any) -> bt.AdaBreg:
    return bt.AdaBreg(bt.parameter_groups(net, lam=lam, **options), lr=1e-2)


HEALTHY = {
    "AdaBreg": lambda net: adabreg(net),
    "LinBreg": lambda net: bt.LinBreg(bt.parameter_groups(net, lam=0.05), lr=0.1),
    "momentum": lambda net: bt.LinBreg(bt.parameter_groups(net, lam=0.05), lr=0.1, momentum=0.9),
    "delta": lambda net: bt.LinBreg(bt.parameter_groups(net, lam=0.05), lr=0.02, delta=5.0),
    "ProxSGD": lambda net: bt.ProxSGD(bt.parameter_groups(net, lam=0.01), lr=0.1),
    "kernels": lambda net: adabreg(net, conv={"reg": bt.GroupL2("kernels")}),
    "rows": lambda net: adabreg(net, lam=0.2, reg=bt.GroupL2("rows"), kinds={"6.weight": "other"}),
    "sparse rows": lambda net: adabreg(net, lam=0.2, reg=bt.SparseGroupL2("rows"), kinds={"6.weight": "other"}),
}


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_run_has_no_finding_from_the_first_step_to_the_last(name: str, seed: int) -> None:
    net = network(None, seed)
    rows = name.endswith("rows")  # in a tenth of all rows, or in a few: the last layer, of four, stays dense
    target, groups = (net[:6], "rows") if rows else (net, "kernels" if name == "kernels" else None)
    bt.sparse_init_(target, 0.2 if rows else 0.05, groups=groups, generator=rng(seed))
    opt, steps = HEALTHY[name](net), 0
    assert not bt.diagnose(net, opt)

    def look() -> None:
        nonlocal steps
        steps += 1
        if steps in (1, 2, 5, 20, 60):
            found = bt.diagnose(net, opt, progress=steps / 60)
            assert not found, f"step {steps}: {found}"

    train(net, opt, 60, look)
    assert repr(bt.diagnose(net, opt)) == f"density {bt.density(net):.2%}, no finding"


def test_a_diagnosis_changes_nothing() -> None:
    net = network()
    opt = adabreg(net, lam=100.0)
    train(net, opt, 3)
    before = copy.deepcopy(net), {name: {**opt.state[p]} for name, p in net.named_parameters()}
    versions = [(p, p._version) for p in net.parameters()] + [
        (s["dual"], s["dual"]._version) for s in opt.state.values()
    ]
    assert bt.diagnose(net, opt)
    assert all(map(torch.equal, net.state_dict().values(), before[0].state_dict().values()))
    assert all(
        opt.state[p][key] is old[key]
        for (name, p) in net.named_parameters()
        for old in [before[1][name]]
        for key in old
    )
    assert all(tensor._version == version for tensor, version in versions)


def test_asking_before_the_first_step_leaves_no_state() -> None:
    net = network()
    opt = adabreg(net)
    assert not bt.diagnose(net, opt)
    assert not opt.state


def test_left_out() -> None:
    net = network()
    opt = adabreg(net)
    net.append(nn.Linear(4, 2))
    finding = bt.diagnose(net, opt)["left out"]
    assert (finding.where, finding.number) == (("7.weight", "7.bias"), 10)
    assert "left out" not in bt.diagnose(net, adabreg(net))
    net[7].requires_grad_(False)
    assert "left out" not in bt.diagnose(net, opt)


def test_an_optimizer_of_another_model_is_refused() -> None:
    net = network()
    with pytest.raises(ValueError, match="holds no parameter of this Sequential"):
        bt.diagnose(copy.deepcopy(net), adabreg(net))


def test_no_gradient() -> None:
    net = network()
    net.unused = nn.Linear(3, 2)
    bt.sparse_init_(net.unused, 0.5, generator=rng())
    net.forward = lambda x: nn.Sequential(*list(net)[:7])(x)
    opt = adabreg(net)
    assert "no gradient" not in bt.diagnose(net, opt)
    train(net, opt, 2)
    finding = bt.diagnose(net, opt)["no gradient"]
    assert (finding.where, finding.number) == (("unused.weight", "unused.bias"), 8)
    net.unused.requires_grad_(False)
    assert "no gradient" not in bt.diagnose(net, opt)


@pytest.mark.parametrize(
    "make",
    [
        lambda net: bt.AdaBreg(net.parameters()),
        lambda net: bt.LinBreg(net.parameters(), reg=bt.Zero(), lam=1.0),
        lambda net: bt.ProxSGD(bt.parameter_groups(net, lam=0.0)),
    ],
)
def test_no_penalty(make: Callable[[nn.Module], Any]) -> None:
    net = network()
    opt = make(net)
    train(net, opt, 2)
    assert names(bt.diagnose(net, opt)) == ["no penalty"]
    assert bt.diagnose(net, opt)["no penalty"].number == 0


def test_wrong_penalty() -> None:
    net = network()
    opt = bt.AdaBreg(net.parameters(), lam=0.3, lr=1e-2)
    found = bt.diagnose(net, opt)
    finding = found["wrong penalty"]
    assert finding.where == ("0.bias", "1.weight", "1.bias", "4.bias", "6.bias")
    assert finding.number == pytest.approx(16 / (16 + 16 + 16 + 30 + 4))  # a norm layer's shift starts at 0
    assert "0.bias, 1.weight, 1.bias and 2 more" in repr(finding)
    assert "wrong penalty" not in bt.diagnose(net, adabreg(net))


def test_norm_layers_of_any_kind_count() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.RMSNorm(4))
    bt.sparse_init_(net, 0.4, generator=rng())
    opt = bt.LinBreg([{"params": list(net.parameters()), "lam": 1.0}])
    assert bt.diagnose(net, opt)["wrong penalty"].where == (
        *("0.bias", "1.weight", "1.bias", "2.weight", "2.bias", "3.weight"),
    )


def test_half_precision() -> None:
    net = network()
    opt = adabreg(net)
    train(net, opt, 1)
    net.bfloat16()
    finding = bt.diagnose(net, opt)["half precision"]
    assert len(finding.where) == 8
    one = torch.ones((), dtype=torch.bfloat16)
    assert one + finding.number == 1  # rounded away
    assert one + 1.01 * finding.number > 1


def test_a_half_dual_is_found_too() -> None:
    net = network()
    opt = adabreg(net)
    train(net, opt, 1)
    weight = net[4].weight
    opt.state[weight]["dual"] = opt.state[weight]["dual"].half()
    assert bt.diagnose(net, opt)["half precision"].where == ("4.weight",)


def test_not_finite() -> None:
    net = network()
    opt = adabreg(net)
    train(net, opt, 1)
    with torch.no_grad():
        net[4].weight[0, :3] = torch.nan
        net[6].bias[0] = torch.inf
    finding = bt.diagnose(net, opt)["not finite"]
    assert (finding.where, finding.number) == (("4.weight", "6.bias"), 4)


EDITS = {
    "clipping": lambda net, opt: [p.clamp_(-0.1, 0.1) for p in net.parameters()],
    "weight decay": lambda net, opt: [p.mul_(1 - 1e-5) for p in net.parameters()],
    "pruning": lambda net, opt: net[4].weight[0].zero_(),
    "other weights": lambda net, opt: net.load_state_dict(network(seed=3).state_dict()),
    "lam by hand": lambda net, opt: opt.param_groups[1].update(lam=0.2),
    "delta by hand": lambda net, opt: opt.param_groups[1].update(delta=1.001),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("cure", ["reset_dual", "apply_prox"])
def test_edited(edit: str, cure: str) -> None:
    net = network()
    opt = adabreg(net)
    train(net, opt)
    with torch.no_grad():
        EDITS[edit](net, opt)
    finding = bt.diagnose(net, opt)["edited"]
    assert "4.weight" in finding.where
    kept = net[4].weight.detach().clone()
    getattr(opt, cure)()
    assert "edited" not in bt.diagnose(net, opt)
    change = (net[4].weight - kept).abs().max().item()
    assert change < 1e-6 if cure == "reset_dual" else change > 1e-6


def test_the_gap_of_an_edit_is_its_size() -> None:
    net = network()
    opt = adabreg(net)
    train(net, opt, 5)
    with torch.no_grad():
        net[4].weight[2, 3] += 0.25
        net[0].bias[0] -= 0.125
    finding = bt.diagnose(net, opt)["edited"]
    assert set(finding.where) == {"4.weight", "0.bias"}
    assert finding.number == pytest.approx(0.25)


def test_the_package_s_own_changes_of_lam_are_no_edits() -> None:
    net = network()
    opt = adabreg(net)
    train(net, opt)
    opt.set_lam(0.25)
    assert "edited" not in bt.diagnose(net, opt)
    opt.set_lam(0.35, keep="weights")
    assert "edited" not in bt.diagnose(net, opt)


def test_an_empty_layer() -> None:
    net = network()
    with torch.no_grad():
        net[4].weight.zero_()
    opt = adabreg(net, lam=5.0)
    assert bt.diagnose(net, opt)["empty"].where == ("4",)
    train(net, opt, 3)
    finding = bt.diagnose(net, opt)["empty"]
    assert finding.number == pytest.approx((opt.state[net[4].weight]["dual"].abs().max() / 5.0).item(), rel=1e-5)
    assert "kinds=" in finding.cure


def test_a_start_from_zero() -> None:
    net = network()
    with torch.no_grad():
        for layer in (net[0], net[4], net[6]):
            layer.weight.zero_()
    opt = adabreg(net)
    finding = bt.diagnose(net, opt)["empty"]
    assert (finding.where, finding.number) == (("0", "4", "6"), 0.0)
    assert "sparse_init_" in finding.cure


@pytest.mark.parametrize("reg", [bt.L1(), bt.GroupL2("rows"), bt.SparseGroupL2("rows"), bt.Nuclear()])
def test_dense_from_the_start(reg: Any) -> None:
    net = network(None)
    opt = adabreg(net, lam=0.3, reg=reg)
    train(net, opt, 2)
    found = bt.diagnose(net, opt, progress=2 / 60)
    assert found["dense"].where == ("conv", "linear")
    assert found["dense"].number > 0.9
    assert "asleep" not in found
    assert (" with groups='filters'" in found["dense"].cure) == hasattr(reg, "groups")


def test_rows_that_were_masked_weight_by_weight_fill_up_at_once() -> None:
    net = network(0.05)
    opt = adabreg(net, lam=0.3, reg=bt.GroupL2("rows"))
    train(net, opt, 3)
    assert "dense" in bt.diagnose(net, opt)


def lam_of(cure: str) -> tuple[float, Any]:
    """Arguments of the set_lam in a cure, as a reader would copy them."""
    arguments = cure.split("opt.set_lam(")[1].split(")")[0]
    lam, key = arguments.split(", group=")
    return float(lam), eval(key)


@pytest.mark.parametrize("named", [True, False])
def test_filled_up_and_the_cure_leaves_a_tenth(named: bool) -> None:
    net = network()
    groups = bt.parameter_groups(net, lam=1e-3)
    opt = bt.AdaBreg(groups if named else [{k: v for k, v in g.items() if k != "name"} for g in groups], lr=1e-2)
    train(net, opt)
    finding = bt.diagnose(net, opt)["dense"]
    assert finding.where == (("conv", "linear") if named else ("group 0", "group 1"))
    lam, key = lam_of(finding.cure)
    opt.set_lam(lam, group=key)
    worst = [net[0].weight] if key in ("conv", 0) else [net[4].weight, net[6].weight]
    assert share(worst) == pytest.approx(0.1, abs=0.01)


def share(weights: list[Tensor]) -> float:
    return sum(int((w != 0).sum()) for w in weights) / sum(w.numel() for w in weights)


def evidence_of(weights: list[Tensor], opt: bt.AdaBreg, times: float) -> float:
    """The size of v above which lie ``times`` as many weights as are awake."""
    duals = torch.cat([opt.state[w]["dual"].abs().flatten() for w in weights])
    return duals.sort(descending=True).values[int(times * share(weights) * len(duals))].item()


def test_asleep_and_the_cure_doubles_the_density() -> None:
    net = network()
    opt = adabreg(net, lam=20.0)
    train(net, opt)
    finding = bt.diagnose(net, opt)["asleep"]
    assert finding.where == ("conv", "linear")
    weights, before = [net[0].weight, net[4].weight, net[6].weight], bt.density(net)
    assert finding.number == pytest.approx(evidence_of(weights, opt, 1.1) / 20.0, rel=1e-4)
    factor = float(finding.cure.split()[2])
    assert factor == pytest.approx(evidence_of(weights, opt, 2) / 20.0, rel=1e-2)
    opt.set_lam(factor * 20.0)
    assert bt.density(net) == pytest.approx(2 * before, rel=0.05)


def test_asleep_extrapolates_by_progress() -> None:
    net = network()
    opt = adabreg(net, lam=0.3)
    train(net, opt, 6)  # at most 0.06 = 20 % of lam
    assert "asleep" in bt.diagnose(net, opt)
    assert "asleep" not in bt.diagnose(net, opt, progress=0.1)
    net = network()
    opt = started(net, 1000.0)
    assert "asleep" in bt.diagnose(net, opt, progress=0.1)
    assert "asleep" not in bt.diagnose(net, opt, progress=0.09)  # too early to tell


def test_survivors_that_became_zero_do_not_hide_that_nothing_wakes() -> None:
    net = network()
    opt = started(net, 20.0)
    fallen = net[4].weight.detach().abs().flatten().topk(40).indices
    opt.state[net[4].weight]["dual"].flatten()[fallen] *= 0.0
    opt.state[net[4].weight]["dual"].flatten()[fallen] += 19.99
    opt.apply_prox()
    assert "asleep" in bt.diagnose(net, opt)


def test_a_schedule_that_ended_too_early_is_named() -> None:
    net = network()
    opt = adabreg(net, lam=20.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 30)
    train(net, opt, 30, schedule.step)
    assert "the schedule has taken lr to 0.0% of its start" in bt.diagnose(net, opt)["asleep"].cure
    net = network()
    assert "schedule" not in bt.diagnose(net, started(net, 20.0))["asleep"].cure


def started(net: nn.Module, lam: float) -> bt.AdaBreg:
    opt = adabreg(net, lam=lam)
    train(net, opt, 3)
    return opt


@pytest.mark.parametrize("groups", GROUPS)
def test_sleeping_groups_are_measured_by_their_norms(groups: str) -> None:
    conv = nn.Conv2d(6, 9, 3, bias=False)
    bt.sparse_init_(conv, 0.2, groups=groups, generator=rng(4))
    opt = bt.LinBreg([{"params": [conv.weight], "reg": bt.GroupL2(groups), "lam": 3.0}], lr=0.1)
    conv.weight.grad = torch.randn(conv.weight.shape, generator=rng(5))
    opt.step()
    active = (conv.weight != 0).double().mean().item()
    v = opt.state[conv.weight]["dual"]
    dims = {"filters": (1, 2, 3), "inputs": (0, 2, 3), "kernels": (2, 3)}[groups]
    norms = v.square().sum(dims).sqrt().flatten().sort(descending=True).values
    expected = norms[int(1.1 * active * len(norms) + 1e-6)] / (v.numel() / len(norms)) ** 0.5 / 3.0
    assert bt.diagnose(conv, opt)["asleep"].number == pytest.approx(expected.item(), rel=1e-4)


def test_a_network_with_many_weights_awake_is_not_called_asleep() -> None:
    net = network(0.3)
    assert "asleep" not in bt.diagnose(net, started(net, 20.0))


def test_wrapped_tied_and_reparametrised_models_are_understood() -> None:
    net = network()
    net[6] = nn.Linear(30, 30)
    net[6].weight = nn.Parameter(torch.zeros(30, 30))
    net.append(nn.Linear(30, 30))
    net[7].weight = net[6].weight
    opt = bt.LinBreg([{"params": list(net.parameters()), "lam": 1.0}])
    assert bt.diagnose(nn.ModuleDict({"module": net}), opt)["empty"].where == ("module.6",)
    model = nn.Sequential(weight_norm(nn.Linear(5, 4)), nn.Linear(4, 3))
    bt.sparse_init_(model[1], 0.5, generator=rng())
    assert not bt.diagnose(model, bt.LinBreg(bt.parameter_groups(model, lam=1.0)))


def test_errors_say_what_is_asked_for() -> None:
    net = network()
    with pytest.raises(TypeError, match="needs a LinBreg, AdaBreg or ProxSGD, got Adam"):
        bt.diagnose(net, torch.optim.Adam(net.parameters()))
    for progress in (0.0, -1.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"progress is the share .* got"):
            bt.diagnose(net, adabreg(net), progress=progress)


def test_a_report_is_a_collection_of_findings() -> None:
    first = Finding("asleep", ("conv",), 0.125, "a share", "less")
    second = Finding("empty", ("a", "b", "c", "d"), 0.0, "a number", "more " * 40)
    report = Diagnosis(0.01, (first, second))
    assert len(report) == 2
    assert list(report) == [first, second]
    assert "asleep" in report
    assert "dense" not in report
    assert report["empty"] is second
    with pytest.raises(KeyError, match=r"no finding 'dense'; there are \['asleep', 'empty'\]"):
        report["dense"]
    lines = repr(report).splitlines()
    assert lines[:3] == ["density 1.00%, 2 findings", "asleep: conv", "  number: 0.125 = a share"]
    assert lines[4] == "empty: a, b, c and 1 more"
    assert max(map(len, lines)) <= 100
    assert not Diagnosis(0.01, ())
