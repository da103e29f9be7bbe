"""The generated images: the same everywhere, and hard for a linear model but not for a convolutional network."""

import hashlib
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import bregtutorial as bt
from bregtutorial.data import Loader
from bregtutorial.data.textures import CLASSES, SIZES, render

TEN = np.arange(20) % 10


def load_benchmark():
    path = Path(__file__).parents[1] / "benchmarks" / "textures.py"
    spec = importlib.util.spec_from_file_location("benchmark_textures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pixels_are_the_same_on_every_machine():
    """Only operations that IEEE 754 defines to the last bit are used, so one hash holds for all."""
    digest = hashlib.sha256(render(TEN, 0, "train").tobytes()).hexdigest()
    assert digest == "a5115ed8b6db025bd04403195d8da9d920b99df98237f5c6dc46d5e2740e8b6c"


def test_an_image_depends_on_its_own_label_and_place_only():
    labels = TEN.copy()
    labels[7] = 2
    before, after = render(TEN, 3, "test"), render(labels, 3, "test")
    changed = [i for i in range(20) if (before[i] != after[i]).any()]
    assert changed == [7]
    assert (render(TEN[:5], 3, "test") == before[:5]).all()


@pytest.mark.parametrize("other", [(1, "train"), (0, "test")])
def test_seed_and_split_give_other_images(other):
    assert (render(TEN, 0, "train") != render(TEN, *other)).any(axis=(1, 2, 3)).all()


def test_classes_take_turns_and_a_larger_set_begins_with_the_smaller():
    small, large = (bt.load_dataset("textures", size=n) for n in (30, 50))
    assert small.labels.tolist() == list(range(10)) * 3
    assert torch.equal(large.images[:30], small.images)
    assert (small.mean, small.std) == (large.mean, large.std)
    assert small.classes == CLASSES
    assert len(set(CLASSES)) == 10


@pytest.mark.parametrize("tier", ["quick", "colab"])
def test_the_tier_sets_the_size(tier):
    assert len(bt.load_dataset("textures", "test", tier=tier)) == SIZES[tier][1]


def test_colours_and_pixels_spread_alike_over_the_classes():
    """The mean image of a class is flat: what tells the classes is not at a fixed place."""
    images = bt.load_dataset("textures", size=2000).images.float() / 255
    overall = images.mean(dim=0)
    for k in range(10):
        of_class = images[k::10].mean(dim=0)
        assert (of_class - overall).abs().mean() < 0.06


def test_a_linear_model_stays_below_60_percent():
    """The strength of the ridge is chosen on the test images, which can only flatter it; chance is 10 %."""
    train, test = bt.load_dataset("textures", size=1500), bt.load_dataset("textures", "test", size=500)
    assert 0.12 < load_benchmark().linear_accuracy(train, test) < 0.6


def test_a_small_convolutional_network_learns_what_a_linear_model_cannot():
    benchmark = load_benchmark()
    train, test = bt.load_dataset("textures", size=1000), bt.load_dataset("textures", "test", size=300)
    linear = benchmark.linear_accuracy(train, test)
    assert benchmark.resnet_accuracy(train, test, epochs=5, widths=(8, 16, 32), batch_size=50) > linear + 0.2


def test_the_linear_baseline_of_the_benchmark_is_ridge_regression():
    benchmark = load_benchmark()
    train, test = (
        replace(whole, images=whole.images[:, :, ::4, ::4])
        for whole in (bt.load_dataset("textures", size=60), bt.load_dataset("textures", "test", size=40))
    )
    a, labels = next(iter(Loader(train, 60, shuffle=False)))
    b, truth = next(iter(Loader(test, 40, shuffle=False)))
    a, b = (torch.cat([x.flatten(1), torch.ones(len(x), 1)], 1).double() for x in (a, b))
    best = 0.0
    for strength in benchmark.STRENGTHS:
        eye = strength**0.5 * torch.eye(a.shape[1]).double()
        system, right = torch.cat([a, eye]), F.one_hot(labels, 10).double()
        w = torch.linalg.lstsq(system, torch.cat([right, torch.zeros(a.shape[1], 10).double()])).solution
        best = max(best, ((b @ w).argmax(1) == truth).double().mean().item())
    assert benchmark.linear_accuracy(train, test) == pytest.approx(best)
