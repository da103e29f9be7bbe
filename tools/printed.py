"""The book on paper: every chapter of the built site on one page, printed to PDF by a browser without a network.

    python tools/printed.py [--html _build/html] [--out _build/print]

Left out are folded sources of figures, and the pages on the package and for instructors, to which links lead on the
site. Of a figure that moves the first picture is printed.
"""

from __future__ import annotations

import argparse
import posixpath
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import urldefrag

import yaml
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
SCREEN_ONLY = "script, template, .headerlink, .bt-status, .cell details.hide, .copybtn, .bt-controls, link"
PRINTED = re.compile(r"book/(\d-[^/]+/)?[^/]+$")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
STYLE = """
@page { size: A4; margin: 20mm 18mm; }
body { background: white; }
article.bd-article { max-width: none; padding: 0; font-size: 10pt; line-height: 1.42; }
section.bt-page { break-before: page; }
.bd-article :is(pre, div.highlight pre) { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 7.8pt; }
.bd-article :is(div.solution, div.proof, div.cell_output) { break-inside: auto; } /* else half-empty pages */
.bd-article summary svg { display: none; }
.bd-article .admonition-title { break-after: avoid; }
.bd-article :is(figure, .math, tr, pre, .admonition-title) { break-inside: avoid; }
.bd-article svg { max-height: 150mm; }
.bd-article .cell_output { overflow: visible; }
.bt-cover { padding-top: 60mm; }
.bt-contents { columns: 1; list-style: none; }
"""


@lru_cache
def parts() -> list[tuple[str, list[str]]]:
    """What is printed, by captions: chapters, and the pages beside them."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))["parts"]
    kept = [(part["caption"], [c["file"] for c in part["chapters"] if PRINTED.match(c["file"])]) for part in toc]
    return [(caption, files) for caption, files in kept if files]


def anchor(page: str, fragment: str = "") -> str:
    """An id that is one of a kind in the whole book."""
    return re.sub(r"\W+", "-", page) + (f"--{fragment}" if fragment else "")


def prepare(soup: BeautifulSoup, page: str, printed: set[str]) -> Tag:
    """The article of a page, with ids and links that are right in the whole book."""
    article = soup.select_one("article.bd-article")
    assert article is not None, f"{page} has no article"
    for tag in article.select(SCREEN_ONLY):
        tag.decompose()
    for tag in article.find_all("details"):
        tag["open"] = ""
    for tag in article.find_all(id=True):
        if tag.find_parent("svg") is None and tag.name != "svg":
            tag["id"] = anchor(page, str(tag["id"]))
    for tag in article.find_all("a", href=True):
        tag["href"] = target(str(tag["href"]), page, printed)
    article.name, article["class"], article["id"] = "section", "bt-page", anchor(page)
    return article


def target(href: str, page: str, printed: set[str]) -> str:
    """Where a link leads on paper: into the book, or to the site."""
    if re.match(r"[a-z]+:", href):
        return href
    path, fragment = urldefrag(href)
    file = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else f"{page}.html"
    there = file.removesuffix(".html")
    if there in printed:
        return f"#{anchor(there, fragment)}"
    return f"{CONFIG['html']['baseurl']}{file}" + (f"#{fragment}" if fragment else "")


def assemble(html: Path) -> str:
    """The whole book as one page, which lies beside the site's folder and uses its styles."""
    pages = {page: BeautifulSoup((html / f"{page}.html").read_text("utf8"), "html.parser") for page in _files()}
    head = next(iter(pages.values())).head
    assert head is not None
    # of the page's head: styles, and MathJax with its settings; nothing that folds, copies or searches
    links = [str(link) for link in head.find_all("link", rel="stylesheet")]
    scripts = [str(s) for s in head.find_all("script") if "mathjax" in str(s).lower()]
    shared = re.sub(r'(href|src)="(?:\.\./)+_static', rf'\1="../{html.name}/_static', "\n".join(links + scripts))
    cover = _cover(pages)
    body = "\n".join([cover, *(str(prepare(soup, page, set(pages))) for page, soup in pages.items())])
    return (
        f'<!doctype html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
        f"<title>{CONFIG['title']}</title>{shared}<style>{STYLE}</style></head>"
        f'<body><article class="bd-article">{body}</article></body></html>'
    )


def _files() -> Iterator[str]:
    return (file for _, files in parts() for file in files)


def _cover(pages: dict[str, BeautifulSoup]) -> str:
    lines = [f'<div class="bt-cover"><p class="h1">{CONFIG["title"]}</p><p>{CONFIG["author"]}</p>']
    lines.append(f"<p>With what moves and what runs: {CONFIG['html']['baseurl']}</p></div><section class='bt-page'>")
    for caption, files in parts():
        lines.append(f"<p><strong>{caption}</strong></p><ul class='bt-contents'>")
        for file in files:
            title = pages[file].select_one("article h1")
            text = title.get_text().removesuffix("#") if title else file
            lines.append(f'<li><a href="#{anchor(file)}">{text}</a></li>')
        lines.append("</ul>")
    return "\n".join([*lines, "</section>"])


def write_pdf(page: Path, pdf: Path) -> None:
    """Prints when every formula is drawn; no other host is asked for anything."""
    import shutil

    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        named = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=named, args=["--disable-gpu"])
        context = browser.new_context(offline=True)
        context.set_default_timeout(0)  # some thousand formulas
        tab = context.new_page()
        tab.goto(page.as_uri(), wait_until="load")
        tab.evaluate("MathJax.startup.promise.then(() => document.fonts.ready)")
        number = '<p style="width:100%;text-align:center;font:8pt sans-serif"><span class="pageNumber"></span></p>'
        options = {"header_template": "<p></p>", "footer_template": number, "display_header_footer": True}
        tab.pdf(path=pdf, prefer_css_page_size=True, print_background=True, outline=True, tagged=True, **options)
        browser.close()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "print")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    page, pdf = args.out.resolve() / "book.html", args.out.resolve() / "book.pdf"
    page.write_text(assemble(args.html), "utf8")
    print(f"one page: {page}", flush=True)
    write_pdf(page, pdf)
    print(f"on paper: {pdf}")


if __name__ == "__main__":
    main()
