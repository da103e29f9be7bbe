"""The book on paper: ids are one of a kind, and links lead into the book or to the site."""

from __future__ import annotations

from pathlib import Path

import printed
import pytest
from bs4 import BeautifulSoup

PAGE = """
<html><head><link rel="stylesheet" href="../../_static/a.css"><script>window.MathJax = {{}}</script><script src="x.js">
</script></head><body><article class="bd-article"><section id="one">
<h1>{title}<a class="headerlink" href="#one">#</a></h1>
<a id="in" href="#one">here</a> <a href="../2-b/there.html#two">there</a> <a href="../api/x.html#bt.X">api</a>
<a href="https://example.org/">out</a><details><summary>Hint</summary>text</details>
<figure class="bt-figure"><svg id="s1"><path id="p"></path></svg><div class="bt-controls"></div></figure>
<p class="bt-status">Executed</p></section></article></body></html>"""


def test_what_is_printed_are_the_chapters_and_the_pages_beside_them():
    files = [file for _, files in printed.parts() for file in files]
    assert "book/2-algorithms/linbreg" in files
    assert "book/bibliography" in files
    assert not [file for file in files if "/api/" in file or "/instructors/" in file]


@pytest.mark.parametrize(
    ("href", "leads"),
    [
        ("#one", "#book-1-a-here--one"),
        ("there.html", "#book-1-a-there"),
        ("../1-a/there.html#two", "#book-1-a-there--two"),
        ("../api/x.html#bt.X", "https://bregtutorial.github.io/bregtutorial/book/api/x.html#bt.X"),
        ("https://example.org/#a", "https://example.org/#a"),
    ],
)
def test_links_lead_into_the_book_or_to_the_site(href, leads):
    assert printed.target(href, "book/1-a/here", {"book/1-a/here", "book/1-a/there"}) == leads


def test_pages_become_one(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(printed, "parts", lambda: [("Part", ["book/1-a/here", "book/2-b/there"])])
    for name in ("book/1-a/here", "book/2-b/there"):
        path = tmp_path / "html" / f"{name}.html"
        path.parent.mkdir(parents=True)
        path.write_text(PAGE.format(title=name), "utf8")
    text = printed.assemble(tmp_path / "html")
    soup = BeautifulSoup(text, "html.parser")
    ids = [tag["id"] for tag in soup.find_all(id=True) if tag.find_parent("svg") is None and tag.name != "svg"]
    assert len(ids) == len(set(ids)) == 6
    lost = [a["href"] for a in soup.select("a[href^='#']") if a["href"][1:] not in ids]
    assert lost == ["#book-2-b-there--two"] * 2, "of the two pages of this test none has a section 'two'"
    assert soup.details.has_attr("open")
    assert soup.link["href"] == "../html/_static/a.css"
    assert not soup.select(".bt-controls, .headerlink, .bt-status, script[src='x.js']")
