"""Curves of runs and densities of layers: what is drawn is what the data say, and can be read."""

from __future__ import annotations

import re

import matplotlib
import numpy as np
import pytest
import torch
from pictures import METHODS, elements, svg_of

import bregtutorial as bt
from bregtutorial import plotting


@pytest.fixture(autouse=True)
def book_style():
    """The book's style, and the old one afterwards."""
    with matplotlib.rc_context():
        plotting.use_style()
        yield


ROWS = [{"epoch": e, "test_accuracy": 0.5 + 0.1 * e, "density": 0.01 * 4**e} for e in range(3)]
TABLE = {key: [row[key] for row in ROWS] for key in ROWS[0]}


@pytest.mark.parametrize("run", [ROWS, TABLE], ids=["rows", "columns"])
def test_history_draws_each_quantity_in_its_own_panel(run):
    accuracy, density = plotting.history({"LinBreg": run}).axes
    for ax, quantity in ((accuracy, "test_accuracy"), (density, "density")):
        np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.column_stack([TABLE["epoch"], TABLE[quantity]]))
        assert ax.get_ylabel() == quantity.replace("_", " ")
        assert ax.yaxis.get_major_formatter()(0.25) == "25 %"
    assert density.get_xlabel() == "epoch"


@pytest.mark.parametrize(
    ("values", "scale"), [([0.01, 0.16], "log"), ([0.1, 0.5], "linear"), ([0.0, 0.5], "linear"), ([0.5, 0.5], "linear")]
)
def test_density_is_logarithmic_only_if_it_spans_more_than_a_decade(values, scale):
    (ax,) = plotting.history({"LinBreg": {"epoch": [0, 1], "density": values}}, panels=["density"]).axes
    assert ax.get_yscale() == scale


@pytest.mark.parametrize("lowest", [0.09, 0.011, 0.0002])
def test_a_logarithmic_axis_has_labels_to_read_values_from(lowest):
    fig = plotting.history({"LinBreg": {"epoch": [0, 1], "density": [lowest, 1.0]}}, panels=["density"])
    texts = [e.text for e in elements(svg_of(fig), "text")]
    labels = [text for text in texts if text.endswith(" %")]
    assert len(labels) >= 3
    assert len(labels) == len(set(labels))


def test_other_quantities_keep_plain_numbers():
    (ax,) = plotting.history({"SGD": {"step": [0, 1], "loss": [2.5, 0.5]}}, x="step", panels=["loss"]).axes
    assert ax.get_yscale() == "linear"
    assert "%" not in ax.yaxis.get_major_formatter()(0.5)


def test_quantities_measured_now_and_then_are_drawn_from_what_there_is():
    rows = [{"epoch": 0, "loss": 1.0}, {"epoch": 1, "loss": None}, {"epoch": 2}, {"epoch": 3, "loss": 0.25}]
    (ax,) = plotting.history({"SGD": rows}, panels=["loss"]).axes
    assert ax.lines[0].get_xydata().tolist() == [[0, 1], [3, 0.25]]


def test_methods_keep_their_style_and_other_names_get_one_that_is_free():
    names = ["λ = 0.1", "LinBreg", "λ = 0.2"]
    (ax, _) = plotting.history(dict.fromkeys(names, ROWS)).axes
    assert [line.get_label() for line in ax.lines] == names
    assert ax.lines[1].get_color() == plotting.COLOURS["LinBreg"]
    assert len({line.get_marker() for line in ax.lines}) == 3


def test_the_legend_names_every_run_and_covers_no_panel():
    fig = plotting.history(dict.fromkeys(METHODS, ROWS))
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == list(METHODS)
    fig.draw_without_rendering()
    assert all(legend.get_window_extent().y0 >= ax.get_window_extent().y1 for ax in fig.axes)
    assert not plotting.history({"SGD": ROWS}).legends


@pytest.mark.parametrize(
    ("runs", "keywords", "message"),
    [
        ({}, {}, "at least one run and one panel"),
        ({"SGD": ROWS}, {"panels": []}, "at least one run and one panel"),
        (
            {"SGD": ROWS},
            {"panels": ["loss"]},
            "the run 'SGD' has no 'loss'; it has 'epoch', 'test_accuracy', 'density'",
        ),
        ({"SGD": []}, {}, "the run 'SGD' has no 'epoch'; it has no rows"),
        ({"SGD": {**TABLE, "density": [0.1]}}, {}, "has 3 values of 'epoch' but 1 of 'density'"),
        ({str(i): ROWS for i in range(8)}, {}, "line styles for 7 curves"),
    ],
)
def test_history_names_what_is_wrong(runs, keywords, message):
    with pytest.raises(ValueError, match=message):
        plotting.history(runs, **keywords)


def report(*zeroed_rows):
    model = bt.models.mlp((4, 10, 2), generator=torch.Generator().manual_seed(0))
    for layer, rows in zip((m for m in model.modules() if isinstance(m, torch.nn.Linear)), zeroed_rows, strict=True):
        layer.weight.data[:rows] = 0
    return bt.sparsity_report(model)


def test_a_bar_is_as_long_as_the_density_and_says_it():
    (ax,) = plotting.layer_bars(report(9, 1)).axes
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.1, 0.5, 14 / 60])
    assert [text.get_text() for text in ax.texts] == ["10.0 %", "50.0 %", "23.3 %"]
    assert ax.get_xlim()[0] == 0
    assert ax.get_xscale() == "linear"


def test_bars_stand_in_the_order_of_the_layers_from_top_to_bottom():
    fig = plotting.layer_bars(report(0, 0))
    fig.draw_without_rendering()
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["layer 1", "layer 3", "all"]
    heights = [bar.get_window_extent().y0 for bar in ax.patches]
    assert heights == sorted(heights, reverse=True)
    assert len(plotting.layer_bars(report(0, 0), total=False).axes[0].patches) == 2


def test_several_reports_stand_side_by_side_and_differ_without_colour():
    fig = plotting.layer_bars({"LinBreg": report(5, 0), "AdaBreg": report(9, 1)})
    first, second = fig.axes[0].containers
    assert [bar.get_width() for bar in second] == pytest.approx([0.1, 0.5, 14 / 60])
    assert first[0].get_hatch() != second[0].get_hatch()
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["LinBreg", "AdaBreg"]
    assert first[0].get_y() + first[0].get_height() <= second[0].get_y()


def test_a_network_without_a_weight_left_can_be_drawn():
    (ax,) = plotting.layer_bars(report(10, 2)).axes
    assert [text.get_text() for text in ax.texts] == ["0.00 %"] * 3
    assert ax.get_xlim() == (0, 1)


def test_layer_bars_names_what_is_wrong():
    other = bt.sparsity_report(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"reports of the same layers, got \['layer 1'.*\] but .* for 'b'"):
        plotting.layer_bars({"a": report(0, 0), "b": other})
    with pytest.raises(ValueError, match="report must not be empty"):
        plotting.layer_bars({})


@pytest.mark.parametrize(
    "fig",
    [
        lambda: plotting.history(dict.fromkeys(METHODS, ROWS)),
        lambda: plotting.history(dict.fromkeys(("LinBreg, λ from 0.01 to 0.1", "LinBreg, λ constant and large"), ROWS)),
        lambda: plotting.layer_bars({"LinBreg": report(5, 0), "AdaBreg": report(9, 1)}),
        lambda: plotting.weight_image(100 * np.eye(60, 50)),
        lambda: plotting.weight_image(np.eye(8, 200)),
        lambda: plotting.weight_image(np.ones((32, 1, 5, 5))),
        lambda: plotting.weight_image(np.ones((64, 3, 3, 3))),
    ],
    ids=["history", "long-names", "bars", "square", "flat", "filters", "kernels"],
)
def test_nothing_is_cut_off_and_text_is_readable_on_a_telephone(fig):
    fig = fig()
    fig.draw_without_rendering()
    width, height = fig.get_size_inches()
    box = fig.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height
    # a page 400 pixels wide leaves 360 for a figure
    sizes = re.findall(r"font-size:(\d+)px|font:(\d+)px", plotting.show(fig, alt="A picture.").html)
    assert min(float("".join(size)) for size in sizes) * 360 / (72 * width) >= 9
