"""The built site in a browser that can reach no other host: it works, moves, links and can be read by everyone."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_playwright_python
import nbformat
import pytest
import yaml
from audit.links import lost_links
from book_index import read_book
from bs4 import BeautifulSoup
from colab import BRANCH
from conftest import HTML, ROOT, find_chromium, missing
from mending import mend
from plain_markdown import RAW

import bregtutorial

pytestmark = pytest.mark.browser
ENTRIES = re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text("utf8"))
PAGES = [f"{entry}.html" for entry in ENTRIES]
CHAPTERS = [f"{entry}.html" for entry in ENTRIES if (ROOT / f"{entry}.ipynb").exists()]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
MAX_BYTES = 1_000_000
PHONE = 360
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf8")
# axe does not read MathML, so it takes a header that is a formula for an empty one
AXE += ";axe.configure({rules: [{id: 'empty-table-header', selector: 'th:not(:has(mjx-container))'}]});"
# axe is slow on large pages. Formulas and pictures have the page's colours and a name from outside; code looks the same
# everywhere: one chapter is looked at with all its insides, the others without them.
SIMPLIFY = """
document.querySelectorAll("mjx-container, .bt-figure svg").forEach(e => e.replaceChildren());
document.querySelectorAll("pre").forEach(e => { e.textContent = e.textContent; });
"""


@functools.cache
def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup((HTML / page).read_text("utf8"), "html.parser")


def failed_formulas(page: Any) -> list[str]:
    """Formulas that MathJax could not read, macros that it does not know (it prints them red), formulas it missed."""
    bad = "mjx-merror, [data-mjx-error], mjx-container [style*='color: red'], .math:not(:has(mjx-container))"
    return page.locator(bad).evaluate_all("found => found.map(e => e.closest('.math, mjx-container').textContent)")


def barriers(page: Any, scheme: str, **options: Any) -> list[tuple[str, list[str]]]:
    """What axe finds against a page: its rules for WCAG 2.2 A and AA, and its best practices."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # else colours fade, and axe meets them half-way
    page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
    found = page.evaluate("options => axe.run(document, options)", {"preload": False, **options})
    return [(v["id"], [n["html"][:150] for n in v["nodes"][:3]]) for v in found["violations"]]


@pytest.mark.parametrize("page", PAGES)
def test_page_works_for_everyone_and_without_a_network(visit, base, page):
    found = visit(f"{base}/{page}")
    seen = {"outside requests, missing files, errors": found.problems, "bad formulas": failed_formulas(found.page)}
    found.page.set_viewport_size({"width": PHONE, "height": 800})
    seen["width on a phone"] = found.page.evaluate("document.documentElement.scrollWidth")
    found.page.set_viewport_size({"width": 1280, "height": 1000})
    found.page.evaluate(SIMPLIFY if page != CHAPTERS[0] else ";")
    found.page.evaluate(AXE)
    seen["barriers on light pages"] = barriers(found.page, "light")
    seen["barriers on dark pages"] = barriers(found.page, "dark", runOnly=["color-contrast"])
    assert {what: value for what, value in seen.items() if value} == {"width on a phone": PHONE}


def test_page_works_from_a_file(visit, html):
    found = visit((html / CHAPTERS[0]).as_uri())
    assert found.page.locator(".math mjx-container").count() > 0
    assert failed_formulas(found.page) == []
    assert found.problems == []


def test_who_waits_for_mathjax_waits_for_every_formula(visit, base):
    page = visit(f"{base}/{CHAPTERS[0]}").page
    page.reload(wait_until="load")
    left = "document.querySelectorAll('.math:not(:has(mjx-container))').length"
    assert page.evaluate(f"MathJax.startup.promise.then(() => {left})") == 0


def picture(figure: Any) -> tuple[str, str, str]:
    """What can be seen, what is said to those who do not see it, and the value."""
    svg = figure.locator("svg").first
    return svg.inner_html(), svg.get_attribute("aria-label"), figure.locator("output").inner_text()


@pytest.mark.parametrize("page", CHAPTERS)
def test_explorers_move_by_keyboard_and_mouse(visit, base, page):
    explorers = visit(f"{base}/{page}").page.locator(".bt-explorer")
    assert explorers.count()
    for figure in explorers.and_(explorers.page.locator(".bt-live")).all():  # computed on the page, from any start
        slider, before = figure.get_by_role("slider").first, picture(figure)
        slider.press("ArrowLeft" if slider.input_value() == slider.get_attribute("max") else "ArrowRight")
        assert picture(figure) != before
    for figure in explorers.and_(explorers.page.locator(":not(.bt-live)")).all():
        slider, before = figure.get_by_role("slider"), picture(figure)
        slider.press("ArrowRight")
        after = picture(figure)
        assert all(old != new for old, new in zip(before, after, strict=True))
        assert slider.get_attribute("aria-valuetext") == after[2]
        slider.press("Home")
        assert picture(figure)[1:] == before[1:]
        box = slider.bounding_box()
        slider.click(position={"x": box["width"] * 0.8, "y": box["height"] / 2})
        assert int(slider.input_value()) > 0
        assert all(old != new for old, new in zip(before, picture(figure), strict=True))


def test_explorer_plays_and_stops(visit, base):
    found = visit(f"{base}/{CHAPTERS[0]}")
    figure = found.page.locator(".bt-explorer").first
    before = picture(figure)
    figure.get_by_role("button", name="Play").click()
    found.page.wait_for_function("document.querySelector('.bt-explorer input').value >= 2")
    figure.get_by_role("button", name="Pause").click()
    stopped = picture(figure)
    assert stopped != before
    found.page.wait_for_timeout(900)
    assert picture(figure) == stopped


def test_explorer_does_not_play_for_who_asks_for_calm(visit, base):
    figure = visit(f"{base}/{CHAPTERS[0]}", reduced_motion="reduce").page.locator(".bt-explorer").first
    before = picture(figure)
    figure.get_by_role("button", name="Next").click()
    assert picture(figure) != before
    assert figure.get_by_role("slider").input_value() == "1"


def test_links_and_ids_resolve(html):
    lost, seen = lost_links(html)
    assert seen > 100
    assert lost == []


@pytest.mark.parametrize("page", PAGES)
def test_page_is_light(html, page):
    assert (html / page).stat().st_size <= MAX_BYTES


@pytest.mark.parametrize("page", PAGES)
def test_colab_button_opens_the_plain_copy_of_this_chapter(html, page):
    header = soup(page).select_one(".bd-header-article")
    opens = [str(a["href"]) for a in header.find_all("a", href=True) if "colab.research.google.com" in a["href"]]
    repository = CONFIG["repository"]["url"].removeprefix("https://github.com/")
    notebook = page.replace(".html", ".ipynb")
    wanted = f"https://colab.research.google.com/github/{repository}/blob/{BRANCH}/{notebook}"
    assert opens == ([wanted] if page in CHAPTERS else [])


@pytest.mark.parametrize("page", CHAPTERS)
def test_notebook_to_download_has_no_syntax_of_the_book(html, page):
    (button,) = soup(page).select("a.btn-download-source-button")
    notebook = nbformat.read((html / page).parent / button["href"], as_version=4)
    assert not RAW.search("\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown"))


def test_plain_copies_number_and_link_as_the_site_does(html):
    book, pages = read_book(), {page: soup(page) for page in PAGES}
    numbered = 0
    for name, target in [*book.labels.items(), *book.terms.items()]:
        page, _, anchor = target.url.removeprefix(book.base).partition("#")
        place = pages[page].find(id=anchor)
        assert place is not None, f"{name}: there is no {target.url}"
        if re.search(r"\d\)?$", target.text) and not name.startswith("chapter-"):  # a title may end in a number
            numbered += 1
            assert target.text in " ".join(place.get_text(" ").split()), f"{name} is not {target.text}"
    assert numbered > 100


def theme_css(html: Path) -> str:
    return (html / "_static" / "styles" / "pydata-sphinx-theme.css").read_text("utf8")


def test_search_finds_a_chapter(visit, base):
    found = visit(f"{base}/search.html?q=inertia")
    found.page.wait_for_selector("#search-results li a[href*='2-algorithms/momentum.html']")
    assert found.problems == []


def test_nothing_is_left_to_mend(html):
    for path in html.rglob("*.html"):
        if "_static" not in path.parts:
            text = path.read_text("utf8")
            assert mend(text) == text, path
            assert ("searchindex.js" in text) == (path == html / "search.html"), path
    assert (html / "_static" / "scripts" / "fontawesome.js").stat().st_size < 100_000
    assert "Awesome" not in "".join(re.findall(r"@font-face[^}]*", theme_css(html)))


def test_every_public_name_is_documented(html):
    listed = soup("genindex.html").get_text(" ")
    assert [name for name in bregtutorial.__all__ if not re.search(rf"\b{name}\b", listed)] == []


def test_index_of_statements_has_their_numbers(html):
    index = soup("book/theorems.html")
    links = index.select("td:first-child a.internal")
    numbers = {}
    for page in CHAPTERS:
        for box in soup(page).select("div.proof[id] > p.admonition-title > span.caption-number"):
            numbers[f"{page.removeprefix('book/')}#{box.find_parent('div')['id']}"] = box.get_text().strip()
    assert {link["href"]: link.get_text() for link in links} == numbers


@pytest.mark.parametrize("page", CHAPTERS)
def test_chapter_and_package_link_to_each_other(html, page):
    used = soup(page).select("#the-package-in-this-chapter code")
    assert len(used) > 3
    assert not [code.get_text() for code in used if code.find_parent("a") is None]


def test_docstrings_link_to_chapters(html):
    links = soup("book/api/optimizers.html").select("dl.py a.reference.internal[href^='../2-algorithms/']")
    assert {"../2-algorithms/linbreg.html", "../2-algorithms/adabreg.html"} <= {link["href"] for link in links}


def test_definition_of_a_term_shows_stays_and_goes(visit, base):
    page = visit(f"{base}/book/notation.html").page
    link, tip = page.locator("a.reference[href$='#term-dual-variable']").first, page.get_by_role("tooltip")
    link.hover()
    tip.wait_for()
    assert tip.inner_text().startswith("The vector")
    assert link.get_attribute("aria-describedby") == tip.get_attribute("id")
    tip.hover()
    page.wait_for_timeout(600)  # longer than a definition waits for the pointer to come back
    assert tip.count() == 1
    page.keyboard.press("Escape")
    assert tip.count() == 0
    page.mouse.move(0, 0)
    page.keyboard.press("Tab")
    link.focus()
    tip.wait_for()
    page.keyboard.press("Tab")
    assert tip.count() == 0


def test_site_has_a_map_a_card_and_a_page_for_the_lost(html):
    places = re.findall(r"<loc>([^<]+)</loc>", (html / "sitemap.xml").read_text("utf8"))
    assert set(places) == {CONFIG["html"]["baseurl"] + page for page in PAGES}
    assert f"Sitemap: {CONFIG['html']['baseurl']}sitemap.xml" in (html / "robots.txt").read_text("utf8")
    card = soup(CHAPTERS[0]).find("meta", property="og:image")["content"]
    assert (html / card.removeprefix(CONFIG["html"]["baseurl"])).exists()
    lost = soup("404.html")
    assert lost.base["href"] == urlsplit(CONFIG["html"]["baseurl"]).path
    assert lost.select_one("a[href='book/index.html']")


def test_missing_browser_skips_unless_it_is_required(monkeypatch):
    monkeypatch.delenv("BREGTUTORIAL_REQUIRE_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="make book"):
        missing("the book is not built", "make book")
    monkeypatch.setenv("BREGTUTORIAL_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="make book"):
        missing("the book is not built", "make book")


def test_browser_can_be_named(monkeypatch):
    monkeypatch.setenv("BREGTUTORIAL_CHROMIUM", "/opt/browser")
    assert find_chromium() == "/opt/browser"
