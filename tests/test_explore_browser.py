"""Explorers under a reader's hands: keys, mouse, Play, paper, no script, several on one page."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from bregtutorial import plotting
from bregtutorial.explore import frames

pytestmark = pytest.mark.browser
FRAME = 40  # milliseconds
PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><meta charset="utf-8"><title>Explorers</title>
<style>body{{margin:0;background:{background};color:{colour}}}</style><main><h1>Explorers</h1>{body}</main></html>"""


def draw(n):
    fig = Figure(figsize=(5, 2))
    ax = fig.subplots()
    ax.plot(np.arange(6) * n, marker="o", color="#d55e00")
    ax.set(ylim=(0, 20), title=f"slope {n}")
    return fig


def explorer(label="slope", **options):
    return frames(draw, range(5), label=label, alt=f"A line of {label} {{}}.", interval=FRAME, **options).html


@pytest.fixture
def opened(visit, tmp_path):
    """Write the parts into a page, open it as a file and return Playwright's page; no script may have failed."""
    visits = []

    def go(*parts, theme="light", **options):
        background, colour = ("#14181e", "#ced6dd") if theme == "dark" else ("#ffffff", "#222832")
        text = PAGE.format(theme=theme, background=background, colour=colour, body="\n".join(parts))
        (tmp_path / "page.html").write_text(text, "utf8")
        visits.append(visit((tmp_path / "page.html").as_uri(), **options))
        return visits[-1].page

    yield go
    assert [each.problems for each in visits] == [[]] * len(visits)


def state(page, i=0):
    """What explorer `i` shows: alt text, title in the picture, value beside the slider, value that is read aloud."""
    figure = page.locator(".bt-explorer").nth(i)
    title = re.search(r"slope (\d)", figure.locator("svg").text_content())
    slider = figure.locator("input")
    return {
        "alt": figure.locator("svg").get_attribute("aria-label"),
        "title": title and int(title[1]),
        "output": figure.locator("output").text_content(),
        "spoken": slider.get_attribute("aria-valuetext"),
    }


def at(n, label="slope"):
    return {"alt": f"A line of {label} {n}.", "title": n, "output": str(n), "spoken": str(n)}


def hold_the_clock(page):
    """Let the page's time pass by ``page.clock.run_for`` only."""
    page.clock.install(time=0)
    page.clock.pause_at(10_000)


def test_two_explorers_move_by_key_and_by_mouse_each_for_itself(opened):
    page = opened(explorer(), "<p>Between.</p>", explorer(label="steepness"))
    assert [state(page, i) for i in (0, 1)] == [at(0), at(0, "steepness")]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    for key, n in (("ArrowRight", 1), ("ArrowUp", 2), ("ArrowLeft", 1), ("End", 4), ("Home", 0), ("ArrowRight", 1)):
        page.keyboard.press(key)
        assert state(page) == at(n)
    assert state(page, 1) == at(0, "steepness")
    box = page.get_by_role("slider", name="steepness").bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    assert [state(page, i) for i in (0, 1)] == [at(1), at(3, "steepness")]


def test_play_runs_to_the_end_and_pause_stops_it(opened):
    page = opened(explorer(), explorer(label="steepness"))
    hold_the_clock(page)
    button = page.get_by_role("button").first
    assert button.text_content() == "Play"
    button.click()
    assert button.text_content() == "Pause"
    page.clock.run_for(2 * FRAME)
    assert state(page) == at(2)
    button.press("Space")
    assert button.text_content() == "Play"
    page.clock.run_for(5 * FRAME)
    assert state(page) == at(2)
    button.press("Enter")
    page.clock.run_for(10 * FRAME)
    assert [state(page, i) for i in (0, 1)] == [at(4), at(0, "steepness")]
    assert button.text_content() == "Play"
    button.click()  # at the end: from the beginning
    page.clock.run_for(FRAME)
    assert state(page) == at(1)


@pytest.mark.parametrize("how", ["key", "mouse"])
def test_moving_the_slider_stops_the_play(opened, how):
    page = opened(explorer())
    hold_the_clock(page)
    page.get_by_role("button").click()
    if how == "key":
        page.get_by_role("slider").press("ArrowRight")
    else:
        page.get_by_role("slider").click()
    stopped = state(page)
    page.clock.run_for(10 * FRAME)
    assert state(page) == stopped == at(1 if how == "key" else 2)
    assert page.get_by_role("button").text_content() == "Play"


def test_a_value_is_announced_when_asked_for_and_not_with_every_frame(opened):
    page = opened(explorer())
    hold_the_clock(page)
    output, button = page.locator("output"), page.get_by_role("button")
    button.click()
    assert output.get_attribute("aria-live") == "off"
    button.click()
    assert output.get_attribute("aria-live") == "polite"
    page.get_by_role("slider").press("ArrowRight")  # the slider says its value itself
    assert output.get_attribute("aria-live") == "off"


def test_nothing_moves_by_itself_for_readers_who_want_less_motion(opened):
    page = opened(explorer(), reduced_motion="reduce")
    hold_the_clock(page)
    button = page.get_by_role("button")
    for n in (1, 2, 3, 4, 0):
        assert button.text_content() == "Next"
        button.click()
        page.clock.run_for(5 * FRAME)
        assert state(page) == at(n)
    page.emulate_media(reduced_motion="no-preference")
    page.get_by_role("button", name="Play").wait_for()


def test_the_same_explorer_twice_is_two_explorers(opened):
    page = opened(explorer(), explorer())
    page.get_by_role("slider").nth(1).press("End")
    assert [state(page, i) for i in (0, 1)] == [at(0), at(4)]
    hold_the_clock(page)
    page.get_by_role("button").first.click()
    page.clock.run_for(FRAME)
    assert [state(page, i) for i in (0, 1)] == [at(1), at(4)]  # two scripts, but one step
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids)) > 0
    broken = """[...document.querySelectorAll('use')].filter(e => {
        const target = document.getElementById(e.getAttribute('href').slice(1));
        return !target || target.closest('svg') !== e.closest('svg');
    }).length"""
    assert page.evaluate(broken) == 0


def test_an_explorer_that_is_put_into_the_page_later_works_as_in_jupyterlab(opened):
    page = opened("<div id='out'></div>")
    insert = """source => {
        const host = document.createElement('div');
        host.innerHTML = source;
        for (const old of [...host.querySelectorAll('script')]) {
            const script = document.createElement('script');
            script.textContent = old.textContent;
            old.replaceWith(script);
        }
        document.getElementById('out').append(host);
    }"""
    for _ in range(2):  # a second view of the same output
        page.evaluate(insert, explorer())
    page.get_by_role("slider").first.press("ArrowRight")
    page.get_by_role("slider").last.press("End")
    assert [state(page, i) for i in (0, 1)] == [at(1), at(4)]


def test_without_scripts_the_first_picture_and_its_value_remain(opened):
    page = opened(explorer(), java_script_enabled=False)
    assert state(page) == at(0)
    assert page.locator("svg").is_visible()
    assert page.locator("output").is_visible()
    assert not page.locator("button").is_visible()
    assert not page.locator("input").is_visible()


def test_paper_shows_the_picture_and_its_value_without_controls(opened):
    page = opened(explorer())
    page.get_by_role("slider").press("End")
    page.emulate_media(media="print")
    assert page.locator("svg").is_visible()
    assert page.locator("output").is_visible()
    assert not page.locator("button").is_visible()
    assert not page.locator("input").is_visible()


def test_text_with_tags_stays_text(opened):
    nasty = "</script><!--<script>window.hurt = 1"
    page = opened(explorer(label=nasty, caption=nasty), explorer())
    page.get_by_role("slider").first.press("End")
    assert [state(page, i) for i in (0, 1)] == [at(4, nasty), at(0)]
    assert page.evaluate("window.hurt") is None
    assert page.locator("figcaption").text_content() == nasty


@pytest.mark.parametrize(
    ("theme", "text", "page_colour"), [("light", (34, 40, 50), 255), ("dark", (206, 214, 221), 20)]
)
def test_text_and_exact_zeros_take_the_page_s_colours(opened, theme, text, page_colour):
    w = np.ones((9, 9))
    w[4, 4] = 0
    page = opened(plotting.show(plotting.weight_image(w), alt="A hole in the middle.").html, theme=theme)
    assert page.evaluate("getComputedStyle(document.querySelector('svg text')).fill") == f"rgb{text}"
    box = page.locator("svg image").first.bounding_box()
    with Image.open(io.BytesIO(page.screenshot())) as screen:
        centre = int(box["x"] + box["width"] / 2), int(box["y"] + box["height"] / 2)
        assert screen.getpixel(centre)[0] == page_colour
        beside = int(centre[0] + box["width"] / 9), centre[1]
        assert screen.getpixel(beside)[:3] == (0xD5, 0x5E, 0x00)


def test_on_a_telephone_everything_fits_and_is_large_enough_to_touch(opened):
    page = opened(explorer(label="threshold λ"), viewport={"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for role in ("button", "slider"):
        box = page.get_by_role(role).bounding_box()
        assert box["height"] >= 44
        assert box["x"] + box["width"] <= 360
    sizes = """[...document.querySelectorAll('svg text')].map(e =>
        parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.getScreenCTM().a)"""
    assert min(page.evaluate(sizes)) >= 9


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(opened, theme):
    axe = Path(pytest.importorskip("axe_playwright_python").__file__).parent / "axe.min.js"
    page = opened(explorer(), explorer(label="steepness", caption="A caption."), theme=theme)
    page.add_script_tag(path=axe)
    found = page.evaluate("axe.run()")
    assert [violation["id"] for violation in found["violations"]] == []
    assert len(found["passes"]) > 5
