"""Rules for the figures of a chapter: each says in words what it shows, and one of them can be moved."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

from rules.cells import code, name

MIN_ALT_WORDS = 5
IMAGES = ("image/png", "image/jpeg", "image/svg+xml")
MATPLOTLIB = re.compile(r"<Figure size|<Axes|<matplotlib\.|Line2D\(")


def _html(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, BeautifulSoup]]:
    for cell in code(notebook):
        for output in cell.outputs:
            if "text/html" in output.get("data", {}):
                yield cell, BeautifulSoup(output.data["text/html"], "html.parser")


def _alt(picture: Tag) -> str:
    return str(picture.get("aria-label" if picture.name == "svg" else "alt") or "").strip()


def figures_have_alt_text(notebook: NotebookNode) -> Iterator[str]:
    """`bt.plotting.show` and `bt.explore.frames` ask for it; a bare image needs it in the cell's metadata."""
    for cell, soup in _html(notebook):
        for picture in soup.find_all(["svg", "img", "canvas"]):
            if len(_alt(picture).split()) < MIN_ALT_WORDS:
                yield f"{name(cell)} shows a figure without alt text of at least {MIN_ALT_WORDS} words"
    for cell in code(notebook):
        described = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        if not described and any(kind in output.get("data", {}) for output in cell.outputs for kind in IMAGES):
            yield f"{name(cell)} shows a bare image: end it with bt.plotting.show(fig, alt=…)"


def no_matplotlib_leftovers(notebook: NotebookNode) -> Iterator[str]:
    """The value of a plotting call is not for readers."""
    for cell in code(notebook):
        texts = [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
        if any(MATPLOTLIB.search(text) for text in texts) or re.search(r"\bplt\.show\(", cell.source):
            yield f"{name(cell)} shows a matplotlib object: end it with bt.plotting.show(fig, alt=…)"


def has_an_explorer(notebook: NotebookNode) -> Iterator[str]:
    """Every chapter has a figure that moves under the reader's fingers."""
    sliders = [soup.select_one(".bt-explorer input[type=range]") for _, soup in _html(notebook)]
    if not any(slider is not None and int(str(slider["max"])) >= 2 for slider in sliders):
        yield "it has no explorer with at least three frames (bt.explore.frames)"


RULES = (figures_have_alt_text, no_matplotlib_leftovers, has_an_explorer)
