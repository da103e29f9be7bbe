"""PSNR and SSIM: equal to their definitions, image by image."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import metrics

from bregtutorial import quality
from bregtutorial.quality import psnr, ssim


def pair(n, side=28, seed=0):
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(n, 1, side, side, generator=generator)
    return clean + 0.3 * torch.randn(clean.shape, generator=generator), clean


def literal_ssim(x, y):
    """Wang et al., Eq. 13, window by window."""
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            cov = (window * (a - ma) * (b - mb)).sum()
            top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
            values.append(top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    return np.mean(values)


def test_ssim_is_the_formula_of_its_paper():
    x, y = pair(3, side=15)
    expected = [
        literal_ssim(a[0].clamp(0, 1).double().numpy(), b[0].double().numpy()) for a, b in zip(x, y, strict=True)
    ]
    assert ssim(x, y).item() == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize("n", [1, 7, 1001])
def test_images_do_not_see_each_other(n):
    x, y = pair(n, side=13)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    images = (t.clamp(0, 1).double().numpy()[:, 0] for t in (x, y))
    single = [metrics.structural_similarity(a, b, **settings) for a, b in zip(*images, strict=True)]
    assert ssim(x, y).item() == pytest.approx(np.mean(single), abs=1e-6)


@settings(deadline=None)
@given(scale=st.floats(0, 2), seed=st.integers(0, 9))
def test_ssim_is_symmetric_and_at_most_one(scale, seed):
    x, y = pair(4, seed=seed)
    x = y + scale * (x - y)
    assert ssim(x, y).item() == pytest.approx(ssim(y, x).item(), abs=1e-6)
    assert ssim(x, y) <= 1
    assert ssim(y, y).item() == pytest.approx(1, abs=1e-6)


def test_more_noise_is_worse_for_both():
    x, y = pair(5)
    images = [y + scale * (x - y) for scale in (0.1, 0.5, 1.0)]
    for measure in (psnr, ssim):
        values = [measure(image, y) for image in images]
        assert values[0] > values[1] > values[2]


def test_psnr_is_the_mean_over_images_and_not_that_of_the_mean():
    clean = torch.full((2, 1, 4, 4), 0.5)
    images = clean + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)
    assert psnr(images, clean).item() == pytest.approx((20 + 40) / 2, abs=1e-3)
    assert psnr(clean, clean) == float("inf")


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_a_screen_cannot_show_does_not_count(measure):
    x, y = pair(3)
    assert torch.equal(measure(x, y), measure(x.clamp(0, 1), y))
    assert (x < 0).any()
    assert not measure(x.requires_grad_(), y).requires_grad


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_other_shapes_are_refused(measure):
    with pytest.raises(ValueError, match="must have one shape"):
        measure(torch.zeros(2, 1, 12, 12), torch.zeros(2, 12, 12))


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (2, 1, 10, 28), (2, 28, 28)])
def test_ssim_wants_grey_images_that_hold_a_window(shape):
    with pytest.raises(ValueError, match="at least 11x11 pixels"):
        ssim(torch.zeros(shape), torch.zeros(shape))


def test_without_the_library_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(ImportError, match=r'pip install "scikit-image>='):
        quality.ssim(*pair(1))
