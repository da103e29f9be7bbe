"""What `show` makes of a figure: SVG that fits any page, the same on every machine, and small."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from pictures import METHODS, curve, elements, svg_of

from bregtutorial import plotting


@pytest.fixture(autouse=True)
def book_style():
    """The book's style, and the old one afterwards."""
    with matplotlib.rc_context():
        plotting.use_style()
        yield


def test_black_follows_the_page_and_colours_stay():
    markup = plotting.show(curve(color="#0072b2"), alt="A curve.").html
    assert "currentColor" in markup
    assert "#0072b2" in markup
    assert "#000000" not in markup


def test_white_boxes_become_the_page_but_white_text_stays():
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        fig = curve(label="falls")
        fig.axes[0].legend()
        fig.axes[0].text(0.5, 0.5, "on a bar", color="white")
        svg = svg_of(fig)
    filled = [e.tag.rpartition("}")[2] for e in svg.iter() if "fill:#ffffff" in e.get("style", "")]
    assert filled == ["text"]


def test_text_stays_text_in_the_page_s_font_and_formulas_become_outlines():
    fig = curve()
    fig.axes[0].set(title="λ = 0.1", xlabel=r"$\theta_1$")
    svg = svg_of(fig)
    texts = elements(svg, "text")
    assert "λ = 0.1" in [e.text for e in texts]
    assert not any("theta" in (e.text or "") for e in texts)
    assert "system-ui" in svg.get("font-family") + texts[0].get("style")
    assert not any("DejaVu Sans'" in e.get("style", "") for e in texts)


def test_equal_figures_give_equal_bytes_also_in_another_process():
    code = (
        "import numpy as np, bregtutorial as bt\n"
        "bt.plotting.use_style()\n"
        "fig = bt.plotting.weight_image(np.eye(4)); fig.axes[0].set_title('$x^2$')\n"
        "fig.axes[0].plot([0, 3], [0, 3], **bt.plotting.line('LinBreg'))\n"
        "markup = bt.plotting.show(fig, alt='Ones on the diagonal.').html"
    )
    here = {}
    exec(code, here)
    assert "<image" in here["markup"]
    environment = {**os.environ, "PYTHONHASHSEED": "1234", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", f"{code}\nprint(markup, end='')"]
    run = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert run.stdout.decode() == here["markup"]


def test_ids_of_different_figures_never_meet_and_every_reference_has_its_target():
    figures = [curve(marker="o"), curve(color="#0072b2", marker="o"), plotting.weight_image(np.eye(3))]
    seen = set()
    for fig in figures:
        markup = plotting.show(fig, alt="A picture.").html
        ids = re.findall(r'id="([^"]+)"', markup)
        assert len(ids) == len(set(ids)) > 0
        assert seen.isdisjoint(ids)
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', markup)) == set(ids)
        seen.update(ids)


def test_alt_and_caption_are_text_whatever_is_in_them():
    nasty = 'a < b & "c" </svg><script>alert(1)</script>'
    markup = plotting.show(curve(), alt=nasty, caption=nasty).html
    assert "<script" not in markup
    assert markup.count("</svg>") == 1
    assert svg_of(curve(), alt=nasty).get("aria-label") == nasty
    assert f"<figcaption>{html.escape(nasty)}</figcaption>" in markup


def test_the_svg_is_an_image_with_a_size_that_shrinks_on_telephones():
    svg = svg_of(Figure(figsize=(5, 3)))
    assert (svg.get("role"), svg.get("width"), svg.get("height")) == ("img", "480", "288")
    assert svg.get("viewBox") == "0 0 360 216"
    assert "max-width:100%" in svg.get("style")


def test_show_closes_the_figure_and_a_terminal_sees_the_alt_text():
    from matplotlib import pyplot as plt

    fig = plt.figure()
    picture = plotting.show(fig, alt="An empty figure.")
    assert not plt.fignum_exists(fig.number)
    assert repr(picture) == "Figure: An empty figure."
    assert picture._repr_html_() == picture.html


@pytest.mark.parametrize("alt", ["", "  ", None])
def test_show_demands_alt_text(alt):
    with pytest.raises(ValueError, match="alt must say in words"):
        plotting.show(curve(), alt=alt)


def test_show_refuses_axes_by_name():
    with pytest.raises(TypeError, match=r"fig must be a matplotlib Figure, got Axes; an Axes has it as ax\.figure"):
        plotting.show(curve().axes[0], alt="A curve.")


def test_curves_keep_their_shape_to_a_tenth_of_a_point():
    fig = Figure(figsize=(5, 3), layout="none")
    ax = fig.add_axes((0, 0, 1, 1))
    y = np.random.default_rng(0).uniform(0, 216, 400)
    ax.plot(np.linspace(0, 360, 400), y, color="#123456")
    ax.set(xlim=(0, 360), ylim=(0, 216))
    path = next(e.get("d") for e in svg_of(fig).iter() if "#123456" in e.get("style", ""))
    number = r"-?[\d.]+"
    steps = [[float(v) for v in re.findall(number, part)] for part in re.findall("[Ml][^Ml]*", path)]
    points = np.cumsum(steps, axis=0)
    # matplotlib leaves out points that lie on the line of their neighbours
    assert 300 < len(points) <= 401
    distances = np.hypot(points[:, :1] - np.linspace(0, 360, 400), points[:, 1:] - (216 - y))
    assert distances.min(axis=1).max() < 0.15


def test_a_figure_with_seven_runs_stays_small():
    epochs = list(range(100))
    runs = {m: {"epoch": epochs, "density": [0.01 + i * e for e in epochs]} for i, m in enumerate(METHODS, 1)}
    assert len(plotting.show(plotting.history(runs, panels=["density"]), alt="Density.").html) < 40_000
