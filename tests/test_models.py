"""The networks of the book: the paper's sizes, honest outputs, reproducible weights."""

import math

import pytest
import torch
from torch import nn

import bregtutorial as bt
from bregtutorial.layers import fan_in, weighted_layers
from bregtutorial.models import ResNet, autoencoder, convnet, mlp, resnet, resnet18

BUILD = {
    "mlp": (mlp, (1, 28, 28)),
    "autoencoder": (lambda **o: autoencoder((784, 30, 784), **o), (1, 28, 28)),
    "convnet": (convnet, (1, 28, 28)),
    "resnet": (resnet, (3, 32, 32)),
}


def weights(net: nn.Module) -> int:
    return sum(row.weights[1] for row in bt.sparsity_report(net).rows)


def kernels(net: nn.Module) -> int:
    return sum(row.kernels[1] for row in bt.sparsity_report(net).rows)


def batch(shape: tuple[int, ...], n: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


def test_the_sizes_are_the_paper_s() -> None:
    assert weights(mlp()) == 784 * 200 + 200 * 80 + 80 * 10 == 173_600
    assert weights(convnet()) == 236_352
    assert kernels(convnet()) == 64 + 64 * 64 == 4_160
    assert weights(autoencoder()) == 6 * 784**2 == 3_687_936
    net = resnet18()
    assert sum(p.numel() for p in net.parameters()) == 11_173_962
    assert weights(net) == 11_164_352
    assert kernels(net) == 1_392_832


@pytest.mark.parametrize("name", BUILD)
def test_outputs_are_not_clipped_by_a_last_activation(name: str) -> None:
    build, shape = BUILD[name]
    net = build(generator=torch.Generator().manual_seed(0)).eval()
    out = net(batch(shape, 32))
    assert (out < 0).any()
    assert (out > 0).any()
    last = [layer for _, layer in weighted_layers(net)][-1]
    with torch.no_grad():
        last.bias.sub_(1.0)
    torch.testing.assert_close(net(batch(shape, 32)), out - 1, msg="the output is not affine in the last bias")


@pytest.mark.parametrize("name", BUILD)
def test_shapes(name: str) -> None:
    build, shape = BUILD[name]
    out = build()(batch(shape))
    assert out.shape == ((4, 1, 28, 28) if name == "autoencoder" else (4, 10))


@pytest.mark.parametrize("name", BUILD)
def test_a_seed_gives_the_same_network_whatever_the_global_generator(name: str) -> None:
    build, _ = BUILD[name]
    nets = []
    for seed, other in ((5, 1), (5, 2), (6, 3)):
        torch.manual_seed(other)
        nets.append(build(generator=torch.Generator().manual_seed(seed)).state_dict())
    assert nets[0].keys() == nets[1].keys()
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])
    assert not all(torch.equal(nets[0][key], nets[2][key]) for key in nets[0])


@pytest.mark.parametrize("name", BUILD)
def test_weights_are_he_normal_and_biases_are_positive(name: str) -> None:
    build, _ = BUILD[name]
    for _, layer in weighted_layers(build(generator=torch.Generator().manual_seed(1))):
        n = fan_in(layer)
        w = layer.weight
        assert w.var().item() * n / 2 == pytest.approx(1, abs=4 * math.sqrt(2 / w.numel()))
        assert w.mean().abs().item() < 4 * math.sqrt(2 / n / w.numel())
        if layer.bias is not None:
            assert ((layer.bias >= 0) & (layer.bias <= n**-0.5)).all()


def test_a_sparse_network_of_any_size_learns_something() -> None:
    """One batch, remembered: cross entropy falls below a tenth of ln 10, and the network is still sparse."""
    for name, lr in (("mlp", 3e-3), ("convnet", 3e-3), ("resnet", 3e-3)):
        build, shape = BUILD[name]
        source = torch.Generator().manual_seed(2)
        net = build(generator=source)
        bt.sparse_init_(net, 0.1, generator=source)
        opt = bt.AdaBreg(bt.parameter_groups(net, lam=0.1), lr=lr)
        x, y = batch(shape, 16), torch.arange(16) % 10
        for _ in range(60):
            opt.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
        assert loss.item() < 0.1 * math.log(10), name
        assert 0 < bt.density(net) < 0.5, name


def test_widths_are_arguments_so_that_a_smaller_network_can_be_rebuilt() -> None:
    assert [layer.weight.shape for _, layer in weighted_layers(mlp((784, 17, 3)))] == [(17, 784), (3, 17)]
    small = convnet((1, 5, 7), (9, 10))
    assert [tuple(layer.weight.shape) for _, layer in weighted_layers(small)] == [
        (5, 1, 5, 5),
        (7, 5, 5, 5),
        (9, 7 * 16),
        (10, 9),
    ]
    narrow = resnet((8, 16), (2, 1), inner=(3, 4, 5))
    assert [block.conv1.out_channels for stage in narrow.stages for block in stage] == [3, 4, 5]
    assert narrow(batch((3, 32, 32))).shape == (4, 10)


def test_convnet_fits_other_images() -> None:
    net = convnet((3, 8, 8), (10,), kernel_size=3, image_size=32)
    assert net(batch((3, 32, 32))).shape == (4, 10)


def test_resnet_works_on_images_of_any_size_and_halves_them_between_stages() -> None:
    net = ResNet((4, 8, 16), (1, 1, 1), n_classes=3, in_channels=1)
    assert net(batch((1, 20, 28))).shape == (4, 3)
    x, sizes = net.conv(batch((1, 32, 32))), []
    for stage in net.stages:
        x = stage(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(4, 32, 32), (8, 16, 16), (16, 8, 8)]


def test_the_shortcut_is_the_identity_unless_the_shape_changes() -> None:
    net = resnet((4, 8), (2, 2))
    plain = [isinstance(block.shortcut, nn.Identity) for stage in net.stages for block in stage]
    assert plain == [True, True, False, True]


def test_resnet18_is_the_resnet_of_its_widths() -> None:
    shapes = [tuple(p.shape) for p in resnet18(7).parameters()]
    assert shapes == [tuple(p.shape) for p in resnet((64, 128, 256, 512), (2, 2, 2, 2), 7).parameters()]


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: mlp((5,)), r"widths needs an input and an output.*got \(5,\)"),
        (lambda: mlp((5, 0, 2)), "all at least 1"),
        (lambda: autoencoder(()), "widths needs an input and an output"),
        (lambda: autoencoder((784, 20, 100)), "first and last width must be equal, got 784 and 100"),
        (lambda: autoencoder((10, 3, 10)), "square number of pixels, got 10"),
        (lambda: convnet(image_size=8), "image_size=8 is too small for 2 convolutions of 5"),
        (lambda: convnet(widths=()), "1 width at least"),
        (lambda: convnet(channels=(1,)), "2 channels"),
        (lambda: resnet((8, 16), (1,)), "one entry a stage, got 2 and 1"),
        (lambda: resnet((8, 16), (1, 1), inner=(3,)), "one width a block, 2, got 1"),
    ],
)
def test_impossible_sizes_are_refused(build, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        build()
