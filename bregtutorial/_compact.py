"""From matplotlib's SVG document to the few kilobytes that a page needs, in the page's own colours and font."""

from __future__ import annotations

import base64
import io
import re

FONTS = "system-ui,sans-serif"
_DECIMAL = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_USES = re.compile(r'<g([^>]*)>((?:<use [^>]*style="([^"]*)"/>)(?:<use [^>]*style="\3"/>)+)</g>')
# Paths from this length on are curves, stored as steps of a tenth of a point.
_CURVE = 12
# A picture whose pixels are smaller than this many points looks right only if the browser averages them.
_SHARP = 1.5


def compact(svg: str) -> str:
    """Return what lies inside ``<svg>``: without metadata and style sheet, black and white left to the page."""
    body = svg[re.search(r"<svg[^>]*>", svg).end() : svg.rindex("</svg>")]  # type: ignore[union-attr]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # this rule starts with `*` and would restyle every other drawing in the page
    body = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r">\s+<", "><", body).strip()
    body = body.replace("xlink:href", "href").replace("#000000", "currentColor")
    # white boxes, of axes and legends made without `use_style`, would hide text that is light on a dark page
    body = re.sub(r"(<path [^>]*)fill: #ffffff", r"\1fill: none", body)
    body = re.sub(r"font-family: 'DejaVu Sans'[^;\"]*;? ?|stroke-dashoffset: 0; ", "", body)
    body = re.sub(r"(?<=px )'DejaVu Sans'[^;\"]*", FONTS, body)  # matplotlib < 3.11 writes the shorthand
    body = re.sub(r' transform="rotate\(-?0 [^"]*"', "", body)
    body = re.sub(r'(?<= d=")[^"]+', lambda path: _path(path[0]), body)
    body = re.sub(r'(?<= [xy]=")[^"]+|(?:translate|rotate)\([^)]*\)', lambda number: _round(number[0]), body)
    body = re.sub(r'(?<= style=")[^"]+', lambda style: re.sub(r"(?<=[:;]) ", "", style[0]), body)
    body = _USES.sub(_hoist, body)
    return re.sub(r"<image [^>]*>", lambda image: _image(image[0]), body)


def _hoist(uses: re.Match[str]) -> str:
    """Write the style that all markers of a curve share once, at their group."""
    style = f' style="{uses[3]}"'
    return f"<g{uses[1]}{style}>{uses[2].replace(style, '')}</g>"


def _path(path: str) -> str:
    path = " ".join(path.split())
    if path.count("L") < _CURVE or set("CQHVSTA") & set(path):
        return re.sub(r" ?([A-Za-z]) ?", r"\1", _round(path))
    text, at = "", (0, 0)
    for command, *numbers in (part.split() for part in re.findall("[MLz][^MLz]*", path)):
        if command == "z":
            text += "z"
            continue
        # steps between rounded points, not rounded steps: those would not add up
        x, y = (round(10 * float(number)) for number in numbers)
        text += f"M{_tenths(x)} {_tenths(y)}" if command == "M" else f"l{_tenths(x - at[0])} {_tenths(y - at[1])}"
        at = (x, y)
    return text.replace(" -", "-")


def _tenths(number: int) -> str:
    return f"{number / 10:g}".replace("0.", ".", 1) if abs(number) < 10 else f"{number / 10:g}"


def _round(text: str) -> str:
    """Keep hundredths of a point: finer than any screen shows."""
    return _DECIMAL.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), text)


def _image(image: str) -> str:
    """Store a picture's pixels with a palette if 256 colours do, and let the browser average small ones."""
    data = re.search(r"base64,\s*([^\"]+)", image)[1]  # type: ignore[index]
    image = image.replace(data, _repack(data)).replace("base64,\n", "base64,")
    scale = re.search(r"matrix\(([^ ]+)", image)
    if scale and float(scale[1]) < _SHARP:
        image = re.sub(r'style="image-rendering[^"]*"', "", image)
    return image


def _repack(data: str) -> str:
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        pixels = np.asarray(picture.convert("RGBA"))
    colours, index = np.unique(pixels.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colours) > 256:
        return data
    small = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8), mode="P")
    small.putpalette(colours.tobytes(), rawmode="RGBA")
    out = io.BytesIO()
    small.save(out, format="png", optimize=True)
    return base64.b64encode(out.getvalue()).decode()
