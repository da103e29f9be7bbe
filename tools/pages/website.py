"""What a website needs beside its pages: a status line, a map, a card for links, a page for lost visitors."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx

from pages.chapters import ROOT
from pages.timing import last_run, versions

CARD = "_static/card.png"
LOST = "404"
SUMMARY = 200  # characters of a description
SHORT = 20  # "The debt."
FORMULA = "\ufffc"  # the object replacement character: a NUL would not survive


def add_status_line(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Says under a page when it was last changed, and when and with what it was executed."""
    if doctree is None or pagename not in app.env.found_docs:
        return
    path, said = Path(app.env.doc2path(pagename)), []
    if changed := _last_changes().get(path.relative_to(ROOT).as_posix()):
        said.append(f"Last changed on {changed}.")
    run = last_run(path) if app.config.nb_execution_mode == "cache" else None
    if run:
        said.append(f"Executed on {run.date:%Y-%m-%d} in {run.seconds:.0f} s with {escape(versions())}.")
    if said:
        context["body"] += f'\n<p class="bt-status">{" ".join(said)}</p>'


def describe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Gives search engines and link cards whole sentences; sphinxext-opengraph would cut them and show TeX."""
    if doctree is not None and (text := summary(doctree)):
        context["meta"] = {**(context.get("meta") or {}), "og:description": text}
        context["metatags"] += f'\n<meta name="description" content="{escape(text)}" />'


def summary(doctree: nodes.document) -> str:
    """The first sentences of a page that are sentences also without formulas."""
    found: list[str] = []
    for paragraph in doctree.findall(nodes.paragraph):
        copy = paragraph.deepcopy()
        for formula in list(copy.findall(nodes.math)):
            formula.parent.replace(formula, nodes.Text(FORMULA))
        for sentence in re.split(r"(?<=[.?!]) ", " ".join(copy.astext().split())):
            if len(" ".join([*found, sentence])) > SUMMARY:
                return " ".join(found)
            found += [sentence] * (FORMULA not in sentence and len(sentence) > SHORT)
    return " ".join(found)


@lru_cache
def _last_changes() -> dict[str, str]:
    """The date of the last commit of every file; empty outside a clone and in one that was cut off."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    try:
        if git("rev-parse", "--is-shallow-repository").strip() != "false":
            return {}
        log = git("log", "--format=%x00%cs", "--name-only", "--", "book")
    except (OSError, subprocess.CalledProcessError):
        return {}
    found: dict[str, str] = {}
    for commit in log.split("\0")[1:]:
        date, *files = commit.split("\n")
        for file in filter(None, files):
            found.setdefault(file, date)
    return found


def lost_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for addresses that lead nowhere. Its links start at the site's root, because it may be shown anywhere."""
    if app.builder.name != "html":
        return
    base = urlsplit(app.config.html_baseurl).path or "/"
    home, search = f"{app.config.root_doc}.html", "search.html"
    body = (
        "<h1>There is no such page</h1><p>It may have been renamed. "
        f'<a href="{home}">The contents</a> or <a href="{search}">the search</a> may know its new name.</p>'
    )
    context = {"title": "There is no such page", "body": body, "metatags": f'<base href="{escape(base)}">'}
    yield LOST, context, "page.html"


def write_site_files(app: Sphinx, exception: Exception | None) -> None:
    """The map for search engines, what they may read, and the card that is shown with a link."""
    if exception or app.builder.name != "html":
        return
    out, base = Path(app.outdir), app.config.html_baseurl
    pages = sorted(app.env.found_docs)
    entries = [f"  <url><loc>{escape(base + page)}.html</loc>{_changed(app, page)}</url>" for page in pages]
    head = '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    (out / "sitemap.xml").write_text(head + "\n".join(entries) + "\n</urlset>\n", "utf8")
    (out / "robots.txt").write_text(f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n", "utf8")
    draw_card(out / CARD, app.config.ogp_site_name)


def _changed(app: Sphinx, page: str) -> str:
    path = Path(app.env.doc2path(page)).relative_to(ROOT).as_posix()
    date = _last_changes().get(path)
    return f"<lastmod>{date}</lastmod>" if date else ""


def draw_card(path: Path, title: str) -> None:
    """A sparse matrix in the book's colours, and the book's name: 1200 x 630 pixels."""
    import matplotlib.pyplot as plt
    import torch

    from bregtutorial import plotting

    generator = torch.Generator().manual_seed(0)
    values = torch.randn(21, 18, generator=generator)
    kept = torch.rand(21, 18, generator=generator) < torch.linspace(0.02, 0.35, 18)
    fig = plt.figure(figsize=(12, 6.3), facecolor="white", layout="none")  # whatever style a chapter has set
    axes = fig.add_axes((0.6, 0.0, 0.4, 1.0))
    for sign, role in ((1, "positive"), (-1, "negative")):
        rows, columns = (kept & (sign * values > 0)).nonzero(as_tuple=True)
        axes.scatter(columns, rows, s=150, marker="s", color=plotting.COLOURS[role])
    axes.set(xlim=(-1, 18), ylim=(20.5, -0.5))
    axes.axis("off")
    fig.text(0.06, 0.56, title.replace(" by ", "\nby "), fontsize=40, fontweight="bold", color="black", va="center")
    fig.text(0.06, 0.3, "An executable textbook\nand a PyTorch package", fontsize=24, color="#444444", va="center")
    fig.savefig(path, dpi=100)
    plt.close(fig)
