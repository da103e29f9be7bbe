"""Which parameter is penalised: every one in exactly one group, biases and norm layers never."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import bregtutorial as bt
from bregtutorial.parameter_groups import KINDS


class Scaled(nn.Module):
    """A module with parameters of its own, one of them called weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(2))])
        self.inner = nn.Linear(3, 3)


class MyLinear(nn.Linear): ...


class MyNorm(nn.LayerNorm): ...


def tied() -> nn.Module:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    return nn.Sequential(first, second)


def frozen() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[0].requires_grad_(False)
    return net


ZOO = {
    "mlp": lambda: bt.models.mlp((9, 4, 2)),
    "convnet": bt.models.convnet,
    "resnet": bt.models.resnet,
    "attention": lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True, kdim=4, vdim=6),
    "transformer": lambda: nn.TransformerEncoderLayer(8, 2, 16),
    "lstm": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2),
    "embedding": lambda: nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)),
    "norms": lambda: nn.Sequential(
        nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.BatchNorm1d(4), nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True),
        nn.RMSNorm(4), nn.SyncBatchNorm(4), MyNorm(4), nn.Linear(4, 4),
    ),
    "convs": lambda: nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.Conv2d(2, 4, 3, groups=2), nn.Conv3d(2, 4, 3), nn.ConvTranspose1d(2, 4, 3),
        nn.ConvTranspose2d(2, 4, 3), nn.ConvTranspose3d(2, 4, 3),
    ),
    "bilinear": lambda: nn.Sequential(nn.Bilinear(2, 3, 4), nn.PReLU()),
    "tied": tied,
    "frozen": frozen,
    "weight_norm": lambda: nn.Sequential(weight_norm(nn.Linear(4, 4)), weight_norm(nn.Conv2d(4, 4, 3))),
    "spectral_norm": lambda: nn.Sequential(spectral_norm(nn.Linear(4, 4))),
    "prune": lambda: nn.Sequential(prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5), nn.Linear(4, 4)),
    "custom": Scaled,
    "subclass": lambda: nn.Sequential(MyLinear(3, 3)),
    "one layer": lambda: nn.Linear(3, 2),
}  # fmt: skip


def kinds_of(model: nn.Module, **options: object) -> dict[str, str]:
    """Kind by parameter name."""
    return {name: group["name"] for group in bt.parameter_groups(model, **options) for name, _ in group["params"]}


@pytest.mark.parametrize("name", ZOO)
def test_every_parameter_is_in_exactly_one_group(name: str) -> None:
    model = ZOO[name]()
    members = [p for group in bt.parameter_groups(model) for _, p in group["params"]]
    assert len({id(p) for p in members}) == len(members)
    assert {id(p) for p in members} == {id(p) for p in model.parameters()}


@pytest.mark.parametrize("name", ZOO)
def test_names_are_the_model_s_and_their_order_too(name: str) -> None:
    model = ZOO[name]()
    named = dict(model.named_parameters())
    groups = bt.parameter_groups(model)
    assert [group["name"] for group in groups] == [kind for kind in KINDS if kind in {g["name"] for g in groups}]
    for group in groups:
        assert group["params"], "empty groups are left out"
        assert all(named[name] is p for name, p in group["params"])
        order = [list(named).index(name) for name, _ in group["params"]]
        assert order == sorted(order)


@pytest.mark.parametrize("name", ZOO)
def test_what_is_penalised_is_a_weight_of_a_linear_or_conv_layer(name: str) -> None:
    model = ZOO[name]()
    weights = {
        id(m._parameters.get("weight"))
        for m in model.modules()
        if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd)) and m._parameters.get("weight") is not None
    }
    penalised = {id(p) for g in bt.parameter_groups(model, lam=0.3) if g["lam"] != 0 for _, p in g["params"]}
    assert penalised == weights
    for group in bt.parameter_groups(model, lam=0.3):
        unpenalised = group["name"] not in ("conv", "linear")
        assert (group["lam"], group["reg"]) == ((0.0, bt.Zero()) if unpenalised else (0.3, bt.L1()))


@pytest.mark.parametrize("name", ZOO)
def test_norm_layers_and_biases_are_never_penalised(name: str) -> None:
    model = ZOO[name]()
    norms = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)
    never = {id(p) for m in model.modules() if isinstance(m, norms) for p in m._parameters.values()}
    never |= {id(p) for path, p in model.named_parameters() if "bias" in path}
    for group in bt.parameter_groups(model, lam=1.0, reg=bt.Nuclear()):
        assert group["lam"] == 0 or not {id(p) for _, p in group["params"]} & never


def test_kinds_of_the_zoo() -> None:
    assert kinds_of(ZOO["lstm"]())["bias_hh_l1_reverse"] == "bias"
    assert kinds_of(ZOO["lstm"]())["weight_ih_l0"] == "other"
    assert kinds_of(ZOO["attention"]()) == {
        "q_proj_weight": "other", "k_proj_weight": "other", "v_proj_weight": "other", "in_proj_bias": "bias",
        "bias_k": "bias", "bias_v": "bias", "out_proj.weight": "linear", "out_proj.bias": "bias",
    }  # fmt: skip
    assert kinds_of(ZOO["embedding"]()) == {"0.weight": "other", "1.weight": "linear", "1.bias": "bias"}
    own = {"weight": "other", "scales.0": "other", "scales.1": "other"}
    assert kinds_of(ZOO["custom"]()) == {**own, "inner.weight": "linear", "inner.bias": "bias"}
    assert kinds_of(ZOO["weight_norm"]())["0.parametrizations.weight.original0"] == "other"
    assert set(kinds_of(ZOO["norms"]()).values()) == {"norm", "linear", "bias"}


OPTIMIZERS = [bt.LinBreg, bt.AdaBreg, bt.ProxSGD, torch.optim.SGD, torch.optim.Adam]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ZOO)
def test_every_optimizer_takes_the_groups_and_knows_the_names(name: str, optimizer: type) -> None:
    model = ZOO[name]()
    opt = optimizer(bt.parameter_groups(model, lam=0.1), lr=0.01)
    known = [name for group in opt.param_groups for name in group["param_names"]]
    assert sorted(known) == sorted(name for name, _ in model.named_parameters())
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.ones_like(p) if p.requires_grad else None
    opt.step()
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) != p.requires_grad, name


def test_a_norm_layer_with_gradient_noise_keeps_its_scale_while_weights_die() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6))
    opt = bt.ProxSGD(bt.parameter_groups(model, lam=100.0), lr=0.1)
    for p in model.parameters():
        p.grad = torch.full_like(p, 0.01)
    opt.step()
    assert model[0].weight.count_nonzero() == 0
    torch.testing.assert_close(model[1].weight.detach(), torch.full((6,), 1 - 0.001))


def test_errors_of_an_optimizer_name_the_parameter() -> None:
    groups = bt.parameter_groups(bt.models.convnet(), reg=bt.GroupL2("kernels"))
    with pytest.raises(ValueError, match=r"parameter '7\.weight' of shape \(128, 1024\).*kernels"):
        bt.LinBreg(groups)
    with pytest.raises(ValueError, match=r"lam must be >= 0.*got -1"):
        bt.LinBreg(bt.parameter_groups(nn.Linear(2, 2), lam=-1))


def test_a_group_can_be_found_by_its_name() -> None:
    opt = bt.LinBreg(bt.parameter_groups(bt.models.convnet(), lam=0.2))
    opt.set_lam(0.4, group="conv")
    assert {group["name"]: group["lam"] for group in opt.param_groups} == {"conv": 0.4, "linear": 0.2, "bias": 0.0}


def test_options_go_to_their_kind_and_override() -> None:
    groups = bt.parameter_groups(
        bt.models.resnet(), 0.3, bt.GroupL2("rows"), conv={"reg": bt.GroupL2("kernels"), "lam": 0.05}, norm={"lr": 7.0}
    )
    found = {group["name"]: group for group in groups}
    assert (found["conv"]["reg"], found["conv"]["lam"]) == (bt.GroupL2("kernels"), 0.05)
    assert (found["linear"]["reg"], found["linear"]["lam"]) == (bt.GroupL2("filters"), 0.3)
    assert found["norm"]["lr"] == 7.0
    assert [name for name in found if "lr" in found[name]] == ["norm"]


def test_a_parameter_can_be_given_another_kind() -> None:
    model = nn.ModuleDict({"body": nn.Linear(3, 3), "head": nn.Linear(3, 2)})
    assert kinds_of(model, kinds={"head.weight": "other"})["head.weight"] == "other"
    assert kinds_of(model, kinds={"head.weight": "other"})["body.weight"] == "linear"
    assert kinds_of(nn.LSTM(2, 2), kinds={"weight_hh_l0": "linear"})["weight_hh_l0"] == "linear"


def test_a_shared_parameter_answers_to_each_of_its_names() -> None:
    assert kinds_of(tied(), kinds={"1.weight": "other"}) == {"0.weight": "other", "0.bias": "bias", "1.bias": "bias"}


def test_sharing_between_kinds_must_be_decided() -> None:
    model = nn.ModuleDict({"words": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["words"].weight
    with pytest.raises(ValueError, match=r"'words\.weight' is shared.*other of words \(Embedding\).*linear of head"):
        bt.parameter_groups(model)
    assert kinds_of(model, kinds={"words.weight": "linear"}) == {"words.weight": "linear"}
    assert kinds_of(model, kinds={"head.weight": "linear"}) == {"words.weight": "linear"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kinds": {"0.wieght": "other"}}, r"'0\.wieght', which is no parameter.*did you mean '0\.weight'"),
        ({"kinds": {"0.weight": "dense"}}, "unknown kind 'dense', must be one of conv, linear, bias, norm, other"),
        ({"lienar": {"lam": 1}}, "unknown option 'lienar'.*did you mean 'linear'"),
    ],
)
def test_misspelt_names_are_refused_with_the_nearest_one(options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        bt.parameter_groups(nn.Sequential(nn.Linear(2, 2)), **options)


def test_a_model_without_parameters_and_a_lazy_one_are_refused() -> None:
    with pytest.raises(ValueError, match="ReLU has no parameters"):
        bt.parameter_groups(nn.ReLU())
    with pytest.raises(ValueError, match=r"parameter '1\.weight' is lazy .* run one batch"):
        bt.parameter_groups(nn.Sequential(nn.Linear(2, 2), nn.LazyConv2d(3, 3)))


@pytest.mark.parametrize("reg", [bt.GroupL2, bt.SparseGroupL2])
def test_filters_and_inputs_of_a_transposed_convolution_are_refused_with_the_way_out(reg: type) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(3, 5, 2))
    with pytest.raises(ValueError, match=r"'0\.weight' belongs to a ConvTranspose2d.*other side"):
        bt.parameter_groups(model, reg=reg("filters"))
    with pytest.raises(ValueError, match="filters"):
        bt.parameter_groups(model, reg=reg("inputs"))
    assert bt.parameter_groups(model, reg=reg("kernels"))[0]["reg"] == reg("kernels")
    assert bt.parameter_groups(model, reg=bt.L1())[0]["name"] == "conv"
    way_out = {"kinds": {"0.weight": "other"}, "other": {"reg": reg("inputs"), "lam": 0.1}}
    opt = bt.LinBreg(bt.parameter_groups(model, reg=reg("filters"), **way_out), lr=1.0)
    with torch.no_grad():  # what the way out promises: one output channel can die alone
        model[0].weight[:, 2] = 0
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    opt.step()
    assert bt.sparsity_report(model).rows[0].filters == (4, 5)


def test_inputs_of_a_grouped_convolution_are_refused() -> None:
    model = nn.Sequential(nn.Conv2d(8, 8, 3, groups=4))
    with pytest.raises(ValueError, match=r"'0\.weight': .* groups=4 are no slices of its weight \(8, 2, 3, 3\)"):
        bt.parameter_groups(model, reg=bt.GroupL2("inputs"))
    assert bt.parameter_groups(model, reg=bt.GroupL2("filters"))[0]["name"] == "conv"
