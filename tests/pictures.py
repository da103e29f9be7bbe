"""What the tests of figures share: a plain figure, and ways to look into the SVG that `show` makes."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from bregtutorial import plotting

METHODS = ("SGD", "Adam", "LinBreg", "LinBreg+momentum", "AdaBreg", "ProxSGD", "Lasso")


def curve(color="black", **keywords):
    fig = Figure()
    fig.subplots().plot([0, 1, 2], [1.0, 0.4, 0.1], color=color, **keywords)
    return fig


def svg_of(fig, alt="A picture."):
    """The SVG element of `show`; parsing fails unless the markup is well formed."""
    return ET.fromstring(re.search(r"<svg.*</svg>", plotting.show(fig, alt).html, re.DOTALL)[0])


def elements(svg, name):
    return [element for element in svg.iter() if element.tag == name]


def pixels(image):
    """The RGBA pixels of an <image> element, first row on top as the page shows it."""
    data = image.get("href").removeprefix("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
        rows = np.asarray(picture.convert("RGBA"))
    across, _, _, down = map(float, re.search(r"matrix\(([^)]+)", image.get("transform"))[1].split()[:4])
    assert across > 0
    return rows if down > 0 else rows[::-1]
