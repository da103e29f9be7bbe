"""Sparse initialisation: the variance argument of Bungert et al. (2022), section 4.1, and the promises around it."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

import bregtutorial as bt


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masked(w: Tensor, density: float, seed: int = 8, **options: object) -> Tensor:
    w = w.clone()
    bt.sparse_init_(w, density, generator=seeded(seed), **options)
    return w


def he(shape: tuple[int, ...], n_in: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=seeded(seed)) * math.sqrt(2 / n_in)


def within_binomial(found: int, n: int, p: float, sigmas: float = 4.0) -> bool:
    return abs(found - n * p) <= sigmas * math.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("density", [0.01, 0.05, 0.3, 1.0])
def test_variance_is_that_of_the_dense_initialisation(density: float) -> None:
    """Var W = r Var(W~/sqrt r) = 2/fan_in. A sample's error: kurtosis 3/r of a masked normal, over 400x400 weights."""
    w = masked(he((400, 400), 400, seed=1), density, seed=2)
    error = math.sqrt((3 / density - 1) / w.numel())
    assert abs(w.var().item() * 400 / 2 - 1) < 4 * error


@pytest.mark.parametrize("density", [0.01, 0.1, 0.5])
def test_density_is_binomial(density: float) -> None:
    w = torch.ones(300, 200)
    report = bt.sparse_init_(w, density, generator=seeded(3))
    assert within_binomial(int((w != 0).sum()), w.numel(), density)
    assert report.rows[0].n_active == int((w != 0).sum())
    assert report.rows[0].n_groups == w.numel()


def test_entries_are_kept_independently() -> None:
    """Counts per row and per column scatter as binomials: their variance over 1000 lines is n p (1 - p) within 20 %."""
    w = masked(torch.ones(1000, 1000), 0.1)
    for dim in (0, 1):
        assert (w != 0).sum(dim).float().var().item() == pytest.approx(1000 * 0.1 * 0.9, rel=0.2)


def test_survivors_are_the_present_values_over_the_root_of_the_density() -> None:
    before = he((50, 60), 60, seed=5).double()
    w = masked(before, 0.09)
    alive = w != 0
    assert 0 < alive.sum() < w.numel()
    torch.testing.assert_close(w[alive], before[alive] / 0.3, rtol=1e-14, atol=0)
    assert not torch.signbit(w[~alive]).any(), "a masked weight is +0"
    assert torch.equal(before, masked(before, 1.0))


@pytest.mark.parametrize(
    ("groups", "dims"),
    [("filters", (1, 2, 3)), ("rows", (1, 2, 3)), ("inputs", (0, 2, 3)), ("columns", (0, 2, 3)), ("kernels", (2, 3))],
)
def test_groups_survive_or_fall_whole_and_their_number_is_binomial(groups: str, dims: tuple[int, ...]) -> None:
    w = masked(torch.ones(300, 400, 3, 3), 0.2, groups=groups)
    alive = (w != 0).sum(dims)
    assert set(alive.unique().tolist()) == {0, math.prod(w.shape[d] for d in dims)}
    assert within_binomial(int((alive > 0).sum()), alive.numel(), 0.2)
    torch.testing.assert_close(w[w != 0].unique(), torch.tensor([0.2**-0.5]))
    assert torch.equal(masked(torch.ones_like(w).to(memory_format=torch.channels_last), 0.2, groups=groups), w)


@pytest.mark.parametrize("groups", [None, "rows", "columns"])
def test_signals_keep_their_size_through_depth(groups: str | None) -> None:
    """E x^2 before each ReLU equals the dense network's, 2 E x^2 / n_in of the layer before, over 5 layers."""
    width, density, seeds = 400, 0.1, range(30)
    growth = []
    for seed in seeds:
        source = seeded(seed)
        x = torch.randn(64, width, generator=source)
        first = None
        for _ in range(5):
            w = torch.randn(width, width, generator=source) * math.sqrt(2 / width)
            bt.sparse_init_(w, density, groups=groups, generator=source)
            z = x @ w.T
            first = first or z.square().mean().item()
            x = z.relu()
        growth.append(z.square().mean().item() / first)
    mean = sum(growth) / len(growth)
    spread = math.sqrt(sum((g - mean) ** 2 for g in growth) / (len(growth) - 1) / len(growth))
    assert abs(mean - 1) < 4 * spread
    assert spread < 0.25, "too few seeds to see anything"  # uncorrected, the growth is density**4 = 1e-4


def test_the_mask_does_not_depend_on_weights_that_were_drawn_with_the_same_seed() -> None:
    """Two generators with one seed give the same numbers: compared directly, a mask would keep the small weights."""
    for source in (seeded(30), None):
        torch.manual_seed(30)
        w = torch.randn(400, 400, generator=source and seeded(30))
        torch.manual_seed(30)
        bt.sparse_init_(w, 0.05, generator=source)
        assert w.var().item() == pytest.approx(1, abs=4 * math.sqrt(3 / 0.05 / w.numel()))


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    convs = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ConvTranspose2d(16, 8, 3)
    return nn.Sequential(
        *convs, nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 30), nn.Linear(30, 5, False), nn.Embedding(7, 5)
    )


def test_biases_become_positive_dense_and_bounded_by_the_fan_in() -> None:
    net = nn.Sequential(nn.Linear(100, 2000), nn.Conv2d(4, 500, 5), nn.Conv2d(8, 800, 5, groups=4))
    bt.sparse_init_(net, 0.01, generator=seeded(11))
    for layer, n_in in zip(net, (100, 4 * 25, 2 * 25), strict=True):
        top = n_in**-0.5
        assert ((layer.bias > 0) & (layer.bias <= top)).all()
        assert layer.bias.mean().item() == pytest.approx(top / 2, rel=0.1)
        assert layer.bias.unique().numel() > 0.99 * layer.bias.numel(), "dead neurons differ by their bias"


def test_only_linear_and_conv_layers_change() -> None:
    net = network()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    bt.sparse_init_(net, 0.5, generator=seeded(12))
    changed = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"0.weight", "0.bias", "2.weight", "2.bias", "5.weight", "5.bias", "6.weight"}


def test_one_seed_one_network_whatever_the_global_generator_or_default_dtype() -> None:
    nets = [network() for _ in range(4)]
    state = torch.manual_seed(1).get_state()
    bt.sparse_init_(nets[0], 0.3, generator=seeded(13))
    assert torch.equal(torch.get_rng_state(), state), "the global generator was used"
    torch.manual_seed(2)
    torch.set_default_dtype(torch.float64)
    try:
        bt.sparse_init_(nets[1], 0.3, generator=seeded(13))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(map(torch.equal, nets[0].parameters(), nets[1].parameters()))
    bt.sparse_init_(nets[2], 0.3, generator=seeded(14))
    assert not torch.equal(nets[0][5].weight, nets[2][5].weight)


def test_without_a_generator_the_global_one_decides() -> None:
    nets = [network() for _ in range(3)]
    for net, seed in zip(nets, (16, 16, 17), strict=True):
        torch.manual_seed(seed)
        bt.sparse_init_(net, 0.3)
    assert torch.equal(nets[0][5].weight, nets[1][5].weight)
    assert not torch.equal(nets[0][5].weight, nets[2][5].weight)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_one_seed_one_network_on_every_device() -> None:
    here, there = network(), network().to("cuda")
    bt.sparse_init_(here, 0.3, generator=seeded(17))
    bt.sparse_init_(there, 0.3, generator=seeded(17))
    for p, q in zip(here.parameters(), there.parameters(), strict=True):
        assert q.is_cuda
        torch.testing.assert_close(p, q.cpu())
        assert torch.equal(p != 0, q.cpu() != 0)


def test_the_report_names_layers_and_counts_what_was_drawn() -> None:
    net = network()
    report = bt.sparse_init_(net, 0.25, generator=seeded(18), groups="kernels")
    assert [row.name for row in report.rows] == ["0", "2", "5", "6"]
    assert [row.groups for row in report.rows] == ["kernels", "kernels", "weights", "weights"]
    assert report.density == 0.25
    conv, transposed, *linear = bt.sparsity_report(net).rows
    counts = [conv.kernels[0], transposed.kernels[0], *(row.weights[0] for row in linear)]
    assert [row.n_active for row in report.rows] == counts
    text = str(report)
    assert "25.00%" in text
    assert f"{report.rows[0].n_active}" in text.splitlines()[3]
    assert repr(report) == text, "a notebook shows the table"


def test_weights_keep_their_storage_and_need_no_gradient_context() -> None:
    layer = nn.Linear(5, 5)
    pointer = layer.weight.data_ptr()
    bt.sparse_init_(layer, 0.5)
    assert (layer.weight.data_ptr(), layer.weight.is_leaf, layer.weight.requires_grad) == (pointer, True, True)


def test_a_shared_weight_is_masked_once_and_both_biases_are_set() -> None:
    encoder, decoder = nn.Linear(40, 40), nn.Linear(40, 40)
    decoder.weight = encoder.weight
    before = encoder.weight.detach().clone()
    report = bt.sparse_init_(nn.Sequential(encoder, decoder), 0.25, generator=seeded(21))
    assert len(report.rows) == 1
    alive = encoder.weight != 0
    torch.testing.assert_close(encoder.weight[alive], 2 * before[alive])
    assert (encoder.bias > 0).all()
    assert (decoder.bias > 0).all()


def test_filters_of_a_transposed_convolution_are_its_outputs() -> None:
    layer = nn.ConvTranspose2d(30, 20, 3)  # weight (in, out, 3, 3)
    report = bt.sparse_init_(layer, 0.5, groups="filters", generator=seeded(22))
    alive = (layer.weight != 0).sum((0, 2, 3))
    assert set(alive.tolist()) == {0, 30 * 9}
    assert report.rows[0].n_groups == 20


def test_groups_that_are_no_slices_are_refused_before_anything_changes() -> None:
    net = nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, groups=8))
    before = net[0].weight.detach().clone()
    with pytest.raises(ValueError, match="groups=8"):
        bt.sparse_init_(net, 0.5, groups="inputs")
    assert torch.equal(net[0].weight, before)


@pytest.mark.parametrize("density", [0, -0.1, 1.01, float("nan")])
def test_a_density_outside_its_range_is_refused(density: float) -> None:
    with pytest.raises(ValueError, match=r"density .* in \(0, 1\], got"):
        bt.sparse_init_(nn.Linear(2, 2), density)


def test_unknown_groups_are_refused_also_without_a_layer_that_has_them() -> None:
    with pytest.raises(ValueError, match="did you mean 'kernels'"):
        bt.sparse_init_(nn.Linear(2, 2), 0.5, groups="kernel")


def test_what_has_no_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="ReLU has no Linear or Conv layer"):
        bt.sparse_init_(nn.ReLU(), 0.5)
    with pytest.raises(ValueError, match="layer '0' is lazy"):
        bt.sparse_init_(nn.Sequential(nn.LazyLinear(3)), 0.5)
    with pytest.raises(TypeError, match="module or a tensor, got list"):
        bt.sparse_init_([torch.ones(2)], 0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"floating-point tensor, got torch\.int64"):
        bt.sparse_init_(torch.ones(2, 2, dtype=torch.int64), 0.5)


@pytest.mark.parametrize("wrap", [weight_norm, lambda layer: prune.identity(layer, "weight")])
def test_a_computed_weight_is_refused_because_writing_to_it_would_be_lost(wrap) -> None:
    net = nn.Sequential(nn.Linear(4, 4), wrap(nn.Linear(4, 4)))
    before = net[0].weight.detach().clone()
    with pytest.raises(ValueError, match="weight of layer '1' is computed from other parameters"):
        bt.sparse_init_(net, 0.5)
    assert torch.equal(net[0].weight, before), "refused whole"
