"""Compaction of named networks: the same output, what goes and what stays, and every refusal by its text."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import bregtutorial as bt
from bregtutorial.compaction.decide import decide


@torch.no_grad()
def thin(model: nn.Module, rate: float = 0.5, seed: int = 0) -> nn.Module:
    """Rows of zeros, and batch norms as after a training: random statistics, scales and shifts."""
    g = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            module.weight[torch.rand(len(module.weight), generator=g) < rate] = 0.0
        elif isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=g)
            module.running_var.uniform_(0.5, 2, generator=g)
            module.weight.uniform_(0.5, 1.5, generator=g)
            module.bias.normal_(-0.5, generator=g)
    return model.eval()


def error(model: nn.Module, small: nn.Module, shape: tuple[int, ...]) -> float:
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1), dtype=next(model.parameters()).dtype)
    with torch.no_grad():
        y = model(x)
        return float((small(x) - y).abs().max() / y.abs().max())


def gen() -> torch.Generator:
    return torch.Generator().manual_seed(0)


BOOK = {
    "mlp": (lambda: bt.models.mlp(generator=gen()), (1, 28, 28)),
    "convnet": (lambda: bt.models.convnet(generator=gen()), (1, 28, 28)),
    "small convnet": (
        lambda: bt.models.convnet((1, 8, 9), (10,), kernel_size=3, image_size=14, generator=gen()),
        (1, 14, 14),
    ),
    "autoencoder": (lambda: bt.models.autoencoder((784, 90, 30, 90, 784), generator=gen()), (1, 28, 28)),
    "resnet": (lambda: bt.models.resnet(generator=gen()), (3, 32, 32)),
    "resnet18": (lambda: bt.models.resnet18(generator=gen()), (3, 32, 32)),
}


@pytest.mark.parametrize("name", BOOK)
def test_the_networks_of_the_book(name: str) -> None:
    make, shape = BOOK[name]
    model = thin(make())
    plan = bt.compact.plan(model)
    small = plan.apply()
    assert type(small) is type(model)
    assert error(model, small, shape) <= 1e-5
    assert plan.parameters[1] < 0.7 * plan.parameters[0]
    assert {type(m) for m in small.modules()} == {type(m) for m in model.modules()}
    assert error(copy.deepcopy(model).double(), bt.compact(model.double()), shape) <= 1e-12


@pytest.mark.parametrize("name", BOOK)
def test_the_constructor_builds_the_small_network(name: str) -> None:
    make, shape = BOOK[name]
    small = bt.compact(thin(make()))
    built = eval(bt.compact.plan(thin(make())).constructor, {"bt": bt})
    built.load_state_dict(small.state_dict())
    assert error(small, built.eval(), shape) == 0


def test_other_networks_have_no_constructor() -> None:
    plan = bt.compact.plan(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
    assert plan.constructor is None
    assert "small network" not in repr(plan)


def chain(*, padding: int = 0, mode: str = "zeros", bias: bool = True, shift: float = 0.7) -> nn.Sequential:
    """Convolution, norm, ReLU, convolution, average; filters 1 and 2 of 4 are dead, their shift is ``shift``."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 3, 3, padding=padding, padding_mode=mode, bias=bias),
    )
    with torch.no_grad():
        model[0].weight[1:3] = 0.0
        model[1].bias[1:3] = torch.tensor([shift, 2 * shift])
    return model.eval()


def test_a_constant_goes_into_the_bias() -> None:
    model = chain()
    small = bt.compact(model)
    assert small[3].in_channels == 2
    folded = model[3].bias + model[3].weight[:, 1:3].sum((2, 3)) @ torch.tensor([0.7, 1.4])
    assert torch.allclose(small[3].bias, folded, atol=1e-6)


def test_a_norm_whose_scale_is_zero_makes_a_constant() -> None:
    model = chain()
    with torch.no_grad():
        model[1].weight[0] = 0.0
        model[1].bias[0] = 0.3
    assert bt.compact.plan(model).widths["3"] == (1, 3, 1)
    assert error(model, bt.compact(model), (1, 9, 9)) <= 1e-6


@pytest.mark.parametrize(("counted", "left"), [(True, 4), (False, 2)])
def test_an_average_that_counts_its_padding_makes_constants_vary(counted: bool, left: int) -> None:
    model = chain().insert(3, nn.AvgPool2d(3, 1, 1, count_include_pad=counted)).eval()
    assert bt.compact.plan(model).widths["4"][0] == left
    assert error(model, bt.compact(model), (1, 9, 9)) <= 1e-6


def test_a_depthwise_convolution_shrinks_with_its_channels() -> None:
    model = chain().insert(3, nn.Conv2d(4, 4, 3, groups=4)).eval()
    small = bt.compact(model)
    assert (small[3].groups, small[3].weight.shape[0], small[4].in_channels) == (2, 2, 2)
    assert error(model, small, (1, 9, 9)) <= 1e-6


def test_a_dead_depthwise_filter_makes_its_bias_whatever_it_pads() -> None:
    model = chain().insert(3, nn.Conv2d(4, 4, 3, padding=1, groups=4)).eval()
    with torch.no_grad():
        model[3].weight[0] = 0.0
        model[3].bias[0] = 0.4
    small = bt.compact(model)
    assert small[4].in_channels == 3
    assert error(model, small, (1, 9, 9)) <= 1e-6


def test_a_layer_that_is_dead_altogether_keeps_width_one_and_its_constants_count_once() -> None:
    model = bt.models.mlp((9, 4, 2), generator=gen())
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.fill_(0.7)
    small = bt.compact(model)
    assert [small[1].out_features, int(small[3].weight.count_nonzero())] == [1, 0]
    assert error(model, small, (1, 3, 3)) <= 1e-6


def test_a_bias_is_created_where_there_is_none() -> None:
    plan = bt.compact.plan(chain(bias=False))
    assert plan.widths["3"] == (2, 3, 1)
    assert error(chain(bias=False), plan.apply(), (1, 9, 9)) <= 1e-6


def test_no_bias_is_created_for_a_constant_zero() -> None:
    assert bt.compact.plan(chain(bias=False, shift=-0.7)).widths["3"] == (2, 3, 0)


def test_a_norm_takes_up_the_constant_and_the_layer_stays_without_bias() -> None:
    model = nn.Sequential(*chain(bias=False), nn.BatchNorm2d(3), nn.ReLU()).eval()
    small = bt.compact(model)
    assert small[3].bias is None
    assert not torch.equal(small[4].running_mean, model[4].running_mean)
    assert error(model, small, (1, 9, 9)) <= 1e-6


def test_a_result_that_a_norm_shares_with_others_gets_a_bias() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.chain, self.norm = chain(bias=False), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.chain(x)
            return y, self.norm(y)

    model = Both().eval()
    small, x = bt.compact(model), torch.rand(2, 1, 9, 9)
    for y, z in zip(model(x), small(x), strict=True):
        assert torch.allclose(y, z, atol=1e-6)


def test_constants_that_meet_a_padding_share_one_channel() -> None:
    model = chain(padding=1)
    plan = bt.compact.plan(model)
    assert "2 constant outputs become 1: 2(1(0)) = 0.7 meets the zeros around the image in '3'" in repr(plan)
    assert [plan.widths[name] for name in "03"] == [(1, 3, 0), (3, 3, 1)]
    assert error(model, plan.apply(), (1, 9, 9)) <= 1e-6


def test_a_bias_instead_would_be_wrong() -> None:
    """The trap: what folding into the bias gives where the border sees zeros."""
    model, unpadded = chain(padding=1), chain()
    wrong = bt.compact(unpadded)
    wrong[3].padding = (1, 1)
    x = torch.randn(2, 1, 9, 9)
    difference = (model(x) - wrong(x)).abs()
    assert difference[..., 1:-1, 1:-1].max() < 1e-5 < 0.1 < difference.max()


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_padding_with_the_image_itself_keeps_constants(mode: str) -> None:
    model = chain(padding=1, mode=mode)
    small = bt.compact(model)
    assert small[3].in_channels == 2
    assert error(model, small, (1, 9, 9)) <= 1e-6


def test_channels_that_nobody_reads_go() -> None:
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2))
    with torch.no_grad():
        model[2].weight[:, 2:] = 0.0
    plan = bt.compact.plan(model)
    (first, _) = plan.layers
    assert (first.constant, first.unread, first.outputs) == (0, 4, (6, 2))
    assert error(model, plan.apply(), (5,)) <= 1e-6


def test_what_only_feeds_what_goes_goes_too() -> None:
    model = bt.models.mlp((9, 8, 7, 6, 2), generator=gen())
    with torch.no_grad():
        model[7].weight[:, 1:] = 0.0
        model[5].weight[0, 2:] = 0.0
        model[3].weight[:2, 3:] = 0.0
    assert bt.compact.plan(model).constructor == "bt.models.mlp((9, 3, 2, 1, 2))"


def test_a_dead_branch_and_a_dead_network_keep_width_one() -> None:
    model = bt.models.resnet((4, 4), (1, 1)).eval()
    with torch.no_grad():
        model.stages[0][0].conv2.weight.zero_()
    plan = bt.compact.plan(model)
    assert "no output is needed: one stays, because no layer can have width 0" in repr(plan)
    assert plan.apply().stages[0][0].conv1.out_channels == 1
    assert error(model, plan.apply(), (3, 8, 8)) <= 1e-5
    with torch.no_grad():
        model.fc.weight.zero_()
    assert bt.compact.plan(model).constructor == "bt.models.resnet((1, 1), (1, 1), 10)"
    assert torch.equal(bt.compact(model)(torch.rand(2, 3, 8, 8)), model(torch.rand(2, 3, 8, 8)))


def test_a_residual_channel_stays_as_long_as_one_partner_lives() -> None:
    model = bt.models.resnet((4, 4), (1, 1)).eval()
    with torch.no_grad():
        model.conv.weight[:2] = 0.0
        model.stages[0][0].conv2.weight[1] = 0.0
    plan = bt.compact.plan(model)
    assert plan.widths["conv"][1] == 3
    assert "1 constant outputs stay: they are added to those of 'stages.0.0.conv2'" in repr(plan)
    assert error(model, plan.apply(), (3, 8, 8)) <= 1e-5


def test_the_original_and_the_random_numbers_are_left_alone() -> None:
    model = thin(bt.models.resnet(generator=gen())).train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    small = bt.compact(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert small.training
    shared = {p.data_ptr() for p in model.parameters()} & {p.data_ptr() for p in small.parameters()}
    assert not shared


def test_frozen_parameters_stay_frozen() -> None:
    model = thin(bt.models.mlp((9, 8, 3), generator=gen()))
    model[1].weight.requires_grad_(False)
    small = bt.compact(model)
    assert [p.requires_grad for p in small.parameters()] == [False, True, True, True]
    small(torch.rand(2, 1, 3, 3)).sum().backward()


def test_a_plan_is_not_carried_out_on_other_weights() -> None:
    model = thin(bt.models.mlp((9, 8, 3), generator=gen()))
    plan = bt.compact.plan(model)
    with torch.no_grad():
        model[1].weight.normal_()
    with pytest.raises(RuntimeError, match=r"the weights have changed .*: make a new one with compact.plan\(model\)"):
        plan.apply()


def test_a_model_that_cannot_be_copied_is_refused_with_the_way_out() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    prune.random_unstructured(model[0], "weight", 0.5)
    assert "'0' is computed from other parameters (prune, weight_norm): make it plain first" in repr(
        decide(model).wiring
    )
    with pytest.raises(ValueError, match=r"Sequential cannot be copied: .*prune\.remove"):
        bt.compact(model)
    prune.remove(model[0], "weight")
    assert error(model, bt.compact(model), (3,)) <= 1e-6


def test_saving_and_loading(tmp_path: Path) -> None:
    model = thin(bt.models.resnet(generator=gen()))
    small = bt.compact(model)
    bt.compact.save(tmp_path / "small.pt", small)
    assert torch.load(tmp_path / "small.pt", weights_only=True)["widths"] == bt.compact.widths(small)
    loaded = bt.compact.load(tmp_path / "small.pt", bt.models.resnet()).eval()
    assert error(small, loaded, (3, 32, 32)) == 0


def test_a_flipped_bit_in_a_saved_network_is_noticed(tmp_path: Path) -> None:
    path, small = tmp_path / "small.pt", bt.models.mlp((9, 4, 3))
    bt.compact.save(path, small)
    raw = bytearray(path.read_bytes())
    raw[raw.index(small[1].weight.detach().numpy().tobytes())] ^= 1
    path.write_bytes(raw)
    with pytest.raises(bt.checkpoint.DamagedCheckpointError, match=r"the checksum of .* does not agree"):
        bt.compact.load(path, bt.models.mlp((9, 8, 3)))


def test_rebuild_names_what_it_does_not_know() -> None:
    with pytest.raises(
        ValueError, match=r"widths names '11', which is no layer or norm layer of Sequential; did you mean '1'\?"
    ):
        bt.compact.rebuild(bt.models.mlp((9, 8, 3)), {"11": (9, 4, 1)})


def test_rebuild_keeps_all_other_settings() -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, 2, 2, 3, padding_mode="reflect", dtype=torch.float64),
        nn.BatchNorm2d(8, 1e-3, 0.2, affine=False, dtype=torch.float64),
        nn.ConvTranspose2d(8, 6, 3, 2, 1, 1, dtype=torch.float64),
        nn.Conv2d(6, 6, 1, groups=6, dtype=torch.float64),
    ).eval()
    small = bt.compact.rebuild(model, {"0": (4, 5, 1), "1": (5,), "2": (5, 3, 0), "3": (3, 3, 1)})
    expected = (
        str(model)
        .replace("8", "5")
        .replace("6", "3")
        .replace("output_padding=(1, 1)", "output_padding=(1, 1), bias=False")
    )
    assert str(small) == expected
    assert {p.dtype for p in small.parameters()} == {torch.float64}
    assert not any(module.training for module in small.modules())
