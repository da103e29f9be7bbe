"""The recipes that restore images: what the network sees, what it starts from, and what is noted of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import bregtutorial as bt
from bregtutorial import results
from bregtutorial.data import Corrupted
from bregtutorial.layers import weighted_layers
from bregtutorial.quality import psnr, ssim
from bregtutorial.recipes import RECIPES, TASKS, Budget, Setting, build, from_plain, get, to_plain
from bregtutorial.recipes.tasks import architecture
from bregtutorial.runs import run

RESTORING = [recipe for recipe in RECIPES.values() if recipe.task == "restoration"]
NAMES = [recipe.name for recipe in RESTORING]
SMALL = Setting("quick", size=128, epochs=1)


def tiny(name: str, **changes: object) -> object:
    """A recipe whose network has five neurons a layer."""
    recipe = get(name)
    return replace(recipe, quick=replace(recipe.quick, widths=(5,) * 5, density=0.5), **changes)


def test_there_are_such_recipes() -> None:
    assert {"autoencoder/adabreg", "autoencoder/dense-adam", "skip-autoencoder/denoise"} <= set(NAMES)


@pytest.mark.parametrize("recipe", RESTORING, ids=NAMES)
def test_a_recipe_survives_its_record(recipe: object) -> None:
    assert from_plain(to_plain(recipe)) == recipe


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_corrupted_as_the_recipe_says_and_targets_are_clean(name: str) -> None:
    recipe = get(name)
    experiment = build(tiny(name), SMALL)
    for batches, fresh in ((experiment.train, True), (experiment.test["test"], False)):
        assert isinstance(batches, Corrupted)
        assert (batches.noise, batches.blur, batches.fresh) == (recipe.noise, recipe.blur, fresh)
        noisy, clean = next(iter(batches))
        assert noisy.shape == clean.shape == experiment.model(noisy).shape
        assert torch.equal(clean * 255, (clean * 255).round())
        assert recipe.blur or abs((noisy - clean).std() - recipe.noise) < 0.02 * recipe.noise


def test_the_found_network_has_the_recorded_widths() -> None:
    (grown,) = (r for r in results.load("autoencoder", "full") if (r.recipe.variant, r.setting.seed) == ("adabreg", 0))
    active = [round(n) for name, n in grown.history[-1].items() if name.startswith("active/")]
    assert get("autoencoder/found-adam").full.widths == tuple(active[:-1])


def test_every_seed_is_tested_on_the_same_noise() -> None:
    first, second = (
        next(iter(build(tiny("autoencoder/adabreg"), replace(SMALL, seed=seed)).test["test"]))[0] for seed in (0, 1)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["autoencoder/adabreg", "skip-autoencoder/denoise"])
@pytest.mark.parametrize("tier", ["quick", "full"])
def test_about_eight_neurons_start_in_every_hidden_layer(name: str, tier: str) -> None:
    recipe = get(name)
    counts = []
    for seed in range(4):
        budget = replace(getattr(recipe, tier), data="digits")
        experiment = build(replace(recipe, quick=budget), Setting("quick", seed=seed, size=128))
        counts += [row.filters[0] for row in bt.sparsity_report(experiment.model).rows[:-1]]
    assert sum(counts) / len(counts) == pytest.approx(7.84, abs=4 * (7.84 / len(counts)) ** 0.5)


def test_the_gain_halves_what_sparse_initialisation_left() -> None:
    nets = [build(tiny("autoencoder/adabreg", gain=gain), SMALL).model for gain in (1.0, 0.5)]
    for (_, full), (_, half) in zip(*map(weighted_layers, nets), strict=True):
        assert torch.equal(full.weight * 0.5, half.weight)
        assert torch.equal(full.bias, half.bias)
    assert all((layer.weight != 0).any() for _, layer in weighted_layers(nets[0]))


def test_a_budget_without_a_density_takes_the_recipe_s() -> None:
    recipe = replace(get("autoencoder/adabreg"), quick=Budget("digits", 1, (50,) * 5), density=0.3)
    found = bt.density(build(recipe, SMALL).model)
    assert found == pytest.approx(0.3, abs=0.05)


def test_scalars_of_skips_have_their_own_strength() -> None:
    groups = {group["name"]: group for group in build(tiny("skip-autoencoder/denoise"), SMALL).optimizer.param_groups}
    assert groups["linear"]["reg"] == bt.GroupL2("rows")
    assert groups["other"]["reg"] == bt.L1()
    assert groups["other"]["lam"] == pytest.approx(28 * groups["linear"]["lam"])
    assert groups["bias"]["lam"] == 0


def test_a_run_notes_neurons_skips_and_quality() -> None:
    result = run(tiny("skip-autoencoder/denoise"), "quick", epochs=2, size=256, progress=False)
    report, last = bt.sparsity_report(result.model), result.history[-1]
    assert [last[f"active/layers.{k}"] for k in range(6)] == [row.filters[0] for row in report.rows]
    assert {(i, k): last[f"skip/{i}-{k}"] for i, k in result.model.skips()} == result.model.skips()
    batches = build(result.recipe, SMALL).test["test"]
    with torch.no_grad():
        outputs = [(result.model(noisy), clean) for noisy, clean in batches]
    for name, measure in (("test_psnr", psnr), ("test_ssim", ssim)):
        expected = sum(measure(x, y).item() for x, y in outputs) / len(outputs)
        assert result.final[name] == pytest.approx(expected, abs=1e-4)
    assert "test_ssim" not in last, "it takes too long to be measured after every epoch"


def test_what_is_noted_of_a_plain_network_is_its_neurons() -> None:
    net = bt.models.autoencoder((9, 4, 9))
    with torch.no_grad():
        net[1].weight[2] = 0
    assert architecture(net) == {"active/1": 3.0, "active/3": 9.0}
    assert TASKS["classification"].observe(net) == {}


def test_fit_lets_the_rows_hold_what_an_observer_finds() -> None:
    net = bt.models.mlp((784, 3, 10))
    seen = []

    def observe(model: torch.nn.Module) -> dict[str, float]:
        seen.append(model)
        return {"largest bias": model[3].bias.max().item()}

    train = bt.data.Loader(bt.load_dataset("digits", size=100), 20)
    rows = bt.training.fit(net, torch.optim.SGD(net.parameters(), lr=0.1), train, epochs=3, observe=observe)
    assert seen == [net] * 3
    assert rows[-1]["largest bias"] == net[3].bias.max().item() != rows[0]["largest bias"]
