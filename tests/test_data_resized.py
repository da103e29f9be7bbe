"""Images that grow with the epochs: the right size at the right time, the same images otherwise, resumable."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

import bregtutorial as bt
from bregtutorial.data import Loader, Resized
from bregtutorial.recipes import Setting, build, get


def loader(size: int = 20, batch: int = 8, **options: Any) -> Loader:
    return Loader(bt.load_dataset("textures", size=size), batch, **options)


def sides(batches: Any) -> list[int]:
    return [images.shape[-1] for images, _ in batches]


def test_every_epoch_has_its_size():
    train = Resized(loader(batch=20), {1: 16, 3: 24})
    assert [sides(train) for _ in range(5)] == [[32], [16], [16], [24], [24]]


def test_images_become_square_whatever_they_were():
    wide = bt.data.ImageSet(
        torch.zeros(4, 1, 64, 32, dtype=torch.uint8), torch.zeros(4, dtype=torch.long), ("a",), "wide"
    )
    assert [images.shape[-2:] for images, _ in Resized(Loader(wide, 4), {0: 32})] == [(32, 32)]


def test_at_full_size_nothing_changes():
    plain, same = loader(augment="crop-flip"), Resized(loader(augment="crop-flip"), {0: 32})
    for (x, y), (a, b) in zip(plain, same, strict=True):
        assert torch.equal(x, a)
        assert torch.equal(y, b)


def test_a_smaller_image_keeps_labels_means_and_constants():
    train = loader()
    small = [images for images, _ in Resized(loader(), {0: 16})]
    for (x, _), a in zip(train, small, strict=True):
        # inside; at the border the filter is cut off and normalised anew
        torch.testing.assert_close(a[..., 1:-1, 1:-1].mean((2, 3)), x[..., 2:-2, 2:-2].mean((2, 3)), atol=0.06, rtol=0)
    flat = loader()
    flat.dataset.images.fill_(77)
    (first, *_), (value, *_) = zip(*Resized(flat, {0: 12}), strict=True), zip(*flat, strict=True)
    torch.testing.assert_close(first[0], value[0][..., :12, :12])


def test_a_test_set_is_as_large_as_the_training_images_before_it():
    clock = loader()
    train = Resized(clock, {0: 16, 1: 32})
    test = Resized(loader(shuffle=False), {0: 16, 1: 32}, clock=clock)
    seen = []
    for _ in range(3):
        seen.append((set(sides(train)), set(sides(test))))
    assert seen == [({16}, {16}), ({32}, {32}), ({32}, {32})]


def test_it_goes_on_within_an_epoch():
    train = Resized(loader(augment="flip"), {0: 16, 1: 24})
    list(train)
    batches = iter(train)
    next(batches)
    again = Resized(loader(augment="flip"), {0: 16, 1: 24})
    again.load_state_dict(train.state_dict())
    for (x, y), (a, b) in zip(batches, again, strict=True):
        assert x.shape[-1] == 24
        assert torch.equal(x, a)
        assert torch.equal(y, b)


def test_a_state_of_other_sizes_is_refused():
    state = Resized(loader(), {0: 16}).state_dict()
    with pytest.raises(ValueError, match=r"saved with sizes=\{0: 16\}, here they are \{0: 24\}"):
        Resized(loader(), {0: 24}).load_state_dict(state)


@pytest.mark.parametrize("sizes", [{}, {-1: 16}, {0: 0}])
def test_sizes_out_of_range(sizes):
    with pytest.raises(ValueError, match="sizes must map epochs"):
        Resized(loader(), sizes)


def test_a_recipe_gives_sizes_as_shares_of_its_epochs():
    recipe = dataclasses.replace(get("cifar10-resnet18/linbreg"), sizes=((0.0, 16), (0.5, 32)))
    experiment = build(recipe, Setting(size=256, epochs=4))
    assert [set(sides(experiment.train)) for _ in range(4)] == [{16}, {16}, {32}, {32}]
    assert set(sides(experiment.test["test"])) == {32}
    with pytest.raises(ValueError, match="sizes are for images with labels"):
        dataclasses.replace(get("autoencoder/adabreg"), sizes=((0.0, 16),))
