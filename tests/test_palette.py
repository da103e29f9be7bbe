"""Colours, dashes and colour maps that everybody can tell apart, on white pages and on dark ones."""

from __future__ import annotations

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from pictures import METHODS

from bregtutorial import plotting

PAGES = ("#ffffff", "#14181e")
# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
# Ottosson (2020), linear RGB to cone responses and their cube roots to Oklab
CONES = [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.6299787]]
OKLAB = [
    [0.21045426, 0.79361779, -0.00407205],
    [1.9779985, -2.42859221, 0.45059371],
    [0.02590404, 0.78277177, -0.80867577],
]


def linear(colour):
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(colour, other):
    """WCAG 2.2 contrast ratio."""
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (colour, other))
    return (high + 0.05) / (low + 0.05)


def seen_distance(colour, other, deficiency):
    """Distance in Oklab, times 100, as a reader with the deficiency sees it; 2 is about the least that one notices."""
    seen = (np.clip(np.array(DEFICIENCIES[deficiency]) @ linear(c), 0, 1) for c in (colour, other))
    first, second = (np.array(OKLAB) @ np.cbrt(np.array(CONES) @ c) for c in seen)
    return 100 * float(np.linalg.norm(first - second))


def test_the_contrast_formula_knows_its_extremes():
    assert contrast("white", "black") == pytest.approx(21)
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("role", plotting.COLOURS)
def test_every_colour_has_contrast_3_on_white_and_dark_pages(role, page):
    assert contrast(plotting.COLOURS[role], page) >= 3


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colour_blind_readers_can_tell_the_methods_apart(deficiency):
    for one, other in itertools.combinations(METHODS, 2):
        if {one, other} != {"ProxSGD", "Lasso"}:  # one colour on purpose
            distance = seen_distance(plotting.COLOURS[one], plotting.COLOURS[other], deficiency)
            assert distance > 5, (one, other)
    for one, other in itertools.combinations(("LinBreg", "AdaBreg", "ProxSGD"), 2):
        assert seen_distance(plotting.COLOURS[one], plotting.COLOURS[other], deficiency) > 10, (one, other)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colour_blind_readers_can_tell_signs_apart(deficiency):
    assert seen_distance(plotting.COLOURS["positive"], plotting.COLOURS["negative"], deficiency) > 20


def test_methods_differ_in_dashes_and_in_marker_without_any_colour():
    lines = [plotting.line(method) for method in METHODS]
    assert len({str(each["linestyle"]) for each in lines}) == len(METHODS)
    assert len({each["marker"] for each in lines}) == len(METHODS)


def test_line_is_what_plot_takes():
    (drawn,) = Figure().subplots().plot([0, 1], [0, 1], **plotting.line("AdaBreg"))
    assert (drawn.get_label(), drawn.get_color()) == ("AdaBreg", plotting.COLOURS["AdaBreg"])


def test_unknown_methods_and_roles_are_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"method must be one of SGD, .*got 'LinBerg'"):
        plotting.line("LinBerg")
    with pytest.raises(KeyError, match=r"no colour for 'gut'; the roles are .*good"):
        plotting.COLOURS["gut"]


def test_plain_plots_take_different_colours_and_dashes():
    with matplotlib.rc_context():
        plotting.use_style()
        cycle = list(matplotlib.rcParams["axes.prop_cycle"])
        drawn = [Figure().subplots().plot([0, 1], **style)[0] for style in cycle]
    assert {each.get_color() for each in drawn} >= {plotting.COLOURS[m] for m in ("LinBreg", "AdaBreg", "ProxSGD")}
    assert len({str(style["linestyle"]) for style in cycle}) == len(cycle) >= 6


def test_diverging_is_transparent_in_the_middle_and_readable_at_the_ends():
    cmap = plotting.diverging()
    assert cmap(0.5)[3] == 0
    for end, page in itertools.product((0.0, 1.0), PAGES):
        assert cmap(end)[3] == 1
        assert contrast(cmap(end)[:3], page) >= 3
    alphas = cmap(np.linspace(0, 1, 255))[:, 3]
    np.testing.assert_allclose(alphas, alphas[::-1], atol=1e-12)


@pytest.mark.parametrize("cmap", [plotting.sequential(), plotting.sequential(floor=0.3)])
@pytest.mark.parametrize("page", PAGES)
def test_sequential_moves_away_from_the_page_step_by_step(cmap, page):
    rgba = cmap(np.linspace(0, 1, 50))
    shown = rgba[:, 3:] * rgba[:, :3] + (1 - rgba[:, 3:]) * np.array(to_rgb(page))
    assert (np.diff([contrast(c, page) for c in shown]) > 0).all()


@pytest.mark.parametrize("make", [plotting.diverging, plotting.sequential])
def test_colour_maps_leave_missing_values_blank_and_refuse_a_wrong_floor(make):
    assert make()(np.ma.masked)[3] == 0
    with pytest.raises(ValueError, match=r"floor must be in \[0, 1\), got 1\.5"):
        make(floor=1.5)
