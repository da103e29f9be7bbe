"""Pages, and parts of pages, that are generated from one source each; nothing in them is typed twice.

    ```{generated} symbols training
    ```

puts in what the function of that name returns, as MyST.
"""

from __future__ import annotations

from collections.abc import Callable

from course.syllabus import syllabus
from docutils.nodes import Element, Node
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

from pages import citing, ledger, package_links, statements, symbols, terms, timing, website

GENERATORS: dict[str, Callable[..., str]] = {
    "arguments": symbols.arguments,
    "citation": citing.citation,
    "ledger-experiments": ledger.experiments,
    "ledger-numbers": ledger.numbers,
    "ledger-rule": ledger.rule,
    "ledger-summary": ledger.summary,
    "ledger-theory": ledger.theory,
    "recorded-times": timing.recorded_times,
    "statements": statements.statements,
    "syllabus": syllabus,
    "symbols": symbols.symbols,
    "times": timing.times,
}


class Generated(SphinxDirective):
    """`{generated} name arguments …`: MyST that a function writes, headings too."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[Node]:
        """Calls the function and parses what it returns."""
        name, *arguments = self.arguments[0].split()
        self.env.note_reread()  # what it reads is no dependency that Sphinx knows
        lines = StringList(GENERATORS[name](*arguments).splitlines(), source=f"generated {name}")
        box = Element()
        self.state.nested_parse(lines, self.content_offset, box, match_titles=True)
        return list(box.children)


def set_macros(app: Sphinx, config: Config) -> None:
    """Gives MathJax the macros of the notation."""
    config.mathjax3_config["tex"] = {"macros": symbols.macros()}


def set_search(app: Sphinx, config: Config) -> None:
    """Gives the search its order; Sphinx would look for the file where the build was started."""
    config.html_search_scorer = str(website.ROOT / "tools" / "search.js")


def setup(app: Sphinx) -> None:
    """Registers the directive and the hooks."""
    app.add_directive("generated", Generated)
    app.connect("config-inited", set_macros)
    app.connect("config-inited", set_search)
    app.connect("autodoc-process-docstring", package_links.link_chapters, priority=400)  # before napoleon
    app.connect("doctree-read", package_links.add_package_section, priority=400)  # before the contents are collected
    app.connect("html-page-context", website.describe, priority=400)  # before sphinxext-opengraph
    app.connect("html-page-context", website.add_status_line, priority=901)
    app.connect("html-page-context", terms.embed_definitions, priority=902)
    app.connect("html-collect-pages", website.lost_page)
    app.connect("build-finished", website.write_site_files)
