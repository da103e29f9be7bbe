"""Sphinx extension of this book: what Sphinx and nbclient can only be told in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from colab import BRANCH, write_copies
from docutils import nodes
from docutils.nodes import Element, document
from execute import disarm_output_widgets
from mending import mend_site
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def name_folded_proofs(app: Sphinx, doctree: document) -> None:
    """A proof that folds needs a title to click on; sphinx-proof writes "Proof." into its first sentence."""
    for proof in doctree.findall(nodes.admonition):
        if {"proof", "dropdown"} <= set(proof["classes"]) and not isinstance(proof[0], nodes.title):
            first = next(iter(proof.findall(nodes.Text)), None)
            if first is not None and first.startswith("Proof. "):
                first.parent.replace(first, nodes.Text(first.removeprefix("Proof. ")))
            proof.insert(0, nodes.title("", "Proof"))


def find_public_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: Element) -> Element | None:
    """A docstring says `LinBreg` wherever it stands; the API pages list it as `bregtutorial.LinBreg`."""
    if node.get("refdomain") != "py":
        return None
    python, wanted = env.get_domain("py"), node["reftarget"].rpartition(".")[2]
    public = min((name for name in python.objects if name.rpartition(".")[2] == wanted), key=len, default=wanted)
    return python.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], public, node, shown)


def launch_plain_copies(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Colab opens the copy in plain Markdown; a page that is no notebook, like the first, has no such button."""
    groups = context.get("header_buttons", [])
    source = f"/blob/{app.config.html_theme_options['repository_branch']}/"
    for group in [group for group in groups if group.get("label") == "launch-buttons"]:
        if not str(app.env.doc2path(pagename)).endswith(".ipynb"):
            groups.remove(group)
        for button in group["buttons"]:
            button["url"] = button["url"].replace(source, f"/blob/{BRANCH}/")


def offer_plain_copies(app: Sphinx, exception: Exception | None) -> None:
    """The notebook that a page offers for downloading is its copy in plain Markdown."""
    if exception is None and app.builder.format == "html":
        write_copies(Path(app.outdir) / "_sources")


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the hooks; a bare `jupyter-book build`, which executes by itself, must not hang either."""
    disarm_output_widgets()
    app.connect("missing-reference", find_public_name)
    app.connect("doctree-read", name_folded_proofs)
    app.connect("html-page-context", launch_plain_copies, priority=900)
    app.connect("build-finished", offer_plain_copies)
    app.connect("build-finished", mend_site, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
