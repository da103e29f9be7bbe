"""Costs against hand-counted networks and formulas."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import bregtutorial as bt
from bregtutorial.cost import CostReport, flops, measure, peak_memory, report, timings, training_flops

LAYERS = {
    # module, input, multiplications by hand: outputs x inputs of one output x batch
    "linear": (nn.Linear(7, 5), (3, 7), 3 * 5 * 7),
    "linear on a sequence": (nn.Linear(7, 5), (3, 4, 7), 3 * 4 * 5 * 7),
    "conv1d": (nn.Conv1d(2, 6, 3), (3, 2, 10), 3 * 6 * 8 * 2 * 3),
    "conv2d": (nn.Conv2d(2, 6, (3, 5)), (3, 2, 10, 12), 3 * 6 * 8 * 8 * 2 * 15),
    "padding and stride": (nn.Conv2d(2, 6, 3, stride=2, padding=1), (3, 2, 9, 9), 3 * 6 * 25 * 2 * 9),
    "dilation": (nn.Conv2d(2, 6, 3, dilation=2), (1, 2, 9, 9), 6 * 25 * 2 * 9),
    "groups": (nn.Conv2d(4, 6, 3, groups=2), (1, 4, 9, 9), 6 * 49 * 2 * 9),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4), (1, 4, 9, 9), 4 * 49 * 9),
    "transposed": (nn.ConvTranspose2d(4, 6, 3), (1, 4, 9, 9), 4 * 81 * 6 * 9),
    "conv3d": (nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4), 3 * 27 * 2 * 8),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_two_flops_a_multiplication(name: str) -> None:
    layer, shape, macs = LAYERS[name]
    assert flops(layer, torch.zeros(shape)).dense == 2 * macs


def test_the_paper_s_networks() -> None:
    """MLP: its weights. ConvNet: 24x24 and 8x8 places. ResNet-18 with 32x32 images: 0.555 billion multiplications."""
    assert flops(bt.models.mlp(), torch.zeros(1, 784)).dense == 2 * 173_600
    convnet = 24**2 * 64 * 25 + 8**2 * 64 * 64 * 25 + 1024 * 128 + 128 * 10
    assert flops(bt.models.convnet(), torch.zeros(1, 1, 28, 28)).dense == 2 * convnet
    blocks = 2 * 2 * 32**2 * 64**2 * 9
    for width, side in ((128, 16), (256, 8), (512, 4)):
        blocks += side**2 * (width * width // 2 * 9 + 3 * width**2 * 9 + width * width // 2)
    assert flops(bt.models.resnet18(), torch.zeros(1, 3, 32, 32)).dense == 2 * (32**2 * 64 * 27 + blocks + 5120)


@torch.no_grad()
def test_zeros_count_by_the_places_that_their_layer_serves() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Flatten(), nn.Linear(128, 4))
    net[0].weight.zero_()[0] = 1.0  # 9 of 18 weights, at 64 places
    net[2].weight.zero_()[0, :3] = 1.0  # 3 of 512
    found = flops(net, torch.zeros(5, 1, 10, 10))
    assert [(layer.name, layer.density) for layer in found.layers] == [("0", 0.5), ("2", 3 / 512)]
    assert found.layers[0].dense == 2 * 5 * 64 * 18
    assert found.sparse == 2 * 5 * (64 * 9 + 3)
    by_weights = bt.density(net) * found.dense
    assert found.sparse > 4 * by_weights  # the wrong rule: one density for all layers
    assert str(found).splitlines()[-1].split() == ["all", "16,640", "34.80%", "5,790"]


def test_a_layer_that_is_used_twice_counts_twice_and_what_is_no_layer_counts_apart() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            y = self.fc(self.fc(x))
            return y @ y.T + torch.ones(2, 2)  # made without a device: it follows the mode

    found = flops(Net(), torch.zeros(2, 6))
    assert found.layers[0].dense == 2 * 2 * (2 * 36)
    assert found.rest == 2 * (2 * 2 * 6)
    assert found.dense == found.rest + found.layers[0].dense


def test_counting_computes_nothing_and_changes_nothing() -> None:
    """Even NaN inputs and a batch of one in a norm layer's training mode; running averages stay."""
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout())
    net[2].eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert flops(net, torch.full((1, 3), torch.nan)).dense == 24
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert [module.training for module in net] == [True, True, False]
    assert not net[0]._forward_hooks
    assert not net[0]._forward_pre_hooks


def test_a_model_that_fails_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Linear(3, 4)).train()
    with pytest.raises(RuntimeError):
        flops(net, torch.zeros(2, 5))
    assert net.training
    assert not net[0]._forward_hooks


def test_an_attention_layer_is_counted_in_evaluation_too() -> None:
    """Its fast path would hide the products in one kernel."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    tokens, width = 5, 8
    macs = tokens * width * (3 * width + width + 2 * 16) + 2 * tokens * tokens * width
    assert flops(layer.eval(), torch.zeros(1, tokens, width)).dense == 2 * macs


@pytest.mark.parametrize("s", [0.0, 0.07, 1.0])
def test_a_training_step_costs_what_the_papers_say(s: float) -> None:
    """SGD 3; LinBreg 1 + 2s; multilevel (3ms + 2s + 1)/(m + 1), in units of a dense forward pass."""
    assert training_flops(5.0) == 15.0
    assert training_flops(5.0, 5.0 * s) == pytest.approx(5 * (1 + 2 * s))
    for m in (1, 9, 99):
        assert training_flops(5.0, 5.0 * s, coarse_steps=m) == pytest.approx(5 * (3 * m * s + 2 * s + 1) / (m + 1))


def test_training_flops_of_figures_that_are_published() -> None:
    assert round(training_flops(1.0, 0.07) / training_flops(1.0), 3) == 0.38
    assert round(training_flops(1.0, 0.07, coarse_steps=99) / training_flops(1.0), 3) == 0.073


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ((1.0, 1.1), "sparse must be between 0 and dense=1.0, got 1.1"),
        ((1.0, -0.1), "sparse must be between 0"),
        ((1.0, 0.1, -1), "coarse_steps must be >= 0, got -1"),
    ],
)
def test_impossible_costs_are_refused(arguments: tuple[float, ...], rule: str) -> None:
    dense, sparse, *coarse = arguments
    with pytest.raises(ValueError, match=rule):
        training_flops(dense, sparse, coarse_steps=int(coarse[0]) if coarse else 0)


def test_peak_memory_is_what_lives_at_once_not_what_was_allocated() -> None:
    x = torch.ones(1000)

    def chain() -> Tensor:
        y = x
        for _ in range(10):
            y = y.relu()  # the last one dies as soon as the next one is there
        return y

    assert peak_memory(lambda: x.relu()) == 4000
    assert peak_memory(chain) == 8000
    assert peak_memory(lambda: [x.relu() for _ in range(10)]) == 40_000
    assert peak_memory(lambda: x.relu_()) == 0


def test_the_profiler_stays_silent(capfd: pytest.CaptureFixture[str]) -> None:
    peak_memory(lambda: torch.ones(10))
    assert capfd.readouterr() == ("", "")


def test_a_device_without_statistics_is_refused() -> None:
    with pytest.raises(ValueError, match="device must be a CPU or a CUDA device, got 'meta'"):
        peak_memory(lambda: None, "meta")


def test_every_alternative_has_its_turn_in_every_round() -> None:
    calls: list[str] = []
    found = timings({name: lambda name=name: calls.append(name) for name in "abc"}, rounds=4, seconds=0)
    assert {name: len(times) for name, times in found.items()} == {"a": 4, "b": 4, "c": 4}
    assert "".join(calls) == "aabbcc" + "cba" + "abc" + "cba" + "abc"
    with pytest.raises(ValueError, match="rounds must be >= 1, got 0"):
        timings({}, rounds=0)


@pytest.fixture
def pair() -> tuple[nn.Module, nn.Module, Tensor]:
    """Two Linear layers around 100 neurons of which 10 are used, and the network without the others."""
    wide, narrow = (nn.Sequential(nn.Linear(50, n), nn.ReLU(), nn.Linear(n, 20)) for n in (100, 10))
    with torch.no_grad():
        for p in (wide[0].weight[10:], wide[0].bias[10:], wide[2].weight[:, 10:]):
            p.zero_()
    return wide, narrow, torch.ones(64, 50)


def test_a_measured_network_by_hand(pair: tuple[nn.Module, nn.Module, Tensor]) -> None:
    wide, _, x = pair
    cost = measure(wide, x, rounds=1)
    assert cost.parameters == 51 * 100 + 101 * 20
    assert cost.nonzero == 51 * 10 + 11 * 20
    assert cost.flops == 2 * 64 * (50 * 100 + 100 * 20)
    assert cost.sparse_flops == pytest.approx(2 * 64 * (50 * 10 + 10 * 20))
    file = io.BytesIO()
    torch.save(wide.state_dict(), file)
    assert cost.bytes == len(file.getvalue()) > 4 * cost.parameters
    assert cost.memory == 4 * 64 * (100 + 100)  # before and after the ReLU; then 100 + 20
    assert cost.seconds > 0
    assert wide.training


def test_a_report_sets_them_side_by_side(pair: tuple[nn.Module, nn.Module, Tensor]) -> None:
    wide, narrow, x = pair
    found = report(wide, narrow.eval(), x, rounds=3)
    assert found.after.flops == pytest.approx(found.before.sparse_flops)
    assert found.before.flops == 10 * found.after.flops
    assert (wide.training, narrow.training) == (True, False)
    assert "batch 64x50, cpu" in found.conditions
    lines = str(found).splitlines()
    assert lines[1].split() == ["cost", "before", "after", "before", "/", "after"]
    row = next(line for line in lines if line.startswith("FLOPs  "))
    assert row.split() == ["FLOPs", "896k", "89.6k", "10.00"]
    assert next(line for line in lines if line.startswith("seconds")).endswith(f"{found.speedup:.2f}")


def test_the_speedup_is_a_median_of_rounds_and_a_missing_cost_is_infinite(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = {"0": [2.0, 9.0, 8.0], "1": [1.0, 1.0, 4.0]}  # the medians are 8 and 1, that of the quotients is 2
    monkeypatch.setattr("bregtutorial.cost.reports.timings", lambda _, **__: rounds)
    empty = nn.Linear(2, 1)
    with torch.no_grad():
        empty.weight.zero_()
        empty.bias.zero_()
    found = report(nn.Linear(2, 1), empty, torch.ones(1, 2))
    assert isinstance(found, CostReport)
    assert (found.speedup, found.before.seconds, found.after.seconds) == (2.0, 8.0, 1.0)
    assert "inf" in str(found)


def test_no_gradients_are_kept_while_measuring() -> None:
    seen: list[bool] = []

    class Watch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.device.type != "meta":
                seen.append(torch.is_grad_enabled() or self.training)
            return F.relu(x)

    measure(Watch(), torch.ones(3), rounds=1)
    assert seen
    assert not any(seen)
