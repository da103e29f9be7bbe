"""The loader: every image once, in an order that is the same everywhere, normalised by the training images."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bregtutorial as bt
from bregtutorial.data import ImageSet, Loader


def numbered(n):
    """Images that show their own number, so that a batch tells which images it holds."""
    images = torch.arange(n).to(torch.uint8).view(n, 1, 1, 1)
    return ImageSet(images, torch.arange(n), tuple(map(str, range(n))), "numbered")


def joined(lists):
    return list(itertools.chain.from_iterable(lists))


def epochs(loader, n):
    return [[labels.tolist() for _, labels in loader] for _ in range(n)]


@given(
    n=st.integers(1, 60),
    batch_size=st.integers(1, 25),
    shuffle=st.booleans(),
    seed=st.integers(0, 9),
    world=st.integers(1, 4),
)
def test_the_processes_together_see_every_image_once(n, batch_size, shuffle, seed, world):
    """Batch k of one process with world * batch_size images is the union of the batches k of all processes."""
    single = Loader(numbered(n), world * batch_size, shuffle=shuffle, seed=seed)
    whole = epochs(single, 2)
    assert all(sorted(joined(epoch)) == list(range(n)) for epoch in whole)
    ranks = range(min(world, n))
    parts = [Loader(numbered(n), batch_size, shuffle=shuffle, seed=seed, rank=r, world_size=world) for r in ranks]
    split = [epochs(part, 2) for part in parts]
    for e, epoch in enumerate(whole):
        assert [len(part[e]) for part in split] == [len(part) for part in parts]
        for k, batch in enumerate(epoch):
            shares = [part[e][k] for part in split if k < len(part[e])]
            assert sorted(joined(shares)) == sorted(batch)
            assert all(1 <= len(share) <= batch_size for share in shares)


@given(n=st.integers(1, 60), batch_size=st.integers(1, 10), world=st.integers(1, 3))
def test_without_the_last_batch_all_processes_take_equally_many_full_ones(n, batch_size, world):
    if n < batch_size * world:
        with pytest.raises(ValueError, match="take a smaller batch_size"):
            Loader(numbered(n), batch_size, drop_last=True, world_size=world)
        return
    for rank in range(world):
        loader = Loader(numbered(n), batch_size, drop_last=True, rank=rank, world_size=world)
        sizes = [len(batch) for batch in epochs(loader, 1)[0]]
        assert sizes == [batch_size] * (n // (batch_size * world)) == [batch_size] * len(loader)


def test_labels_stay_with_their_images():
    for images, labels in Loader(numbered(50), 7, normalise=False, seed=3):
        assert torch.equal((images * 255).round().long().flatten(), labels)


def test_every_epoch_has_another_order_and_the_seed_repeats_them():
    first, second = epochs(Loader(numbered(40), 40), 3), epochs(Loader(numbered(40), 40), 3)
    assert first == second
    assert len({str(epoch) for epoch in first}) == 3
    assert epochs(Loader(numbered(40), 40, seed=1), 1)[0] != first[0]


def test_the_order_is_pinned():
    """Raw bits of PCG64 and a stable sort: the same order on every machine and version."""
    first, second = epochs(Loader(numbered(10), 10, seed=5), 2)
    assert first == [[3, 8, 9, 2, 5, 4, 6, 7, 1, 0]]
    assert second == [[3, 5, 0, 8, 1, 7, 9, 6, 2, 4]]


def test_without_shuffling_the_order_is_that_of_the_set():
    assert epochs(Loader(numbered(7), 3, shuffle=False), 2) == [[[0, 1, 2], [3, 4, 5], [6]]] * 2


def test_the_length_is_the_number_of_batches():
    assert [len(Loader(numbered(10), b)) for b in (1, 3, 5, 10, 11)] == [10, 4, 2, 1, 1]
    assert [len(Loader(numbered(10), b, drop_last=True)) for b in (1, 3, 5, 10)] == [10, 3, 2, 1]


def test_a_loop_that_is_left_early_was_an_epoch():
    """Else `zip(range(20), loader)` would show the same 20 batches for ever."""
    loader, whole = Loader(numbered(20), 5), epochs(Loader(numbered(20), 5), 3)
    seen = [[labels.tolist() for _, (_, labels) in zip(range(2), loader, strict=False)] for _ in range(3)]
    assert seen == [epoch[:2] for epoch in whole]


def test_images_stay_8_bit_and_only_batches_are_float():
    train = bt.load_dataset("textures", size=30)
    loader = Loader(train, 10, augment="crop-flip")
    images, labels = next(iter(loader))
    assert loader.dataset.images.dtype == torch.uint8
    assert loader.dataset.images.data_ptr() == train.images.data_ptr()
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)


def test_a_whole_epoch_is_normalised():
    train = bt.load_dataset("digits", size=300)
    train = ImageSet(train.images, train.labels, train.classes, "part")
    images = torch.cat([images for images, _ in Loader(train, 64)])
    assert images.mean().item() == pytest.approx(0, abs=1e-5)
    assert images.std(unbiased=False).item() == pytest.approx(1, abs=1e-5)


def test_test_images_are_normalised_by_the_constants_of_training():
    train, test = bt.load_dataset("digits"), bt.load_dataset("digits", "test")
    images, _ = next(iter(Loader(test, 1000, shuffle=False)))
    expected = (test.images.double() / 255 - train.mean[0]) / train.std[0]
    torch.testing.assert_close(images.double(), expected, atol=1e-5, rtol=0)


def test_normalisation_can_be_switched_off_or_set():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    toy = ImageSet(images, torch.zeros(3, dtype=torch.int64), ("only",), "toy")
    plain, _ = next(iter(Loader(toy, 3, shuffle=False, normalise=False)))
    assert plain.flatten().tolist() == [0.0, pytest.approx(0.2), 1.0]
    own, _ = next(iter(Loader(toy, 3, shuffle=False, normalise=([0.2], [0.1]))))
    assert own.flatten().tolist() == pytest.approx([-2, 0, 8], abs=1e-5)


def test_a_constant_channel_becomes_zero_and_not_nan():
    toy = ImageSet(torch.full((4, 1, 2, 2), 9, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64), ("only",), "toy")
    images, _ = next(iter(Loader(toy, 4)))
    assert torch.equal(images, torch.zeros(4, 1, 2, 2))


def test_no_global_generator_is_read_or_moved():
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    loader = Loader(bt.load_dataset("textures", size=20), 5, augment="crop-flip")
    first = [images for images, _ in loader]
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002
    torch.manual_seed(77)
    again = [images for images, _ in Loader(loader.dataset, 5, augment="crop-flip")]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    torch.set_rng_state(before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"batch_size": -3}, "batch_size must be an integer of at least 1, got -3"),
        ({"batch_size": 2.5}, "batch_size must be an integer of at least 1, got 2.5"),
        (
            {"augment": "crop_flip"},
            r"augment must be one of 'crop', 'flip', 'crop-flip', .* did you mean 'crop-flip'",
        ),
        ({"rank": 2, "world_size": 2}, "rank must lie in 0 .. world_size - 1 = 1, got 2"),
        ({"rank": -1}, "rank must lie in 0 .. world_size - 1 = 0, got -1"),
        ({"batch_size": 11, "drop_last": True}, "10 images give no batch with batch_size=11, drop_last=True"),
        ({"normalise": ([0.5] * 3, [0.5] * 3)}, "normalise needs mean and std of 1 channels, got 3 and 3"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        Loader(**{"dataset": numbered(10), "batch_size": 3, **options})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_batches():
    train = bt.load_dataset("textures", size=50)
    here, there = (Loader(train, 16, augment="crop-flip", device=device) for device in ("cpu", "cuda"))
    assert there.dataset.images.dtype == torch.uint8
    assert there.dataset.images.is_cuda
    for (a, labels_a), (b, labels_b) in zip(here, there, strict=True):
        assert b.is_cuda
        assert torch.equal(a, b.cpu())
        assert torch.equal(labels_a, labels_b.cpu())
