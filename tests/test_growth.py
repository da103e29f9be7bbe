"""The records of growth: exact, small, and those of the runs that they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bregtutorial as bt
from bregtutorial import cli, growth, results


@pytest.fixture(scope="module")
def grown():
    return growth.watch("mnist-mlp/linbreg-0.1", tier="quick", epochs=2, size=200)


def test_it_ends_where_the_run_ends(grown):
    run = bt.run("mnist-mlp/linbreg-0.1", tier="quick", epochs=2, size=200)
    for mask, layer in zip(grown.masks.values(), (p for p in run.model.parameters() if p.ndim == 2), strict=True):
        assert np.array_equal(mask[-1], layer.detach().numpy() != 0)
    assert grown.masks["1"][0].mean() == pytest.approx(run.recipe.density, abs=0.001)


def test_what_is_written_is_read_again(grown, tmp_path, monkeypatch):
    path = grown.save(tmp_path)
    assert path.name == "mnist-mlp-linbreg-0.1.json"
    monkeypatch.setattr(growth, "folder", lambda: tmp_path)
    again = growth.load("mnist-mlp/linbreg-0.1")
    assert again.origin == grown.origin
    for name, mask in grown.masks.items():
        assert np.array_equal(again.masks[name], mask)
    assert repr(again) == "Growth of mnist-mlp/linbreg-0.1 over 2 epochs on digits"


def test_weights_that_fall_asleep_and_long_gaps_are_kept(tmp_path, monkeypatch):
    masks = np.random.default_rng(0).random((5, 3, 700)) < [[[0.5]], [[0.001]], [[0.0]], [[1.0]], [[0.004]]]
    origin = {"name": "a/b", "data": {"name": "x"}}
    growth.Growth({"1": masks, "2": masks.any(2)}, origin).save(tmp_path)
    monkeypatch.setattr(growth, "folder", lambda: tmp_path)
    again = growth.load("a/b")
    assert np.array_equal(again.masks["1"], masks)
    assert np.array_equal(again.masks["2"], masks.any(2))


@pytest.mark.parametrize(("name", "experiment"), [("mnist-mlp/linbreg-0.1", "mnist-mlp"), ("autoencoder/adabreg",) * 2])
def test_recorded_growth_is_that_of_the_recorded_run(name, experiment):
    record = growth.load(name)
    experiment = experiment.partition("/")[0]
    command = record.origin["command"].replace(" grow ", " run ").replace(" --rows", "")
    (run,) = [run for run in results.load(experiment) if run.command.replace(" --device cpu", "") == command]
    assert run.recipe.name == name
    for k, row in enumerate(run.history, start=1):
        if "active/1" in row:
            assert {layer: mask[k].sum() for layer, mask in record.masks.items()} == {
                layer: row[f"active/{layer}"] for layer in record.masks
            }
        else:
            awake, every = (sum(f(mask[k]) for mask in record.masks.values()) for f in (np.sum, np.size))
            assert float(f"{awake / every:.6g}") == row["density"]


def test_a_record_is_cut_after_an_epoch():
    whole = growth.load("autoencoder/adabreg")
    part = whole.until(3)
    assert all(np.array_equal(mask, whole.masks[name][:4]) for name, mask in part.masks.items())
    assert part.origin == whole.origin
    with pytest.raises(ValueError, match=r"epoch must be in \[0, 100\], the epochs of the record, got 101"):
        whole.until(101)


def test_records_are_small():
    assert all(path.stat().st_size <= 150_000 for path in (results.folder() / "growth").glob("*.json"))


def test_an_unknown_record_is_named_with_the_way_out():
    with pytest.raises(ValueError, match=r"no growth of 'mnist-mlp/sgd' is recorded, only .*linbreg-0.1.* grow"):
        growth.load("mnist-mlp/sgd")


def test_the_command_writes_what_watch_returns(tmp_path, capsys):
    words = ["grow", "autoencoder/adabreg", "--tier", "quick", "--epochs", "1", "--size", "128", "--rows"]
    assert cli.main([*words, "--save", str(tmp_path)]) == 0
    assert "wrote" in capsys.readouterr().out
    assert (tmp_path / "growth" / "autoencoder-adabreg.json").is_file()


def test_a_recipe_of_one_s_own_is_watched():
    recipe = replace(bt.recipes.get("mnist-mlp/linbreg-0.1"), density=0.5)
    start = growth.watch(recipe, tier="quick", epochs=1, size=64, rows=True).masks["1"][0]
    assert start.shape == (200,)
    assert start.all()
