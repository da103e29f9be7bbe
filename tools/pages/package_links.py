"""Links between the chapters and the package: from a docstring to its chapters, from a chapter to what it uses."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.nodes import document
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

import bregtutorial
from pages.chapters import Chapter, chapters

TITLE = "The package in this chapter"
ANCHOR = "the-package-in-this-chapter"
PLACE = re.compile(r'(\w+), "([^"]+)"')


def link_chapters(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Turns `Book: Part, "Chapter".` into links; a chapter that is not written yet stays a name."""
    addresses = {chapter.title: chapter.doc for chapter in chapters().values()}

    def place(found: re.Match[str]) -> str:
        address = addresses.get(found[2])
        return f"{found[1]}, " + (f":doc:`{found[2]} </{address}>`" if address else f"“{found[2]}”")

    for i, line in enumerate(lines):
        if line.startswith("Book: "):
            lines[i] = "**Book:** " + PLACE.sub(place, line.removeprefix("Book: "))


def used_names(chapter: Chapter) -> list[str]:
    """Public functions and classes that a chapter's code names, as it names them: `bt.models.mlp`."""
    found = {name for code in chapter.code for node in ast.walk(ast.parse(code)) for name in _chain(node)}
    return sorted(found, key=str.casefold)


def _chain(node: ast.AST) -> Iterator[str]:
    """The part of `bt.a.b.c` up to its first function or class."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if not (isinstance(node, ast.Name) and node.id == "bt"):
        return
    thing: Any = bregtutorial
    for i, name in enumerate(names):
        thing = getattr(thing, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            yield ".".join(["bt", *names[: i + 1]])
            return


def add_package_section(app: Sphinx, doctree: document) -> None:
    """Ends a chapter with links to the functions and classes that it uses."""
    docname = app.env.docname
    chapter = next((c for c in chapters().values() if c.doc == docname), None)
    if chapter is None or not (names := used_names(chapter)):
        return
    paragraph = nodes.paragraph()
    for name in names:
        target = name.replace("bt.", "bregtutorial.", 1)
        link = pending_xref("", refdomain="py", reftype="obj", reftarget=target, refdoc=docname, refexplicit=True)
        link += nodes.literal(name, name, classes=["xref", "py"])
        paragraph += [nodes.Text(" · ")] * bool(len(paragraph)) + [link]
    section = nodes.section("", nodes.title(TITLE, TITLE), paragraph, ids=[ANCHOR], names=[TITLE.lower()])
    next(doctree.findall(nodes.section)).append(section)
