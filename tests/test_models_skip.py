"""The autoencoder with skips: the formula, what the scalars start from, and what a penalty does to them."""

import pytest
import torch
from torch import nn

import bregtutorial as bt
from bregtutorial.models import SkipAutoencoder, autoencoder, skip_autoencoder


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=4, side=4):
    return torch.randn(n, 1, side, side, generator=seeded(1))


def literal(net, x):
    """The sum of the docstring, written out."""
    outputs, last = [x.flatten(1)], len(net.layers)
    for k in range(1, last + 1):
        layer = net.layers[k - 1]
        z = outputs[-1] @ layer.weight.T + layer.bias
        z = z if k == last else z.clamp_min(0)
        for (i, to), s in net.skips().items():
            if to == k:
                z = z + s * outputs[i]
        outputs.append(z)
    return outputs[-1].reshape(x.shape)


def test_the_paper_s_network_has_21_possible_skips():
    net = skip_autoencoder()
    assert len(net.skips()) == 1 + 2 + 3 + 4 + 5 + 6
    assert sum(row.weights[1] for row in bt.sparsity_report(net).rows) == 6 * 784**2


def test_without_skips_it_is_the_plain_autoencoder():
    widths = (16, 9, 16, 16)
    net, plain = skip_autoencoder(widths, generator=seeded()), autoencoder(widths, generator=seeded())
    assert set(net.skips().values()) == {0.0}
    torch.testing.assert_close(net(images()), plain(images()))


@pytest.mark.parametrize("widths", [(16, 16, 16, 16), (16, 9, 16, 9, 16), (16, 5, 16)])
def test_the_output_is_the_formula_s(widths):
    net = skip_autoencoder(widths, generator=seeded())
    with torch.no_grad():
        for scalars in net.scalars:
            scalars.normal_(generator=seeded(2))
    torch.testing.assert_close(net(images()), literal(net, images()))
    assert all(widths[i] == widths[k] and i < k for i, k in net.skips())


def test_every_scalar_matters():
    net = skip_autoencoder((16, 16, 16, 16), generator=seeded())
    net(images()).square().sum().backward()
    assert all((scalars.grad != 0).all() for scalars in net.scalars)


def test_only_the_image_itself_passes_where_nothing_else_does():
    """With dead layers and one skip from input to output the network is the identity."""
    net = skip_autoencoder((16, 16, 16))
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
        net.scalars[1][0] = 1.0
    assert net.skips() == {(0, 1): 0.0, (0, 2): 1.0, (1, 2): 0.0}
    assert torch.equal(net(images()), images())


def test_sparse_initialisation_leaves_the_scalars_at_zero():
    net = skip_autoencoder((16, 16, 16))
    bt.sparse_init_(net, 0.5, groups="rows", generator=seeded())
    assert set(net.skips().values()) == {0.0}
    assert 0 < bt.density(net) < 1


def groups(net, lam):
    return bt.parameter_groups(net, lam=0.0, other={"reg": bt.L1(), "lam": lam})


def test_the_scalars_are_the_other_parameters_and_nothing_else_is():
    net = skip_autoencoder((16, 9, 16, 16))
    (other,) = [group for group in groups(net, 1.0) if group["name"] == "other"]
    assert [id(p) for _, p in other["params"]] == [id(p) for p in net.scalars]
    assert sum(len(group["params"]) for group in groups(net, 1.0)) == len(list(net.parameters()))


@pytest.mark.parametrize(("lam", "wakes"), [(0.02, True), (10.0, False)])
def test_training_switches_skips_on_and_the_penalty_says_when(lam, wakes):
    """Asked to copy its input, a network of almost no neurons learns to use the skip, if that is affordable."""
    net = skip_autoencoder((16, 16, 16), generator=seeded())
    with torch.no_grad():
        for layer in net.layers:
            layer.weight.mul_(0.01)
    opt, x = bt.AdaBreg(groups(net, lam), lr=0.01), images(64)
    before = nn.functional.mse_loss(net(x), x).item()
    for _ in range(100):
        opt.zero_grad()
        nn.functional.mse_loss(net(x), x).backward()
        opt.step()
    assert (net.skips()[0, 2] > 0.1) is wakes
    assert nn.functional.mse_loss(net(x), x).item() < before
    if not wakes:
        assert set(net.skips().values()) == {0.0}


def test_a_seed_gives_the_same_network():
    nets = [SkipAutoencoder((16, 16, 16), generator=seeded(s)).state_dict() for s in (3, 3, 4)]
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])
    assert not torch.equal(nets[0]["layers.0.weight"], nets[2]["layers.0.weight"])


@pytest.mark.parametrize(
    ("widths", "text"),
    [
        ((16,), "needs an input and an output"),
        ((16, 0, 16), "all at least 1"),
        ((16, 5, 9), "one square number of pixels, got 16 and 9"),
        ((10, 10), "got 10 and 10"),
    ],
)
def test_impossible_widths_are_refused(widths, text):
    with pytest.raises(ValueError, match=text):
        skip_autoencoder(widths)
