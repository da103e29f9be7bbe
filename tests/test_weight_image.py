"""Weights as pictures: every weight is there, and what is exactly zero is the page."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from pictures import elements, pixels, svg_of

from bregtutorial import plotting


def test_each_weight_is_one_pixel_and_exact_zero_is_transparent():
    w = np.zeros((20, 30))
    w[3, 4], w[5, 6], w[7, 8] = 2.0, -2.0, 1e-9
    fig = plotting.weight_image(w, colorbar=False)
    assert fig.axes[0].images[0].get_interpolation() == "none"
    (image,) = elements(svg_of(fig), "image")
    rgba = pixels(image)
    assert rgba.shape == (20, 30, 4)
    assert np.count_nonzero(rgba[..., 3]) == 3
    assert tuple(rgba[3, 4]) == (0xD5, 0x5E, 0x00, 255)
    assert tuple(rgba[5, 6]) == (0x00, 0x72, 0xB2, 255)
    assert rgba[7, 8, 3] > 80  # tiny, but not zero


def test_a_dense_picture_stays_small():
    w = np.random.default_rng(0).normal(size=(100, 200))
    assert len(plotting.show(plotting.weight_image(w), alt="Weights.").html) < 2 * w.size


@pytest.mark.parametrize(("width", "sharp"), [(50, True), (784, False)])
def test_only_pixels_of_visible_size_get_sharp_edges(width, sharp):
    fig = plotting.weight_image(np.eye(40, width), colorbar=False)
    (image,) = elements(svg_of(fig), "image")
    assert ("pixelated" in image.get("style", "")) == sharp


def test_rasterized_artists_and_colour_bars_become_one_image_each():
    fig = Figure(layout="constrained")
    ax = fig.subplots()
    mesh = ax.pcolormesh(np.arange(900.0).reshape(30, 30), cmap=plotting.sequential(), rasterized=True)
    fig.colorbar(mesh)
    svg = svg_of(fig)
    assert len(elements(svg, "image")) == 2
    assert len(elements(svg, "path")) < 60


def test_images_of_more_than_256_colours_are_stored_exactly():
    photo = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    fig = Figure()
    fig.subplots().imshow(photo, interpolation="none")
    (image,) = elements(svg_of(fig), "image")
    np.testing.assert_array_equal(pixels(image)[..., :3], photo)


def test_weight_image_takes_tensors_matrices_images_and_kernels():
    w = torch.nn.Parameter(torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(0)))
    shapes = {}
    for name, each in {"kernels": w, "images": w[:, 0], "matrix": w[:, :, 0, 0], "half": w.bfloat16()}.items():
        shapes[name] = plotting.weight_image(each).axes[0].images[0].get_array().shape
    # two filters of three kernels: 3 x 6 tiles; six images: 3 x 2 tiles; each tile is 5 + 1 wide, and 1 around all
    assert shapes == {"kernels": (37, 19), "images": (19, 13), "matrix": (6, 3), "half": (37, 19)}


def test_tiles_keep_their_order_and_gaps_are_blank():
    images = np.arange(1.0, 13.0).reshape(3, 2, 2)
    shown = plotting.weight_image(images, columns=2).axes[0].images[0].get_array()
    assert shown[1:3, 1:3].tolist() == [[1, 2], [3, 4]]
    assert shown[1:3, 4:6].tolist() == [[5, 6], [7, 8]]
    assert shown[4:6, 1:3].tolist() == [[9, 10], [11, 12]]
    assert shown.mask.sum() == shown.size - 12


def test_pictures_with_one_limit_have_one_scale():
    small, large = np.full((2, 2), 0.5), np.full((2, 2), 1.0)
    colours = [plotting.weight_image(w, limit=1.0).axes[0].images[0].to_rgba(w)[0, 0, 3] for w in (small, large)]
    assert colours == pytest.approx([0.35 + 0.65 / 2, 1.0], abs=0.01)
    own = plotting.weight_image(small).axes[0].images[0]
    assert own.get_clim() == (-0.5, 0.5)


def test_weight_image_draws_into_given_axes():
    fig = Figure()
    left, right = fig.subplots(1, 2)
    assert plotting.weight_image(np.eye(2), right) is fig
    assert (len(left.images), len(right.images)) == (0, 1)


def test_weights_that_are_all_zero_give_a_blank_picture():
    (image, *_) = elements(svg_of(plotting.weight_image(torch.zeros(3, 4))), "image")
    assert not pixels(image)[..., 3].any()


@pytest.mark.parametrize(
    ("w", "keywords", "message"),
    [
        (np.ones(3), {}, r"w must be a matrix .* got the shape \(3,\)"),
        (np.ones((0, 3)), {}, r"got the shape \(0, 3\)"),
        (np.array([[1.0, np.nan], [np.inf, 0.0]]), {}, "w must be finite, got 2 entries"),
        (np.eye(2), {"limit": 0.0}, r"limit must be > 0, got 0\.0"),
        (np.ones((2, 2, 2)), {"columns": 0}, "columns must be >= 1, got 0"),
    ],
)
def test_weight_image_names_what_is_wrong(w, keywords, message):
    with pytest.raises(ValueError, match=message):
        plotting.weight_image(w, **keywords)
