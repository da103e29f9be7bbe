"""The built site in the hand: what scrolls looks so, what is tapped is large, the search leads to the chapter."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
CHAPTER = "book/2-algorithms/adabreg.html"
FINGER = 44  # pixels


def search(visit, base, words):
    """The page of results, when all are there with their lines of text."""
    found = visit(f"{base}/search.html?q={words}", **PHONE)
    found.page.wait_for_function("document.querySelector('.search-summary')?.innerText.includes('finished')")
    found.page.wait_for_load_state("networkidle")
    return found


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("AdaBreg", CHAPTER),
        ("momentum", "book/2-algorithms/momentum.html"),
        ("proximal+operator", "book/1-foundations/proximal-operators.html"),
        ("dead+zone", "book/glossary.html#term-dead-zone"),
        ("parameter_groups", "book/api/parameter-groups.html#bregtutorial.parameter_groups"),
    ],
)
def test_search_begins_with_what_is_named_like_the_question(visit, base, words, first):
    found = search(visit, base, words)
    links = found.page.locator("#search-results li > a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert links[0] == first
    assert len(links) == len(set(links))
    assert found.page.evaluate("document.documentElement.scrollWidth") == 360
    assert found.problems == []


def test_search_shows_sentences_and_what_a_term_means(visit, base):
    found = search(visit, base, "dead+zone")
    lines = found.page.locator("#search-results p.context").all_inner_texts()
    assert "in which a weight is exactly zero" in lines[0]
    assert not [line for line in lines if "\\" in line or ".pdf" in line]


def test_what_scrolls_fades_until_its_end_is_reached(visit, base):
    found = visit(f"{base}/{CHAPTER}", **PHONE)
    found.wait_for_maths()
    for kind in ("pre", "mjx-container"):
        box = found.page.locator(f".bd-article {kind}.bt-more:visible").first.element_handle()
        assert "gradient" in box.evaluate("e => getComputedStyle(e).maskImage")
        box.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
        found.page.wait_for_function("e => !e.classList.contains('bt-more')", arg=box)
        assert box.evaluate("e => getComputedStyle(e).maskImage") == "none"


def test_what_is_tapped_is_large_and_a_slider_has_the_width_of_the_page(visit, base):
    page = visit(f"{base}/{CHAPTER}", **PHONE).page
    small = "all => all.map(e => [e.ariaLabel || e.innerText, e.getBoundingClientRect().height]).filter(e => e[1] < %d)"
    buttons = page.locator(".bd-header-article button:visible, .bt-controls button")
    assert buttons.count() > 5
    assert buttons.evaluate_all(small % FINGER) == []
    folded = page.locator(".bd-article details.hide > summary, .bd-article details.sd-dropdown > summary")
    assert folded.locator("visible=true").evaluate_all(small % FINGER) == []
    assert page.locator(".bt-explorer input[type=range]").first.bounding_box()["width"] > 250


@pytest.mark.parametrize("page", ["genindex.html", "py-modindex.html", "search.html?q=prox", "404.html"])
def test_pages_that_are_not_in_the_contents_fit_a_phone(visit, base, page):
    found = visit(f"{base}/{page}", **PHONE)
    assert found.page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
