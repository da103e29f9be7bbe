"""Definitions at hand: every page carries those of the terms that it links, for book/_static/terms.js to show."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

GLOSSARY = "book/glossary"


def embed_definitions(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Appends a template, which browsers do not show, for each linked term."""
    if doctree is None or app.builder.format != "html" or GLOSSARY not in app.env.found_docs:
        return
    links = {str(node.get("refuri", node.get("refid", ""))) for node in doctree.findall(nodes.reference)}
    terms = sorted({link.partition("#")[2] or link for link in links if "#term-" in f"#{link}"})
    if not terms:
        return
    known = _definitions(app, pagename)
    parts = [
        f'<template class="bt-term" data-term="{term}">{known[term]}</template>' for term in terms if term in known
    ]
    context["body"] += "\n" + "\n".join(parts)


@lru_cache(maxsize=1)
def _definitions(app: Sphinx, pagename: str) -> dict[str, str]:
    """HTML of every definition by its term's anchor, with links that are right on this page."""
    glossary = app.env.get_doctree(GLOSSARY)
    for terms in glossary.findall(addnodes.glossary):
        for reference in terms.findall(addnodes.pending_xref):
            reference["refdoc"] = pagename
    app.env.resolve_references(glossary, pagename, app.builder)
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        ids = [anchor for term in item.findall(nodes.term) for anchor in term["ids"]]
        (definition,) = item.findall(nodes.definition)
        html = "".join(app.builder.render_partial(child)["fragment"] for child in definition)
        found.update(dict.fromkeys(ids, html))
    return found
