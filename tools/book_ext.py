"""Sphinx extension of this book: what Sphinx and nbclient can only be told in Python."""

from __future__ import annotations

from typing import Any

from execute import disarm_output_widgets
from sphinx.application import Sphinx

SCROLLS = '<div class="pst-scrollable-table-container"'


def make_tables_focusable(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Wide tables scroll in a box of their own; a box that scrolls must be reachable by keyboard."""
    if context.get("body"):
        context["body"] = context["body"].replace(SCROLLS, f'{SCROLLS} tabindex="0" role="region" aria-label="Table"')


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the hook; a bare `jupyter-book build`, which executes by itself, must not hang either."""
    disarm_output_widgets()
    app.connect("html-page-context", make_tables_focusable, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
