"""The loader: every image once, the same draws everywhere, exact crops and flips, exact resume."""

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bregtutorial as bt
from bregtutorial.data import ImageSet, Loader
from bregtutorial.data.augment import PAD, crop_flip, draw


def numbered(n, side=1):
    """Images that show their own number, so that a batch tells which images it holds."""
    images = torch.arange(n).to(torch.uint8).view(n, 1, 1, 1).expand(n, 1, side, side).contiguous()
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


@settings(deadline=None)
@given(c=st.integers(1, 3), h=st.integers(1, 9), w=st.integers(1, 9), seed=st.integers(0, 99))
def test_crop_and_flip_equal_a_loop_over_images_and_pixels(c, h, w, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(1, 256, (3, c, h, w), dtype=torch.uint8, generator=generator)
    moves = torch.stack([torch.randint(0, high, (3,), generator=generator) for high in (9, 9, 2)], dim=1)
    expected = torch.zeros_like(images)
    for i, (down, right, flip) in enumerate(moves.tolist()):
        for y in range(h):
            for x in range(w):
                source_y, source_x = y + down - PAD, (w - 1 - x if flip else x) + right - PAD
                if 0 <= source_y < h and 0 <= source_x < w:
                    expected[i, :, y, x] = images[i, :, source_y, source_x]
    assert torch.equal(crop_flip(images, moves), expected)


def test_without_a_move_images_stay_and_two_flips_undo_each_other():
    images = bt.load_dataset("textures", size=8).images
    stay, mirror = torch.tensor([[4, 4, 0]] * 8), torch.tensor([[4, 4, 1]] * 8)
    assert torch.equal(crop_flip(images, stay), images)
    assert torch.equal(crop_flip(images, mirror), images.flip(3))
    assert torch.equal(crop_flip(crop_flip(images, mirror), mirror), images)


@pytest.mark.parametrize(("augment", "columns"), [("crop", {0, 1}), ("flip", {2}), ("crop-flip", {0, 1, 2})])
def test_every_move_is_drawn_equally_often(augment, columns):
    moves, n = draw(9000, augment, seed=0, epoch=0), 9000
    for column, (values, stay) in enumerate([(9, PAD), (9, PAD), (2, 0)]):
        counts = moves[:, column].bincount(minlength=values)
        assert len(counts) == values
        if column in columns:
            assert (counts - n / values).abs().max() < 5 * (n / values) ** 0.5
        else:
            assert counts[stay] == n
    if augment == "crop-flip":  # the three are independent: no two go together
        assert torch.corrcoef(moves.T.double()).triu(1).abs().max() < 0.05


def test_augmented_batches_are_the_moved_images_of_the_set():
    train = bt.load_dataset("textures", size=40)
    loader = Loader(train, 15, augment="crop-flip", normalise=False, seed=2)
    rows = joined(epochs(Loader(numbered(40), 15, seed=2), 1)[0])
    images = torch.cat([images for images, _ in loader])
    moves = draw(40, "crop-flip", 2, 0)[rows]
    assert torch.equal((images * 255).round().to(torch.uint8), crop_flip(train.images[rows], moves))


def test_what_happens_to_an_image_does_not_depend_on_batches_or_processes():
    train = bt.load_dataset("textures", size=24)

    def by_picture(**options):
        loader = Loader(train, augment="crop-flip", normalise=False, seed=1, **options)
        return [image.numpy().tobytes() for images, _ in loader for image in images]

    whole = by_picture(batch_size=24)
    assert by_picture(batch_size=5) == whole
    shares = [by_picture(batch_size=4, rank=rank, world_size=2) for rank in range(2)]
    assert sorted(joined(shares)) == sorted(whole)


def test_another_epoch_draws_other_moves():
    assert not torch.equal(draw(50, "crop-flip", 0, 0), draw(50, "crop-flip", 0, 1))
    assert not torch.equal(draw(50, "crop-flip", 0, 0), draw(50, "crop-flip", 1, 0))


@settings(deadline=None)
@given(stop=st.integers(0, 9), batch_size=st.integers(3, 9), seed=st.integers(0, 3))
def test_a_resumed_loader_gives_exactly_the_batches_that_were_left(stop, batch_size, seed):
    train = bt.load_dataset("textures", size=20)
    options = {"augment": "crop-flip", "seed": seed}

    def walk(loader, n_epochs):
        for _ in range(n_epochs):
            for images, labels in loader:
                yield loader.state_dict(), images, labels

    whole = list(walk(Loader(train, batch_size, **options), 3))
    state = Loader(train, batch_size, **options).state_dict() if stop == 0 else whole[stop - 1][0]
    resumed = Loader(train, batch_size, **options)
    resumed.load_state_dict(json.loads(json.dumps(state)))
    rest = list(walk(resumed, 3 - resumed.epoch))
    for after, before in zip(rest, whole[stop:], strict=True):
        assert after[0] == before[0]
        assert torch.equal(after[1], before[1])
        assert torch.equal(after[2], before[2])


def test_the_state_passes_through_a_safe_file(tmp_path):
    loader = Loader(numbered(10), 3)
    next(iter(loader))
    torch.save(loader.state_dict(), tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == loader.state_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 4}, "saved with batch_size=3, this loader has 4"),
        ({"seed": 1}, "saved with seed=0, this loader has 1"),
        ({"augment": "flip"}, "saved with augment=None, this loader has 'flip'"),
        ({"world_size": 2}, "saved with world_size=1, this loader has 2"),
        ({"dataset": numbered(11)}, "saved with images=10, this loader has 11"),
    ],
)
def test_a_state_of_other_batches_is_refused(change, message):
    state = Loader(numbered(10), 3).state_dict()
    other = Loader(**{"dataset": numbered(10), "batch_size": 3, **change})
    with pytest.raises(ValueError, match=message):
        other.load_state_dict(state)


def test_a_state_without_a_place_is_refused():
    loader = Loader(numbered(10), 3)
    state = {**loader.state_dict(), "epoch": None}
    with pytest.raises(ValueError, match="needs the integers epoch and batch, got None and 0"):
        loader.load_state_dict(state)


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
