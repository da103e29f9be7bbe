"""Counting zeros: against plain loops on asymmetric masks, where a swapped dim or a wrong total shows."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import bregtutorial as bt


def put(layer: nn.Module, mask: Tensor) -> nn.Module:
    """The layer with weight 0.5 where the mask is true and 0 elsewhere."""
    with torch.no_grad():
        layer.weight.copy_(0.5 * mask)
    return layer


def row_of(layer: nn.Module) -> object:
    return bt.sparsity_report(nn.Sequential(layer)).rows[0]


def random_mask(layer: nn.Module, seed: int) -> Tensor:
    """About a third of the weights, no row and no column treated alike."""
    return torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(seed)) < 0.15


def feeds(layer: nn.Module, j: int) -> bool:
    """Whether any output of the layer depends on its input channel j: asks the layer itself, not its weight tensor."""
    if isinstance(layer, nn.Linear):
        x = torch.zeros(1, layer.in_features)
    else:
        x = torch.zeros(1, layer.in_channels, *(5,) * (layer.weight.ndim - 2))
    x[:, j] = torch.rand(x[:, j].shape, generator=torch.Generator().manual_seed(j)) + 0.5
    return bool((layer(x) != 0).any())


def fed(layer: nn.Module) -> int:
    """How many output channels depend on anything."""
    size = (
        (1, layer.in_features)
        if isinstance(layer, nn.Linear)
        else (1, layer.in_channels, *(5,) * (layer.weight.ndim - 2))
    )
    out = layer(torch.rand(size, generator=torch.Generator().manual_seed(0)) + 0.5)
    return int((out != 0).flatten(2).any(2).sum() if out.ndim > 2 else (out != 0).sum())


LAYERS = {
    "linear": nn.Linear(7, 5, bias=False),
    "linear-wide": nn.Linear(3, 11, bias=False),
    "conv1d": nn.Conv1d(6, 9, 3, bias=False),
    "conv2d": nn.Conv2d(6, 9, (3, 2), bias=False),
    "conv3d": nn.Conv3d(4, 5, (1, 2, 3), bias=False),
    "grouped": nn.Conv2d(6, 9, 3, groups=3, bias=False),
    "depthwise": nn.Conv2d(8, 8, 3, groups=8, bias=False),
    "depthwise-multiplier": nn.Conv2d(4, 12, 3, groups=4, bias=False),
    "pointwise": nn.Conv2d(6, 9, 1, bias=False),
    "transposed1d": nn.ConvTranspose1d(6, 9, 3, bias=False),
    "transposed2d": nn.ConvTranspose2d(6, 9, 3, bias=False),
    "transposed3d": nn.ConvTranspose3d(4, 5, 2, bias=False),
    "transposed-grouped": nn.ConvTranspose2d(6, 9, 3, groups=3, bias=False),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("seed", range(3))
def test_counts_are_what_the_layer_does(name: str, seed: int) -> None:
    """An input is active if the output moves with it, an output if anything moves it, whatever the weight's layout."""
    layer = LAYERS[name]
    mask = random_mask(layer, seed)
    mask[0] = False
    if mask.shape[1] > 1:
        mask[:, -1] = False
    row = row_of(put(layer, mask))
    n_in = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
    n_out = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    assert row.weights == (int(mask.sum()), mask.numel())
    assert row.inputs == (sum(feeds(layer, j) for j in range(n_in)), n_in)
    assert row.filters == (fed(layer), n_out)
    if mask.ndim > 2:
        assert row.kernels == (int(mask.flatten(2).any(2).sum()), mask.shape[0] * mask.shape[1])
    else:
        assert row.kernels == (0, 0)
    assert row.density == pytest.approx(int(mask.sum()) / mask.numel())


def test_a_hand_made_matrix() -> None:
    row = row_of(put(nn.Linear(4, 3), torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]])))
    assert (row.weights, row.filters, row.inputs, row.kernels) == ((3, 12), (2, 3), (2, 4), (0, 0))


def test_a_hand_made_convolution() -> None:
    mask = torch.zeros(2, 3, 2, 2)
    mask[0, 1, 0, 1] = mask[0, 1, 1, 1] = mask[0, 2, 0, 0] = 1
    row = row_of(put(nn.Conv2d(3, 2, 2), mask))
    assert (row.weights, row.filters, row.inputs, row.kernels) == ((3, 24), (1, 2), (2, 3), (2, 6))


def test_density_is_over_all_weights_not_a_mean_of_layers() -> None:
    net = nn.Sequential(put(nn.Linear(10, 10), torch.ones(10, 10)), put(nn.Linear(10, 90), torch.zeros(90, 10)))
    assert bt.density(net) == pytest.approx(0.1)
    assert isinstance(bt.density(net), float)


def test_biases_norm_layers_and_embeddings_do_not_count() -> None:
    net = nn.Sequential(put(nn.Linear(4, 2), torch.eye(2, 4)), nn.BatchNorm1d(2), nn.LayerNorm(2), nn.Embedding(5, 2))
    with torch.no_grad():
        net[0].bias.zero_()
    assert bt.density(net) == 0.25
    assert [row.name for row in bt.sparsity_report(net).rows] == ["0"]


def test_a_shared_weight_counts_once() -> None:
    first, second, third = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    put(first, torch.eye(4))
    put(third, torch.ones(4, 4))
    net = nn.Sequential(first, second, third, first)
    assert [row.name for row in bt.sparsity_report(net).rows] == ["0", "2"]
    assert bt.density(net) == (4 + 16) / 32


def test_layers_with_computed_weights_are_all_counted() -> None:
    """Such a weight is a new tensor at every access; a freed one may lend its id to the next."""
    net = nn.Sequential(*(weight_norm(nn.Linear(6, 6)) for _ in range(20)))
    assert len(bt.sparsity_report(net).rows) == 20
    assert bt.density(net) == 1.0


def test_minus_zero_is_zero_and_nan_is_not() -> None:
    layer = nn.Linear(4, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-0.0, 0.0, float("nan"), 1e-45]]))
    assert bt.density(layer) == 0.5


def test_memory_format_and_gradients_do_not_matter() -> None:
    layer = nn.Conv2d(4, 6, 3)
    mask = random_mask(layer, 1)
    plain = row_of(put(layer, mask))
    assert row_of(put(layer.to(memory_format=torch.channels_last), mask)) == plain
    with torch.no_grad():
        assert bt.density(layer) == plain.density


def test_the_report_shows_as_a_table_with_names_and_totals() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = put(nn.Conv2d(40, 50, 1), torch.ones(50, 40, 1, 1))
            self.head = put(nn.Linear(4, 2), torch.eye(2, 4))

    report = bt.sparsity_report(Net())
    assert repr(report) == str(report)
    lines = str(report).splitlines()
    assert lines[0].split() == ["layer", "shape", "weights", "density", "filters/rows", "inputs", "kernels"]
    assert lines[2].split() == ["features", "50x40x1x1", "2,000/2,000", "100.00%", "50/50", "40/40", "2,000/2,000"]
    assert lines[3].split() == ["head", "2x4", "2/8", "25.00%", "2/2", "2/4", "-"]
    assert lines[4].split() == ["all", "2,002/2,008", f"{2002 / 2008:.2%}"]
    assert report.density == bt.density(Net()) == 2002 / 2008
    assert not any(line.endswith(" ") for line in lines)


def test_the_layer_itself_can_be_asked() -> None:
    assert bt.sparsity_report(nn.Linear(2, 2)).rows[0].name == "model"


def test_a_layer_that_lost_all_its_neurons_does_not_break_the_report() -> None:
    gone = nn.Linear(3, 1)
    gone.weight = nn.Parameter(torch.empty(0, 3))
    report = bt.sparsity_report(nn.Sequential(gone, put(nn.Linear(2, 2), torch.eye(2))))
    assert report.rows[0].density == 0
    assert report.density == 0.5
    assert "0/3" in str(report)


@pytest.mark.parametrize("count", [bt.density, bt.sparsity_report])
def test_what_cannot_be_counted_is_refused_by_name(count) -> None:
    with pytest.raises(ValueError, match="Sequential has no Linear or Conv layer"):
        count(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)))
    with pytest.raises(ValueError, match=r"layer '1' is lazy .* run one batch"):
        count(nn.Sequential(nn.Linear(2, 2), nn.LazyConv2d(3, 3)))


def test_a_lazy_network_counts_after_its_first_batch() -> None:
    net = nn.Sequential(nn.LazyLinear(3))
    net(torch.ones(1, 5))
    assert bt.sparsity_report(net).rows[0].weights == (15, 15)
