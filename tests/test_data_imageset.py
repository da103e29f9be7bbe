"""A set in memory: its checks, its constants, its fingerprint and its parts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bregtutorial.data import ImageSet
from bregtutorial.data.imageset import channel_moments
from bregtutorial.data.splits import stratified_rank


def make(n=30, **changes):
    images = torch.arange(n * 2 * 3 * 4).remainder(251).to(torch.uint8).reshape(n, 2, 3, 4)
    fields = {
        "images": images,
        "labels": torch.arange(n) % 3,
        "classes": tuple("abc"),
        "name": "toy",
    }
    return ImageSet(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": torch.zeros(30, 2, 3, 4)},
            r"images must be uint8 \(N, C, H, W\), got torch.float32 \(30, 2, 3, 4\)",
        ),
        ({"images": torch.zeros(30, 3, 4, dtype=torch.uint8)}, r"images must be uint8 .* got torch.uint8 \(30, 3, 4\)"),
        (
            {"labels": torch.arange(29) % 3},
            r"labels must be int64 \(30,\), one for each image, got torch.int64 \(29,\)",
        ),
        ({"labels": torch.zeros(30)}, r"labels must be int64 .* got torch.float32"),
        ({"labels": torch.arange(30)}, r"labels must be indices into the 3 classes, got 0 to 29"),
        ({"labels": torch.arange(30) - 1}, r"labels must be indices into the 3 classes, got -1 to 28"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_a_set_cannot_be_changed_by_accident():
    with pytest.raises(AttributeError):
        make().name = "other"


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_constants_are_mean_and_deviation_of_the_pixels(n, seed):
    pixels = torch.randint(0, 256, (n, 3, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    mean, std = channel_moments(pixels)
    expected = pixels.double().numpy() / 255
    np.testing.assert_allclose(mean, expected.mean(axis=(0, 2, 3)), atol=1e-12)
    np.testing.assert_allclose(std, expected.std(axis=(0, 2, 3)), atol=1e-12)


def test_no_constants_of_no_image():
    with pytest.raises(ValueError, match="at least one pixel"):
        channel_moments(torch.zeros(0, 1, 2, 2, dtype=torch.uint8))


def test_the_fingerprint_sees_every_change_and_nothing_else():
    base = make()
    assert make(name="other", split="test", source="x").fingerprint() == base.fingerprint()
    images, labels = base.images.clone(), base.labels.clone()
    images[3, 1, 2, 2] += 1
    labels[0] = 1
    variants = [
        make(images=images),
        make(labels=labels),
        make(classes=("a", "b", "d")),
        make(images=base.images.transpose(2, 3)),
        make(n=29),
    ]
    assert len({s.fingerprint() for s in [base, *variants]}) == 6


def test_the_fingerprint_does_not_see_the_layout_in_memory():
    strided = make(images=make().images.contiguous(memory_format=torch.channels_last))
    assert strided.fingerprint() == make().fingerprint()


def test_the_text_says_what_the_set_is():
    assert repr(make()) == f"ImageSet toy/train: 30 images of 2x3x4, 3 classes, fingerprint {make().fingerprint()}"


def test_a_set_serves_torch_s_own_loader():
    batches = list(torch.utils.data.DataLoader(make(), batch_size=30))
    assert torch.equal(batches[0][0], make().images)
    assert torch.equal(batches[0][1], make().labels)


def test_a_subset_keeps_the_constants_of_the_whole():
    part = make().subset(torch.tensor([4, 2]), "few")
    assert torch.equal(part.images, make().images[[4, 2]])
    assert part.labels.tolist() == [1, 2]
    assert (part.split, part.mean, part.std) == ("few", make().mean, make().std)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.data())
def test_holding_out_is_a_stratified_partition(labels, data):
    n = data.draw(st.integers(1, len(labels) - 1))
    images = torch.arange(len(labels)).to(torch.uint8).reshape(-1, 1, 1, 1)
    whole = ImageSet(images, torch.tensor(labels), tuple("abcde"), "toy")
    rest, held = whole.hold_out(n, seed=data.draw(st.integers(0, 9)))
    assert len(held) == n
    assert sorted(rest.images.flatten().tolist() + held.images.flatten().tolist()) == list(range(len(labels)))
    for k in range(5):
        share = labels.count(k) * n / len(labels)
        assert abs(held.labels.tolist().count(k) - share) <= 3  # k ranks at most half an image off, for each class


@pytest.mark.parametrize("n", [0, -1, 30])
def test_holding_out_nothing_or_all_is_refused(n):
    with pytest.raises(ValueError, match=rf"n must leave images on both sides, so lie in 1 .. 29, got {n}"):
        make().hold_out(n)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50), st.integers(0, 99))
def test_ranks_of_a_class_are_evenly_spread(labels, seed):
    rank = stratified_rank(np.array(labels), "toy", seed)
    for k in set(labels):
        n = labels.count(k)
        assert sorted(rank[np.array(labels) == k]) == pytest.approx([(i + 0.5) / n for i in range(n)])
