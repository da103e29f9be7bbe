"""Crops and flips: exact, evenly drawn, and the same whatever the batches."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bregtutorial as bt
from bregtutorial.data import Loader
from bregtutorial.data._random import permutation
from bregtutorial.data.augment import PAD, crop_flip, draw


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
    rows = torch.from_numpy(permutation(40, "order", 2, 0))
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
    assert sorted(itertools.chain(*shares)) == sorted(whole)


def test_another_epoch_draws_other_moves():
    assert not torch.equal(draw(50, "crop-flip", 0, 0), draw(50, "crop-flip", 0, 1))
    assert not torch.equal(draw(50, "crop-flip", 0, 0), draw(50, "crop-flip", 1, 0))
