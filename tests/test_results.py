"""Recorded runs: written and read, checked, and put beside the paper's numbers."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest

import bregtutorial as bt
from bregtutorial import results
from bregtutorial.recipes import RECIPES, get
from bregtutorial.results.paper import PUBLISHED

ROOT = Path(__file__).resolve().parent.parent
PATHS = list(results.paths())
LARGEST = 60_000  # bytes


@pytest.fixture(scope="module")
def result() -> results.Result:
    return bt.run("convnet-l1/lasso", tier="quick", seed=5, epochs=2, size=200, progress=False)


def test_a_record_is_what_was_run(result, tmp_path):
    path = result.save(tmp_path)
    assert path == tmp_path / "convnet-l1" / "lasso-quick-seed5.json"
    (read,) = results.load("convnet-l1", root=tmp_path)
    assert (read.recipe, read.setting, read.environment) == (result.recipe, result.setting, result.environment)
    assert [set(row) for row in read.history] == [set(row) for row in result.history]
    for ours, theirs in zip(read.history, result.history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert read.save(tmp_path / "again").read_text() == path.read_text()
    assert results.check(results.read(path)) == []


def test_the_end_of_a_run_is_in_its_last_row(result):
    last = result.history[-1]
    assert result.final["test_accuracy"] == last["test_accuracy"]
    assert result.final["density"] == last["density"]
    assert result.seconds == pytest.approx(sum(row["seconds"] for row in result.history))
    assert result.data["train"]["images"] == 200


def test_a_threshold_is_applied_to_a_copy(result):
    final = dict(result.final)
    assert final["thresholded_density"] < final["density"]
    assert 0 <= final["thresholded_test_accuracy"] <= 1
    assert bt.density(result.model) == pytest.approx(final["density"])


def test_counts_are_those_of_the_report(result):
    report = bt.sparsity_report(result.model)
    conv = [row for row in report.rows if len(row.shape) == 4]
    linear = [row for row in report.rows if len(row.shape) == 2]
    assert result.final["n_conv"] == sum(r.kernels[0] for r in conv) / sum(r.kernels[1] for r in conv)
    assert result.final["n_linear"] == sum(r.weights[0] for r in linear) / sum(r.weights[1] for r in linear)
    layers = {name.removeprefix("density/"): d for name, d in result.final.items() if name.startswith("density/")}
    assert layers == {row.name: row.weights[0] / row.weights[1] for row in report.rows}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "convnet-l1/lazzo"}, "no recipe 'convnet-l1/lazzo'"),
        ({"command": "python -m bregtutorial run convnet-l1/lasso --sede 5"}, "did you mean '--seed'"),
        ({"command": "python -m bregtutorial run convnet-l1/lasso --tier quick --seed 6"}, "the command means"),
        ({"command": "python -m bregtutorial run convnet-l1/adam --tier quick --seed 5"}, "runs 'convnet-l1/adam'"),
        ({"command": "rm -r results"}, "starts with 'python -m bregtutorial run'"),
        ({"setting": {"teer": "quick"}}, "cannot be read"),
    ],
)
def test_a_record_that_cannot_be_made_again_is_reported(result, change, problem):
    found = results.check({**result.to_plain(), **change})
    assert problem in found[0]


def test_a_record_of_an_older_recipe_is_reported(result):
    older = dataclasses.replace(result, recipe=dataclasses.replace(result.recipe, lr=0.123))
    assert results.check(older) == [f"convnet-l1/lasso: lr was 0.123 and is now {result.recipe.lr}"]
    renamed = dataclasses.replace(result.recipe, how="Other words for the same.")
    assert results.check(dataclasses.replace(result, recipe=renamed)) == []


def test_there_are_recorded_runs():
    assert {"linbreg-0.1-full-seed0.json", "linbreg-momentum-full-seed0.json"} <= {path.name for path in PATHS}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: "/".join(path.parts[-2:]))
def test_every_recorded_run_can_be_made_again(path):
    record = results.read(path)
    assert results.check(record) == []
    setting = record["setting"]
    ending = f"-{setting['tier']}-seed{setting['seed']}"
    assert path.stem.endswith(ending)
    assert record["name"] == f"{path.parent.name}/{path.stem.removesuffix(ending)}"
    assert path.stat().st_size < LARGEST
    assert record["revision"].isalnum(), "a record is made from a committed state of the package"
    assert len(record["history"]["epoch"]) == (setting["epochs"] or get(record["name"]).budgets[setting["tier"]].epochs)
    for name, value in record["final"].items():
        if name in record["history"]:
            assert record["history"][name][-1] == value


def test_records_of_one_recipe_differ_in_the_seed_only():
    """A mean over seeds is one of like with like."""
    kinds = {}
    for path in PATHS:
        record = results.read(path)
        setting = {**record["setting"], "seed": None}
        kinds.setdefault((record["name"], setting["tier"]), []).append((setting, record["data"]))
    for same in kinds.values():
        assert all(each == same[0] for each in same)


def test_no_record_names_a_place_on_this_machine():
    text = "".join(path.read_text("utf8") for path in PATHS)
    for place in ("/work", "/tmp", "/root", "/home"):
        assert f'"{place}' not in text


@pytest.mark.parametrize("what", PUBLISHED)
def test_published_rows_name_recipes(what):
    assert {row.recipe for row in PUBLISHED[what].rows} <= RECIPES.keys()


@pytest.mark.parametrize("what", PUBLISHED)
def test_a_comparison_shows_the_numbers_of_the_records(what):
    comparison = results.compare(what)
    assert [row.paper for row in comparison.rows] == list(PUBLISHED[what].rows)
    for row in comparison.rows:
        seeds = {run.setting.seed for run in row.runs}
        assert len(seeds) == len(row.runs)
        for name in row.paper.numbers if row.runs else ():
            plain = [json.loads(json.dumps(run.to_plain())) for run in row.runs]
            values = [each["final"].get(name, each["history"].get(name, [None])[-1]) for each in plain]
            scale = 1 if name.startswith(("active", "test_ssim")) else 100
            assert row.ours(name)[0] == pytest.approx(scale * sum(values) / len(values), rel=1e-4)


def test_a_comparison_is_a_table_with_commands(result, tmp_path):
    for seed in (1, 2):
        run = dataclasses.replace(result, setting=dataclasses.replace(result.setting, seed=seed))
        final = {**result.final, "thresholded_test_accuracy": 0.8 + 0.1 * seed}
        dataclasses.replace(run, final=final).save(tmp_path)
    comparison = results.compare("table 1", root=tmp_path)
    text = repr(comparison)
    (line,) = (line for line in text.splitlines() if line.startswith("Lasso, SGD + threshold"))
    assert "90.1  95 ± 7.07" in line
    assert line.endswith("  2")
    assert "python -m bregtutorial run convnet-l1/lasso --tier quick --seed 1 --epochs 2" in text
    assert "seeds 1, 2" in text
    assert "not recorded: python -m bregtutorial run convnet-l1/adam" in text


def test_a_larger_tier_hides_a_smaller_one(result, tmp_path):
    result.save(tmp_path)
    larger = dataclasses.replace(result, setting=dataclasses.replace(result.setting, tier="colab"))
    larger.save(tmp_path)
    row = results.compare("table 1", root=tmp_path).rows[2]
    assert [run.setting.tier for run in row.runs] == ["colab"]
    row = results.compare("table 1", tier="quick", root=tmp_path).rows[2]
    assert [run.setting.tier for run in row.runs] == ["quick"]


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match=r"what must be one of 'table 1'.*did you mean 'figure 2'"):
        results.compare("figur 2")


def test_the_revision_is_that_of_the_clone():
    inside = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if inside.returncode:
        pytest.skip("not in a git clone")
    assert inside.stdout.startswith(results.revision().removesuffix("+dirty"))


def test_a_package_outside_a_clone_has_no_revision(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    assert results.revision() == "unknown"
