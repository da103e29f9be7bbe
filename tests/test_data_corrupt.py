"""Corrupted images: as much noise as asked for, the same however they are fetched, and an exact blur."""

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

import bregtutorial as bt
from bregtutorial.data import Corrupted, ImageSet, Loader
from bregtutorial.data.corrupt import blurred, gaussian_kernel, normal_levels


def grey(n, side=8):
    """Images of one grey that is their number, so that a batch tells which images it holds."""
    images = torch.arange(n).to(torch.uint8).view(n, 1, 1, 1).expand(n, 1, side, side).contiguous()
    return ImageSet(images, torch.zeros(n, dtype=torch.int64), ("grey",), "grey")


def loader(n=20, batch_size=6, **options):
    return Loader(grey(n), batch_size, normalise=False, **options)


def by_image(batches):
    """Noise of every image, in the order of the set."""
    found = {}
    for noisy, clean in batches:
        for x, y in zip(noisy, clean, strict=True):
            found[round(float(y.mean()) * 255)] = x - y
    return torch.stack([found[i] for i in sorted(found)])


def test_the_levels_are_the_normal_law():
    levels = normal_levels()
    assert levels.unique().numel() == 2**16
    assert torch.equal(levels, -levels.flip(0))
    assert levels.double().square().mean() == pytest.approx(1, abs=1e-6)
    # no distance between distribution functions is larger than half a step of 2^-16, and the scaling adds little
    assert kstest(levels.numpy(), "norm").statistic < 2**-15


@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_noise_is_normal_of_the_deviation_asked_for_and_not_clipped(noise):
    drawn = by_image(Corrupted(loader(200, 50), noise=noise)).flatten() / noise
    n = drawn.numel()
    assert drawn.mean().abs() < 4 / n**0.5
    assert abs(drawn.std() - 1) < 4 / (2 * n) ** 0.5
    assert kstest(drawn.numpy(), "norm").pvalue > 1e-3
    noisy = torch.cat([x for x, _ in Corrupted(loader(), noise=noise)])
    assert (noisy < 0).any()


def test_pixels_and_images_are_independent():
    drawn = by_image(Corrupted(loader(200, 50), noise=1.0)).flatten(1)
    assert torch.corrcoef(drawn).triu(1).abs().max() < 6 / drawn.shape[1] ** 0.5
    assert torch.corrcoef(drawn.T).triu(1).abs().max() < 6 / drawn.shape[0] ** 0.5


def test_the_target_is_what_the_loader_gives():
    pairs = zip(Corrupted(loader(), noise=0.5, blur=(3, 1.0)), loader(), strict=True)
    assert all(torch.equal(clean, images) for (_, clean), (images, _) in pairs)
    moved = Loader(bt.load_dataset("textures", size=9), 4, augment="crop-flip", normalise=False)
    plain = Loader(bt.load_dataset("textures", size=9), 4, augment="crop-flip", normalise=False)
    assert all(torch.equal(a, b) for (_, a), (b, _) in zip(Corrupted(moved), plain, strict=True))


def test_training_noise_is_fresh_and_test_noise_stays():
    fresh, fixed = Corrupted(loader(), noise=1.0), Corrupted(loader(), noise=1.0, fresh=False)
    first, second = by_image(fresh), by_image(fresh)
    assert not (first == second).any(1).any()
    kept = by_image(fixed)
    assert torch.equal(kept, by_image(fixed))
    assert (kept == first).float().mean() < 0.01, "a test set must not share its noise with training"
    assert torch.equal(first, by_image(Corrupted(loader(), noise=1.0)))
    assert not torch.equal(first, by_image(Corrupted(loader(seed=1), noise=1.0)))


@pytest.mark.parametrize("fresh", [True, False])
def test_an_image_s_noise_does_not_depend_on_batches_order_or_processes(fresh):
    def walk(**options):
        return Corrupted(loader(**options), noise=0.3, fresh=fresh)

    whole = by_image(walk(batch_size=20))
    assert torch.equal(whole, by_image(walk(batch_size=3)))
    assert torch.equal(whole, by_image(walk(shuffle=False)))
    shares = itertools.chain(*(walk(batch_size=3, rank=rank, world_size=2) for rank in range(2)))
    assert torch.equal(whole, by_image(shares))


def test_the_draw_is_pinned():
    """Raw bits of PCG64 and a table: the same noise on every machine and version."""
    noisy, clean = next(iter(Corrupted(loader(2, 2, shuffle=False), noise=1.0)))
    expected = [-0.66858, 0.56206, 1.44786, -0.46344]
    assert (noisy - clean)[:, 0, 0, :2].flatten().tolist() == pytest.approx(expected, abs=1e-5)


@settings(deadline=None)
@given(stop=st.integers(0, 9), batch_size=st.integers(3, 9), fresh=st.booleans())
def test_a_resumed_epoch_goes_on_with_the_very_noise_that_was_left(stop, batch_size, fresh):
    def make():
        return Corrupted(loader(batch_size=batch_size, seed=3), noise=0.2, blur=(3, 0.7), fresh=fresh)

    def walk(batches, n_epochs):
        for _ in range(n_epochs):
            for noisy, clean in batches:
                yield batches.state_dict(), noisy, clean

    whole = list(walk(make(), 3))
    state = make().state_dict() if stop == 0 else whole[stop - 1][0]
    resumed = make()
    resumed.load_state_dict(json.loads(json.dumps(state)))
    rest = list(walk(resumed, 3 - resumed.epoch))
    for after, before in zip(rest, whole[stop:], strict=True):
        assert after[0] == before[0]
        assert torch.equal(after[1], before[1])
        assert torch.equal(after[2], before[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": 0.2}, "saved with noise=0.1, here it is 0.2"),
        ({"blur": (5, 1.0)}, r"saved with blur=None, here it is \[5, 1.0\]"),
        ({"fresh": False}, "saved with fresh=True, here it is False"),
        ({"loader": loader(seed=1)}, "saved with seed=0, this loader has 1"),
    ],
)
def test_a_state_of_another_corruption_is_refused(change, message):
    state = Corrupted(loader()).state_dict()
    with pytest.raises(ValueError, match=message):
        Corrupted(**{"loader": loader(), **change}).load_state_dict(state)


@given(size=st.sampled_from([1, 3, 5, 9]), sigma=st.floats(0.3, 5), seed=st.integers(0, 9))
def test_the_blur_is_the_gaussian_filter_of_scipy(size, sigma, seed):
    images = torch.rand(2, 3, 11, 7, generator=torch.Generator().manual_seed(seed))
    reach = size // 2
    expected = gaussian_filter(images.double().numpy(), sigma, mode="nearest", radius=reach, axes=(2, 3))
    np.testing.assert_allclose(blurred(images, gaussian_kernel(size, sigma)).numpy(), expected, atol=1e-6)


def test_blur_comes_before_noise_and_alone_without_it():
    blur = (9, 5.0)
    for (noisy, clean), (soft, _) in zip(
        Corrupted(loader(), noise=0.2, blur=blur), Corrupted(loader(), noise=0.0, blur=blur), strict=True
    ):
        assert torch.equal(soft, blurred(clean, gaussian_kernel(*blur)))
        assert abs((noisy - soft).std() - 0.2) < 0.05


def test_it_walks_like_its_loader():
    batches = Corrupted(loader(), noise=0.1)
    assert len(batches) == len(loader()) == len(list(batches))
    assert batches.epoch == 1
    assert batches.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": -0.1}, "standard deviation and must be finite and >= 0, got -0.1"),
        ({"noise": float("nan")}, "got nan"),
        ({"blur": (4, 1.0)}, "odd number of pixels as its size, got 4"),
        ({"blur": (3, 0.0)}, "needs a sigma > 0, got 0.0"),
        ({"loader": Loader(grey(4), 2)}, "build the loader with normalise=False"),
    ],
)
def test_impossible_corruptions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Corrupted(**{"loader": loader(), **options})
