"""Recipes: each builds and trains, tiers change budgets only, and a run is a function of its recipe and seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
import torch

import bregtutorial as bt
from bregtutorial.recipes import RECIPES, Budget, Penalty, Setting, build, from_plain, get, names, parse, to_plain
from bregtutorial.recipes.build import _warm_cosine
from bregtutorial.recipes.pruning import PruningRamp, cut_small_, remove_masks

SMALL = {"tier": "quick", "epochs": 1, "size": 256, "progress": False}
SMALL_SETTING = Setting(size=256)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_and_takes_two_steps(name):
    recipe = get(name)
    experiment = build(recipe, Setting(size=256))
    before = {n: p.detach().clone() for n, p in experiment.model.named_parameters()}
    loss = {"loss": experiment.loss, "metrics": experiment.metrics}
    rows = bt.fit(
        experiment.model,
        experiment.optimizer,
        list(experiment.train)[:2],
        epochs=1,
        schedules=experiment.schedules,
        precision=recipe.precision,
        channels_last=recipe.channels_last,
        progress=False,
        **loss,
    )
    after = dict(experiment.model.named_parameters())
    assert any(not torch.equal(p, after[n]) for n, p in before.items())
    assert rows[0]["step"] == 2
    start = experiment.budget.density or recipe.density
    if recipe.target_start is None:  # a steered density is met at every tenth step, and runs away in between
        assert (rows[0]["density"] < 0.5) == (start < 0.5)  # two steps wake few weights


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_json(name):
    assert from_plain(to_plain(get(name))) == get(name)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_how_its_numbers_came_about(name):
    assert get(name).how.endswith(".")
    assert len(get(name).how) > 20


def test_tiers_can_differ_in_budgets_only():
    """A budget has no other fields, and the parts of a recipe do not see the tier."""
    fields = {field.name for field in dataclasses.fields(Budget)}
    assert fields == {"data", "epochs", "widths", "size", "density"}
    for recipe in RECIPES.values():
        assert {budget.data for budget in recipe.budgets.values()} <= {
            *("digits", "textures", "mnist", "fashion-mnist", "cifar10")
        }
        assert recipe.quick.data in ("digits", "textures")  # no download
        assert len({len(budget.widths) for budget in recipe.budgets.values()}) == 1


def test_the_optimizer_is_that_of_the_recipe_in_every_tier(monkeypatch, tmp_path):
    """Two tiers on the same images give optimizers with equal settings."""
    recipe = get("convnet-l1/adabreg")
    settings = [Setting(tier, data="digits", size=256) for tier in ("quick", "full")]
    groups = [
        [{k: v for k, v in g.items() if k not in ("params", "param_names")} for g in e.optimizer.param_groups]
        for e in (build(recipe, setting) for setting in settings)
    ]
    rates = [[g.pop("lr") for g in group] for group in groups]  # a warm-up that counts the tier's own steps
    assert groups[0] == groups[1]
    assert rates[0] != rates[1]


@pytest.mark.parametrize("name", ["mnist-mlp/linbreg-0.1", "convnet-groups/adabreg", "autoencoder/adabreg"])
def test_a_run_is_the_same_to_the_last_bit(name):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = bt.run(name, **SMALL, seed=3, threads=1)
        torch.manual_seed(2)  # nothing depends on the global generator
        second = bt.run(name, **SMALL, seed=3, threads=1)
    for p, q in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(p, q)
    seconds = {"seconds": 0.0}
    assert [{**row, **seconds} for row in first.history] == [{**row, **seconds} for row in second.history]
    other = bt.run(name, **SMALL, seed=4, threads=1)
    assert first.final["test_loss"] != other.final["test_loss"]


def test_a_penalty_reaches_the_loss_of_an_optimizer_without_prox():
    experiment = build(
        dataclasses.replace(get("convnet-l1/lasso"), conv=Penalty(0.5), linear=Penalty(0.0)), SMALL_SETTING
    )
    x, y = next(iter(experiment.train))
    plain = torch.nn.functional.cross_entropy(experiment.model(x), y)
    conv = [m.weight for m in experiment.model if isinstance(m, torch.nn.Conv2d)]
    penalty = 0.5 * sum(w.abs().sum() for w in conv)
    torch.testing.assert_close(experiment.loss(experiment.model(x), y), plain + penalty)
    with torch.no_grad():  # what is measured is the loss alone
        torch.testing.assert_close(experiment.loss(experiment.model(x), y), plain.detach())


def test_the_held_out_images_are_not_trained_on():
    experiment = build(get("mnist-mlp/sgd"), Setting(size=240))
    assert list(experiment.test) == ["valid", "test"]
    assert experiment.data["train"]["images"] == 220
    assert experiment.data["valid"]["images"] == 20
    assert experiment.data["train"]["fingerprint"] != experiment.data["valid"]["fingerprint"]


def test_cosine_with_warm_up():
    factor = _warm_cosine(100, 10)
    assert [factor(0), factor(9), factor(10)] == pytest.approx([1 / 11, 10 / 11, 1.0])
    assert factor(55) == pytest.approx(0.5)
    assert factor(100) == pytest.approx(0.0, abs=1e-12)


def test_a_target_falls_between_the_shares_of_its_span():
    recipe = dataclasses.replace(get("cifar10-resnet18/short-adabreg"), target_span=(0.25, 0.75))
    experiment = build(recipe, Setting(size=256, epochs=20))  # 40 steps
    (control,) = (s for s in experiment.schedules if isinstance(s, bt.TargetDensity))
    assert [control.density(step) for step in (0, 10)] == [0.3, 0.3]
    assert control.density(20) == pytest.approx(0.034 + (0.3 - 0.034) / 8)  # half-way, cubic
    assert [control.density(step) for step in (30, 40)] == [0.034, 0.034]


@pytest.mark.parametrize("groups", [None, "kernels"])
def test_the_ramp_ends_at_its_density_and_fine_tuning_keeps_the_zeros(groups):
    generator = torch.Generator().manual_seed(0)
    model = bt.models.convnet((1, 8, 8), (16, 4), generator=generator).to(memory_format=torch.channels_last)
    ramp = PruningRamp(model, 0.2, start=20, stop=100, groups=groups)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)  # 0.1 diverges for some starts
    seen = []
    for _ in range(120):
        optimizer.zero_grad()
        model(torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))).square().mean().backward()
        optimizer.step()
        ramp.step()
        seen.append(bt.density(model))
    assert seen[18] == 1.0
    assert seen == sorted(seen, reverse=True)
    # a quarter of the way, three quarters of the time are left: 0.2 + 0.8 (3/4)^3
    assert seen[39] == pytest.approx(0.2 + 0.8 * 0.75**3, abs=0.01)
    assert seen[99] == seen[-1] == pytest.approx(0.2, abs=0.01)
    containers = [hook for layer in (model[0], model[3]) for hook in layer._forward_pre_hooks.values()]
    assert [len(container) for container in containers] == [1, 1]  # not one mask a cut
    remove_masks(model)
    assert bt.density(model) == seen[-1]
    assert not [n for n, _ in model.named_parameters() if n.endswith("orig")]
    if groups:
        kernels = model[0].weight.flatten(2)
        assert ((kernels == 0).all(2) | (kernels != 0).all(2)).all()


def test_a_ramp_goes_on_where_it_was_saved():
    models = [bt.models.mlp((10, 8, 2), generator=torch.Generator().manual_seed(0)) for _ in range(2)]
    ramps = [PruningRamp(model, 0.5, 0, 100) for model in models]
    for _ in range(50):
        ramps[0].step()
    models[1].load_state_dict(models[0].state_dict())
    ramps[1].load_state_dict(ramps[0].state_dict())
    for ramp in ramps:
        for _ in range(50):
            ramp.step()
    assert torch.equal(models[0][1].weight, models[1][1].weight)
    assert bt.density(models[1]) == pytest.approx(0.5, abs=0.01)


def test_small_weights_and_small_groups_are_cut():
    model = bt.models.convnet((1, 2), (4,), kernel_size=3, image_size=8)
    with torch.no_grad():
        model[0].weight[0] = 0.01
        model[0].weight[0, 0, 0, 0] = 1.0  # root mean square 0.33
        model[0].weight[1] = 0.01
        model[4].weight.fill_(0.5)
        model[4].weight[0, 0] = 0.05
    cut_small_(model, 0.1, {"conv": "kernels", "linear": None})
    assert (model[0].weight[0] != 0).all()
    assert (model[0].weight[1] == 0).all()
    assert int((model[4].weight == 0).sum()) == 1


@pytest.mark.parametrize(
    "setting",
    [
        Setting("full"),
        Setting("quick", 7, "folder:my pictures", "a note; with 'quotes'", 3, 100, "bfloat16", "cpu", 2, True, 4),
    ],
)
def test_a_command_means_the_setting_that_it_was_made_from(setting):
    assert parse(setting.command("mnist-mlp/sgd")) == ("mnist-mlp/sgd", setting)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adabrg"}, "did you mean 'adabreg'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"name": "mnist-mlp"}, "experiment/variant"),
        ({"weight_decay": 1e-4}, "weight_decay is for sgd and adam"),
    ],
)
def test_a_recipe_refuses_what_it_cannot_mean(change: Mapping[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(get("mnist-mlp/linbreg-0.1"), **change)


@pytest.mark.parametrize("name", ["epochs", "size", "threads"])
def test_a_setting_refuses_numbers_below_one(name):
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, got 0"):
        Setting(**{name: 0})


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean 'mnist-mlp/linbreg-0\.1'"):
        bt.run("mnist-mlp/linbreg-1")
    with pytest.raises(ValueError, match=r"did you mean 'convnet-l1'"):
        names("convnet-11")


def test_the_batch_is_shared_by_the_processes():
    with pytest.raises(ValueError, match="batch_size=128 must be a multiple of the 3 processes"):
        build(get("mnist-mlp/sgd"), SMALL_SETTING, world_size=3)


def test_pictures_in_a_folder_of_the_reader(tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    for split, n in (("train", 4), ("test", 2)):
        for k, kind in enumerate(("cat", "dog")):
            place = tmp_path / "pets" / split / kind
            place.mkdir(parents=True)
            for i in range(n):
                image.new("RGB", (40, 40), (60 * k + i, 90, 30)).save(place / f"{i}.png")
    monkeypatch.setenv("BREGTUTORIAL_DATA", str(tmp_path))
    result = bt.run(
        "cifar10-resnet18/linbreg",
        tier="quick",
        data="folder:pets",
        data_note="re-encoded",
        epochs=1,
        size=8,
        progress=False,
    )
    assert result.data["name"] == "folder:pets"
    assert result.data["note"] == "re-encoded"
    assert str(tmp_path) not in str(result.to_plain())
    assert parse(result.command)[1].data == "folder:pets"
