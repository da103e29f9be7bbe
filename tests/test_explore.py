"""Explorers as text: what `frames` stores, what it refuses, and the panel for a running kernel."""

from __future__ import annotations

import html
import json
import re
import sys
from fractions import Fraction

import numpy as np
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure

from bregtutorial import plotting
from bregtutorial.explore import frames

X = np.linspace(-3, 3, 200)


def shrink(lam, size=(5, 3.3)):
    """Soft thresholding, a figure without pyplot."""
    fig = Figure(figsize=size)
    ax = fig.subplots()
    ax.plot(X, np.sign(X) * np.maximum(abs(X) - lam, 0), **plotting.line("LinBreg"))
    ax.set(xlim=(-3, 3), ylim=(-3, 3), xlabel="v", title=f"λ = {lam:g}")
    return fig


def three(**changes):
    return frames(**{"draw": shrink, "values": [0.0, 0.5, 1.0], "label": "λ", "alt": "Zero within {}.", **changes})


def parsed(explorer):
    return BeautifulSoup(explorer.html, "html.parser")


def stored(explorer):
    """The frames' data in the script; JSON but for two escapes that only a script element needs."""
    data = re.search(r"^var data=(.*);$", parsed(explorer).script.string, re.MULTILINE)[1]
    return json.loads(data.replace("<\\!", "<!"))


def pictures(explorer):
    data = stored(explorer)
    return ["".join(data["pool"][k] for k in frame) for frame in data["frames"]]


# --- what is stored ---------------------------------------------------------------------------------------------------
def test_every_frame_is_the_picture_that_show_makes():
    for lam, picture in zip((0.0, 0.5, 1.0), pictures(three()), strict=True):
        shown = BeautifulSoup(plotting.show(shrink(lam), alt="x").html, "html.parser").svg
        prefix = re.search(r"bt[0-9a-f]{10}", str(shown))[0]
        mine = re.sub(r"bt[0-9a-f]{10}", prefix, picture)
        assert BeautifulSoup(mine, "html.parser").decode() == shown.decode_contents()


def test_without_a_script_the_page_shows_the_first_picture_and_its_value():
    page = parsed(three(caption="The prox & its kink."))
    assert pictures(three())[0] in three().html
    assert page.svg["aria-label"] == "Zero within 0."
    assert page.output.text == "0"
    assert page.label.span.text == "λ"
    assert page.figcaption.text == "The prox & its kink."
    assert page.button.has_attr("hidden")
    assert page.input.has_attr("hidden")


def test_what_frames_share_is_stored_once():
    data = stored(three(values=np.linspace(0, 1, 5)))
    assert len(data["pool"]) == len(set(data["pool"]))
    shared = set.intersection(*(set(frame) for frame in data["frames"]))
    assert all(len(shared) > 0.8 * len(set(frame)) for frame in data["frames"])


def test_twenty_frames_of_a_curve_plot_take_at_most_120_kilobytes():
    def draw(lr):
        fig = Figure(figsize=(5, 3.3))
        ax = fig.subplots()
        steps = np.arange(200)
        for i, method in enumerate(("LinBreg", "AdaBreg"), 1):
            ax.plot(steps, np.exp(-lr * steps / i) + 0.02 * np.sin(steps / (3 + i) + 9 * lr), **plotting.line(method))
        ax.set(ylim=(0, 1.1), xlabel="step", ylabel="loss")
        ax.legend()
        return fig

    explorer = frames(draw, np.linspace(0.01, 0.1, 20), label="lr", alt="The loss with lr = {}.")
    assert len(explorer.html.encode()) <= 120_000


def test_equal_explorers_are_equal_and_different_ones_differ():
    assert three().html == three().html
    idents = {parsed(e).figure["data-bt"] for e in (three(), three(label="t"), three(interval=300), three(caption="c"))}
    assert len(idents) == 4


def test_ids_belong_to_one_explorer():
    first, second = three().html, three(label="t").html
    ids = [set(re.findall(r'id=\\?"([^"\\]+)', markup)) for markup in (first, second)]
    assert ids[0]
    assert ids[0].isdisjoint(ids[1])


@pytest.mark.parametrize(
    ("values", "fmt", "texts"),
    [
        ([0.1 + 0.2, 1e-7, np.float32(0.5)], None, ("0.3", "1e-07", "0.5")),
        ([1, 1234567, np.int64(3)], None, ("1", "1234567", "3")),
        (["none", "L1", None, True], None, ("none", "L1", "None", "True")),
        ([(0.1, 2), Fraction(1, 3), {"a": 1}], None, ("(0.1, 2)", "1/3", "{'a': 1}")),
        ([0.25, 0.5], "{:.0%}", ("25%", "50%")),
        ([("a", 1), ("b", 2)], lambda pair: pair[0], ("a", "b")),
        (iter([1.0, 2.0]), "{:.1f} px", ("1.0 px", "2.0 px")),
    ],
)
def test_values_of_any_type_are_written_as_asked(values, fmt, texts):
    drawn = []
    explorer = frames(lambda v: drawn.append(v) or Figure(), values, label="value", alt="At {}.", fmt=fmt)
    assert explorer.texts == tuple(stored(explorer)["texts"]) == texts
    assert stored(explorer)["alts"] == [f"At {text}." for text in texts]
    assert len(drawn) == len(texts)
    assert repr(explorer) == f"Explorer: value = {', '.join(texts)}"


def test_alt_may_be_a_function_of_the_value():
    explorer = three(alt=lambda lam: f"{2 * lam:g} wide")
    assert stored(explorer)["alts"] == ["0 wide", "1 wide", "2 wide"]


NASTY = '</script><!--<script> "quoted" & \\ \u2028 <b>{}'


def test_nothing_in_a_text_ends_the_script_or_becomes_markup():
    explorer = three(label=NASTY, alt=NASTY, caption=NASTY, fmt=lambda lam: f"</script>{lam}")
    page = parsed(explorer)
    assert explorer.html.lower().count("</script") == 1
    script = explorer.html[explorer.html.index("<script>") + 8 : explorer.html.index("</script>")]
    assert "<!--" not in script
    assert page.label.span.text == page.figcaption.text == NASTY
    assert stored(explorer)["alts"][0] == NASTY.replace("{}", "</script>0.0")
    assert page.find("b") is None
    assert html.unescape(page.output.text) == "</script>0.0"


def test_the_figures_of_pyplot_are_closed():
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    frames(lambda n: plt.figure(), [1, 2], label="n", alt="Empty {}.")
    assert plt.get_fignums() == before


# --- what is refused --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"values": []}, ValueError, r"values must not be empty"),
        ({"label": " "}, ValueError, r"label must name what the slider changes, got ' '"),
        ({"alt": "A curve."}, ValueError, r"alt must contain \{\} for the value .* got 'A curve\.'"),
        ({"alt": lambda lam: ""}, ValueError, "alt must say in words what each picture shows"),
        ({"alt": lambda lam: None}, ValueError, "alt must say in words what each picture shows"),
        ({"fmt": "{:d}"}, ValueError, r"fmt must be able to write every value, got '\{:d\}' for 0\.0; fmt='\{\}' can"),
        ({"fmt": "{lam}"}, ValueError, r"fmt must be able to write every value, got '\{lam\}'"),
        ({"interval": 0}, ValueError, "interval must be > 0 milliseconds, got 0"),
        ({"draw": lambda lam: None}, TypeError, r"draw\(0\.0\) must be a matplotlib Figure, got NoneType"),
        (
            {"draw": lambda lam: shrink(lam, (5, 3 + lam))},
            ValueError,
            "figures of one size, got .* fix figsize in draw",
        ),
    ],
)
def test_frames_names_what_is_wrong(changes, error, message):
    with pytest.raises(error, match=message):
        three(**changes)


# --- the panel for a running kernel -----------------------------------------------------------------------------------
def test_the_live_panel_draws_what_the_slider_asks_for_and_no_more():
    widgets = pytest.importorskip("ipywidgets")
    drawn = []
    panel = three(draw=lambda lam: drawn.append(lam) or shrink(lam), live=True, caption="<caption>")
    slider, picture = panel.children
    assert isinstance(panel, widgets.VBox)
    assert [type(child).__name__ for child in panel.children] == ["SelectionSlider", "HTML"]
    assert drawn == [0.0]
    assert (slider.description, slider.label) == ("λ", "0")
    slider.index = 2
    assert drawn == [0.0, 1.0]
    assert slider.label == "1"
    assert 'aria-label="Zero within 1."' in picture.value
    assert (
        plotting.show(shrink(1.0), alt="Zero within 1.")
        .html.partition("<svg")[2]
        .startswith(picture.value.partition("<svg")[2].partition("</svg>")[0])
    )
    assert "<figcaption>&lt;caption&gt;</figcaption>" in picture.value


def test_the_live_panel_tells_values_apart_that_are_written_alike():
    pytest.importorskip("ipywidgets")
    drawn = []
    slider = three(values=[0.1, 0.2], fmt="{:.0f}", draw=lambda v: drawn.append(v) or Figure(), live=True).children[0]
    slider.index = 1
    assert drawn == [0.1, 0.2]


def test_a_missing_ipywidgets_is_named_with_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ImportError, match="live=True needs ipywidgets: pip install ipywidgets, or leave live out"):
        three(live=True)
