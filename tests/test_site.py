"""The built site in a browser that can reach no other host: it works, moves, links and can be read by everyone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup
from conftest import HTML, ROOT, find_chromium, missing

import bregtutorial

pytestmark = pytest.mark.browser
ENTRIES = re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text("utf8"))
PAGES = [f"{entry}.html" for entry in ENTRIES]
CHAPTERS = [f"{entry}.html" for entry in ENTRIES if (ROOT / f"{entry}.ipynb").exists()]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
MAX_BYTES = 1_000_000
# what the theme and Sphinx do by themselves; every other finding is ours
THEME = {
    *("label-content-name-mismatch", "region"),
    *("aria-allowed-role", "aria-deprecated-role", "aria-required-children"),
}
PHONE = {"viewport": {"width": 400, "height": 800}}
DARK = {"color_scheme": "dark"}


def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup((HTML / page).read_text("utf8"), "html.parser")


@pytest.mark.parametrize("page", PAGES)
def test_page_needs_no_other_host_and_reports_no_error(visit, base, page):
    assert visit(f"{base}/{page}").problems == []


def test_maths_is_drawn_also_from_a_file(visit, html):
    found = visit((html / CHAPTERS[0]).as_uri())
    assert found.page.locator(".math mjx-container").count() > 0
    assert found.page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert found.problems == []


@pytest.mark.parametrize("page", PAGES)
def test_no_formula_fails(visit, base, page):
    found = visit(f"{base}/{page}")
    assert found.page.locator("mjx-merror, [data-mjx-error]").all_inner_texts() == []
    assert found.page.locator(".math:not(:has(mjx-container))").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_page_is_accessible(visit, base, page, scheme):
    axe = Path(pytest.importorskip("axe_playwright_python").__file__).parent / "axe.min.js"
    found = visit(f"{base}/{page}", color_scheme=scheme)
    assert found.page.locator("html").get_attribute("data-theme") == scheme
    found.page.evaluate(axe.read_text("utf8"))
    violations = found.page.evaluate("axe.run()")["violations"]
    ours = [v for v in violations if v["id"] not in THEME]
    assert [(v["id"], [node["html"][:150] for node in v["nodes"][:3]]) for v in ours] == []


@pytest.mark.parametrize("page", PAGES)
def test_phone_does_not_scroll_sideways(visit, base, page):
    found = visit(f"{base}/{page}", **PHONE)
    assert found.page.evaluate("document.documentElement.scrollWidth") <= 400


def explorer(found: Any) -> Any:
    return found.page.locator(".bt-explorer").first


def picture(figure: Any) -> tuple[str, str]:
    """What can be seen, and what is said to those who do not see it."""
    svg = figure.locator("svg").first
    return svg.inner_html(), svg.get_attribute("aria-label")


@pytest.mark.parametrize("page", CHAPTERS)
def test_explorer_moves_by_keyboard(visit, base, page):
    figure = explorer(visit(f"{base}/{page}"))
    slider = figure.get_by_role("slider")
    before, label = picture(figure), figure.locator("output").inner_text()
    slider.focus()
    slider.press("ArrowRight")
    after = picture(figure)
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert slider.get_attribute("aria-valuetext") == figure.locator("output").inner_text() != label
    slider.press("Home")
    assert picture(figure) == before


@pytest.mark.parametrize("page", CHAPTERS)
def test_explorer_moves_by_mouse(visit, base, page):
    figure = explorer(visit(f"{base}/{page}"))
    before = picture(figure)
    slider = figure.get_by_role("slider")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    slider.click(position={"x": box["width"] * 0.8, "y": box["height"] / 2})
    assert picture(figure) != before
    assert int(slider.input_value()) > 0


@pytest.mark.parametrize("page", CHAPTERS)
def test_explorer_plays_and_stops(visit, base, page):
    found = visit(f"{base}/{page}")
    figure = explorer(found)
    button = figure.get_by_role("button", name="Play")
    before = picture(figure)
    button.click()
    assert figure.get_by_role("button", name="Pause").count() == 1
    found.page.wait_for_function("document.querySelector('.bt-explorer input').value >= 2")
    figure.get_by_role("button", name="Pause").click()
    assert picture(figure) != before
    stopped = picture(figure)
    found.page.wait_for_timeout(900)
    assert picture(figure) == stopped


def test_explorer_does_not_play_for_who_asks_for_calm(visit, base):
    figure = explorer(visit(f"{base}/{CHAPTERS[0]}", reduced_motion="reduce"))
    before = picture(figure)
    figure.get_by_role("button", name="Next").click()
    assert picture(figure) != before
    assert figure.get_by_role("slider").input_value() == "1"


def test_links_and_ids_resolve(html):
    pages = {path.resolve(): soup(path) for path in html.rglob("*.html") if "_static" not in path.parts}
    ids = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    lost, seen = [], 0
    for path, page in pages.items():
        for tag in page.find_all(lambda tag: tag.has_attr("href") or tag.has_attr("src")):
            url = urlsplit(str(tag.get("href") or tag.get("src") or ""))
            if url.scheme or url.netloc:
                continue
            seen += 1
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            known = ids.get(target)
            if not target.exists() or (url.fragment and known is not None and unquote(url.fragment) not in known):
                lost.append(f"{path.name}: {url.geturl()}")
    assert seen > 100
    assert lost == []


@pytest.mark.parametrize("page", PAGES)
def test_page_is_light(html, page):
    assert (html / page).stat().st_size <= MAX_BYTES


@pytest.mark.parametrize("page", CHAPTERS)
def test_colab_button_opens_this_chapter(html, page):
    opens = {a["href"] for a in soup(page).find_all("a", href=True) if "colab.research.google.com" in a["href"]}
    repository = CONFIG["repository"]["url"].removeprefix("https://github.com/")
    notebook = page.replace(".html", ".ipynb")
    branch = CONFIG["repository"]["branch"]
    assert opens == {f"https://colab.research.google.com/github/{repository}/blob/{branch}/{notebook}"}


def test_every_public_name_is_documented(html):
    listed = soup("genindex.html").get_text(" ")
    assert [name for name in bregtutorial.__all__ if not re.search(rf"\b{name}\b", listed)] == []


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
