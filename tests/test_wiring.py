"""Which channels are the same, who reads them, and what keeps them: network by network, and by reason."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

import bregtutorial as bt
from bregtutorial.wiring import ChannelSet, Reader, Wiring, wire
from bregtutorial.wiring.rules import AVERAGING, ENTRYWISE, FILLING, KEEPING, NOTHING, rule_of_module


def set_of(wiring: Wiring, layer: str) -> ChannelSet:
    """The set that a layer writes."""
    return next(s for s in wiring.sets if layer in s.writers)


class Calls(nn.Module):
    """Two convolutions and a Linear layer around a function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.a, self.b, self.fc = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(64, 3)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def head(m: Calls, x: Tensor) -> Tensor:
    return m.fc(F.adaptive_avg_pool2d(m.b(x), 4).flatten(1))


def test_a_convnet() -> None:
    wiring = wire(bt.models.convnet((1, 8, 16), (32, 10)))
    assert wiring.sets == (
        ChannelSet(1, (), (), (Reader("0", 1, ("input",)),), "input of the network"),
        ChannelSet(8, ("0",), (), (Reader("3", 1, ("0", "1", "2")),)),
        ChannelSet(16, ("3",), (), (Reader("7", 16, ("3", "4", "5", "6")),)),
        ChannelSet(32, ("7",), (), (Reader("9", 1, ("7", "8")),)),
        ChannelSet(10, ("9",), (), (), "output of the network"),
    )
    assert wiring.modules["7"].repeat == 16


def test_a_residual_sum_couples_all_its_terms() -> None:
    wiring = wire(bt.models.resnet((4, 8), (2, 2), inner=(3, 5, 6, 7)))
    stream = set_of(wiring, "conv")
    assert stream.writers == ("conv", "stages.0.0.conv2", "stages.0.1.conv2")
    assert stream.channelwise == ("bn", "stages.0.0.bn2", "stages.0.1.bn2")
    readers = ["stages.0.0.conv1", "stages.0.1.conv1", "stages.1.0.conv1", "stages.1.0.shortcut.0"]
    assert [r.layer for r in stream.readers] == readers
    assert set_of(wiring, "stages.1.0.conv1").size == 6
    assert [s.size for s in wiring.sets if s.fixed is None] == [4, 3, 5, 6, 8, 7]


def test_concatenated_channels_keep_their_places() -> None:
    def concatenate(m: Calls, x: Tensor) -> Tensor:
        x = m.a(x)
        return m.fc(torch.cat([m.b(x).mean((2, 3)), x.mean((2, 3))], 1))

    model = Calls(concatenate)
    model.fc = nn.Linear(8, 3)
    wiring = wire(model)
    a, b = (wiring.modules[name].outputs for name in "ab")
    assert wiring.modules["fc"].inputs == (*b, *a)
    keep = [torch.ones(s.size, dtype=torch.bool) for s in wiring.sets]
    keep[a[0]] = torch.tensor([True, False, False, True])
    assert wiring.inputs("fc", keep).tolist() == [True] * 4 + [True, False, False, True]
    assert wiring.outputs("a", keep).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("name", "free", "fixed"),
    [
        ("resnet18", 12, {"input of the network", "output of the network"}),
        ("vgg11", 10, {"input of the network", "output of the network"}),
        ("mobilenet_v2", 25, {"input of the network", "output of the network"}),
        ("mobilenet_v3_small", 27, {"input of the network", "output of the network"}),
        ("densenet121", 120, {"input of the network", "output of the network"}),
    ],
)
def test_networks_of_torchvision(name: str, free: int, fixed: set[str]) -> None:
    with torch.device("meta"):
        model = getattr(torchvision.models, name)()
    wiring = wire(model)
    assert sum(s.fixed is None for s in wiring.sets) == free
    assert {s.fixed for s in wiring.sets if s.fixed} == fixed
    layers = [n for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.BatchNorm2d))]
    assert set(wiring.modules) == set(layers)


SAME = {
    "relu": lambda m, x: head(m, m.a(x).relu()),
    "clamp": lambda m, x: head(m, torch.clamp(m.a(x), min=0.1, max=2)),
    "scaled": lambda m, x: head(m, 1 - 2 * m.a(x)),
    "max_pool": lambda m, x: head(m, F.max_pool2d(m.a(x), 2)),
    "avg_pool": lambda m, x: head(m, F.avg_pool2d(m.a(x), 3, 1, 1)),
    "padded": lambda m, x: head(m, F.pad(m.a(x), (1, 1, 1, 1))),
    "resized": lambda m, x: head(m, F.interpolate(m.a(x), scale_factor=2.0)),
    "dropout": lambda m, x: head(m, F.dropout(m.a(x), training=m.training)),
    "gated": lambda m, x: head(m, torch.sigmoid(h := m.a(x)) * h),
    "in place": lambda m, x: head(m, F.relu(m.a(x), inplace=True)),
}


@pytest.mark.parametrize("name", SAME)
def test_operations_that_leave_channels_alone(name: str) -> None:
    wiring = wire(Calls(SAME[name]))
    assert set_of(wiring, "a").fixed is None
    assert [r.layer for r in set_of(wiring, "a").readers] == ["b"]


FLATTENED = {
    "view": lambda m, x: m.fc(m.b(m.a(x)).view(x.size(0), -1)),
    "reshape": lambda m, x: m.fc(m.b(m.a(x)).reshape(x.shape[0], -1)),
    "flatten": lambda m, x: m.fc(torch.flatten(m.b(m.a(x)), 1)),
}


@pytest.mark.parametrize("name", FLATTENED)
def test_ways_to_flatten(name: str) -> None:
    assert set_of(wire(Calls(FLATTENED[name])), "b").readers[0].repeat == 16


FIXING = {
    "softmax": (lambda m, x: head(m, m.a(x).softmax(1)), "softmax (operation 'softmax') needs all channels"),
    "view": (lambda m, x: head(m, m.a(x).view(-1, 4, 6, 6)), "view (operation 'view') needs all channels"),
    "shape": (lambda m, x: head(m, (h := m.a(x)) / h.shape[1]), "getattr (operation 'getattr_1') needs all channels"),
    "number": (lambda m, x: head(m, F.relu(m.a(x)) / x.size(0)), "truediv (operation 'truediv') needs all channels"),
    "slice": (lambda m, x: m.a(x)[:, :2].sum(), "getitem (operation 'getitem') needs all channels"),
    "twice": (lambda m, x: head(m, m.b(m.a(x))), "'b' is called 2 times"),
    "parameter": (lambda m, x: head(m, m.a(x)) * m.a.bias.sum(), "the bias of 'a' is used outside of it"),
    "bias added": (lambda m, x: head(m, m.a(x) + m.b.weight), "add (operation 'add') needs all channels"),
    "always dropped": (
        lambda m, x: head(m, F.dropout(m.a(x), training=True)),
        "dropout (operation 'dropout') needs all",
    ),
    "channel pad": (lambda m, x: F.pad(m.a(x), (0, 0, 0, 0, 1, 1)), "pad (operation 'pad') needs all channels"),
    "mean over channels": (lambda m, x: m.a(x).mean(1), "mean (operation 'mean') needs all channels"),
    "linear over pixels": (lambda m, x: m.fc(m.a(x)), "'fc' reads another dim of it"),
    "returned": (lambda m, x: {"hidden": (h := m.a(x)), "y": head(m, h)}, "output of the network"),
}


@pytest.mark.parametrize("name", FIXING)
def test_operations_that_need_all_channels_are_named(name: str) -> None:
    function, reason = FIXING[name]
    reasons = {s.fixed for s in wire(Calls(function)).sets if s.fixed}
    assert any(found.startswith(reason) for found in reasons), reasons


class Masked(nn.Linear):
    """A subclass, which may do anything."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.abs(), self.bias)


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    return model


def hooked() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    model[2].register_forward_hook(lambda *_: None)
    return model


def pruned() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    prune.random_unstructured(model[2], "weight", 0.5)
    return model


COMPUTED = "the weight of '2' is computed from other parameters (prune, weight_norm): make it plain first"
TROUBLE = {
    "prune": (pruned, COMPUTED),
    "weight_norm": (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), weight_norm(nn.Linear(4, 2))), COMPUTED),
    "tied": (tied, "'2' shares its weight with '0'"),
    "hooks": (hooked, "'2' has hooks, which may change what it returns"),
    "subclass": (
        lambda: nn.Sequential(nn.Linear(3, 4), Masked(4, 2)),
        "linear (operation 'linear') needs all channels",
    ),
    "groups": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1, groups=2)),
        "Conv2d '1' with groups=2 needs all channels",
    ),
    "layer norm": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)),
        "LayerNorm '1' needs all channels",
    ),
    "another dim": (
        lambda: nn.Sequential(nn.Conv1d(1, 4, 1), nn.BatchNorm2d(4)),
        "'1' acts on another dim of it",
    ),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_modules_that_are_more_than_they_seem_keep_their_channels(name: str) -> None:
    make, reason = TROUBLE[name]
    assert set_of(wire(make()), "0").fixed == reason if name != "tied" else True
    assert reason in {s.fixed for s in wire(make()).sets} or name == "tied"


def test_a_tied_layer_has_no_ports() -> None:
    assert not wire(tied()).modules


def lost(m: Calls, x: Tensor) -> Tensor:
    x = m.a(x)
    y = x.flatten(1)
    F.relu(x, inplace=True)
    return m.fc(y)


def test_what_cannot_be_followed_is_refused() -> None:
    with pytest.raises(ValueError, match="'relu' changes 'a' in place, which 'flatten' uses too"):
        wire(Calls(lost))
    with pytest.raises(ValueError, match=r"Calls cannot be traced: .*control flow.*no if, for, len"):
        wire(Calls(lambda m, x: m.a(x) if x.sum() > 0 else x))
    with pytest.raises(ValueError, match="lazy"):
        wire(nn.Sequential(nn.LazyLinear(3)))


def test_the_model_is_left_alone() -> None:
    model = bt.models.resnet()
    model.train()
    model.stages[0].eval()
    flags = [module.training for module in model.modules()]
    wire(model)
    assert [module.training for module in model.modules()] == flags


def arguments(kind: type[nn.Module]) -> tuple[float, ...]:
    """Arguments for a module of the tables."""
    if kind in KEEPING:
        return (2 if "Adaptive" in kind.__name__ else 1,)
    if kind in AVERAGING:
        return (3, 1, 1)
    return {nn.Threshold: (0.1, 0.2)}.get(
        kind, (1, 0.3) if "Constant" in kind.__name__ else (1,) if kind in FILLING else ()
    )


# sorted: the tables are sets, whose order differs from process to process
KINDS = sorted({*ENTRYWISE, *NOTHING, *KEEPING, *AVERAGING, *FILLING}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_becomes_of_a_constant_is_what_the_module_makes_of_it(kind: type[nn.Module]) -> None:
    module = kind(*arguments(kind)).eval()
    rule = rule_of_module(module)
    dims = rule.dims or (1 if kind is nn.Dropout1d else 2)
    values = torch.tensor([-2.0, -0.1, 0.0, 0.3, 1.5, torch.nan], dtype=torch.float64)
    images = values.view(1, -1, *[1] * dims).expand(1, -1, *[6] * dims).clone()
    images[:, -1] = torch.randn(images[:, -1].shape, dtype=images.dtype)
    out = module(images).flatten(2)[0]
    constant = torch.where((out == out[:, :1]).all(1), out[:, 0], torch.nan)
    assert torch.allclose(rule.constant(values), constant, rtol=0, atol=1e-15, equal_nan=True)
