"""Explorers that compute: what their scripts say is what the package says, and every hand can move them."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup

from bregtutorial import explore
from bregtutorial.explore.live import source
from bregtutorial.explore.playground import REGULARIZERS
from bregtutorial.growth import Growth, load
from bregtutorial.inverse_scale_space import inverse_scale_space

browser = pytest.mark.browser
PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><meta charset="utf-8"><title>Explorers</title>
<style>body{{margin:0;background:{background};color:{colour}}}</style><main><h1>Explorers</h1>{body}</main></html>"""
# every moving part with the numbers of its path, or its place and text
PARTS = """[...document.querySelectorAll('[data-part]')].map(g => {
    const e = g.querySelector('path, text');
    return [g.dataset.part, e.getAttribute('d') ?? `M${e.getAttribute('x')} ${e.getAttribute('y')}`];
})"""


def problem():
    """Sparse regression in which both paths do something."""
    rng = np.random.default_rng(3)
    A, truth = rng.standard_normal((15, 25)) / 15**0.5, np.zeros(25)
    truth[[3, 11, 17]] = [2.0, -1.5, 1.0]
    return A, A @ truth + 0.05 * rng.standard_normal(15), truth


def grown(rows=False):
    """A record of growth that nobody trained: weights wake at random, and some fall asleep again."""
    rng = np.random.default_rng(1)
    masks = {"1": rng.random((5, 24, 36)), "2": rng.random((5, 7, 24))}
    masks = {name: mask < np.linspace(0.02, 0.4, 5)[:, None, None] for name, mask in masks.items()}
    masks["1"][:, 3] = False
    masks = {name: mask.any(2) if rows else mask for name, mask in masks.items()}
    return Growth(masks, {"name": "a/b", "data": {"name": "noise"}})


EXPLORERS = {
    "playground": explore.playground,
    "paths": lambda: explore.paths(*problem()),
    "weights": lambda: explore.growth(grown(), epoch=3),
    "rows": lambda: explore.growth(grown(rows=True), epoch=1),
}


@functools.cache
def made(name):
    """One explorer of each kind, for all tests that do not change it."""
    return EXPLORERS[name]()


@pytest.fixture
def opened(visit, tmp_path):
    """Write an explorer into a page, open it as a file and return Playwright's page; no script may have failed."""
    visits = []

    def go(*parts, theme="light", **options):
        background, colour = ("#14181e", "#ced6dd") if theme == "dark" else ("#ffffff", "#222832")
        text = PAGE.format(theme=theme, background=background, colour=colour, body="\n".join(p.html for p in parts))
        (tmp_path / "page.html").write_text(text, "utf8")
        visits.append(visit((tmp_path / "page.html").as_uri(), **options))
        return visits[-1].page

    yield go
    assert [each.problems for each in visits] == [[]] * len(visits)


def said(page):
    return page.locator("output").first.text_content()


def points(d):
    """The end points of a path, absolute, whether it is written in steps or in places."""
    at, found = np.zeros(2), []
    for command, numbers in re.findall(r"([MLlhv])([^MLlhvz]*)", d):
        x = [float(n) for n in re.findall(r"-?\d*\.?\d+", numbers)]
        for k in range(0, len(x), 1 if command in "hv" else 2):
            step = [x[k], 0] if command == "h" else [0, x[k]] if command == "v" else x[k : k + 2]
            at = at + step if command in "lhv" else np.array(step)
            found.append(at)
    return np.array(found).reshape(-1, 2)


# --- the closed forms -------------------------------------------------------------------------------------------------
@browser
def test_the_script_s_prox_and_distance_are_the_package_s(opened):
    v, u = 3 * torch.randn(2, 60, 2, dtype=torch.float64)
    v[:3] = torch.tensor([[0.0, 0.0], [1.0, 0.4], [-0.3, 2.0]], dtype=torch.float64)
    u[30:] = u[30:].abs()  # with L1NonNegative both finite and infinite distances
    lam = 0.1 + 2 * torch.rand(60, dtype=torch.float64)
    compute = f"""([rules, vs, us, lams]) => {{{source("playground.js")}
        return rules.map(rule => vs.map((v, i) => {{
            const w = prox(rule, v, lams[i]), p = w.map((x, j) => (v[j] - x) / lams[i]);
            const d = distance(rule, us[i], w, p);
            return [...w, d === Infinity ? -1 : d];
        }}));}}"""
    rules = [rule for _, rule in REGULARIZERS.values()]
    found = opened(made("playground")).evaluate(compute, [rules, v.tolist(), u.tolist(), lam.tolist()])
    for (reg, _), rows in zip(REGULARIZERS.values(), torch.tensor(found, dtype=torch.float64), strict=True):
        assert 0 < (rows[:, 0] == 0).sum() < 60
        for i, (*w_js, d_js) in enumerate(rows):
            w = reg.prox(v[i : i + 1], lam[i].item())
            assert torch.equal(torch.stack(w_js) == 0, w[0] == 0)
            torch.testing.assert_close(torch.stack(w_js), w[0], rtol=0, atol=1e-13)
            p, other = (v[i : i + 1] - w) / lam[i], u[i : i + 1]
            d = (reg.value(other) - reg.value(w) - (p * (other - w)).sum()).item()
            assert d_js.item() == pytest.approx(-1 if np.isinf(d) else d, abs=1e-8)


@browser
def test_the_script_s_paths_are_exact(opened):
    from sklearn.linear_model import Lasso

    A, f, _ = problem()
    page = opened(made("paths"))
    compute = f"""([lams, ts]) => {{{source("paths.js")}
        const data = JSON.parse(document.querySelector('script').textContent.match(/^var data=(.*);$/m)[1]);
        return [data.index, lams.map(lam => lasso(data, lam)), ts.map(t => flow(data, t))];}}"""
    lams, ts = [0.08, 0.3, 0.7, 1.5], [0.2, 0.7, 3.0, 19.0]
    index, lasso, flow = page.evaluate(compute, [lams, ts])
    path = inverse_scale_space(A, f)
    for t, state in zip(ts, flow, strict=True):
        w, p = path.at(t)
        np.testing.assert_allclose(state["p"], p, atol=2e-3)
        np.testing.assert_allclose(state["w"], w[index], atol=1e-4)
        assert state["residual"] == pytest.approx(np.linalg.norm(A @ w - f), abs=1e-3)
    for lam, state in zip(lams, lasso, strict=True):
        w = Lasso(alpha=lam / len(f), fit_intercept=False, tol=1e-12, max_iter=10**6).fit(A, f).coef_
        S = w != 0
        np.testing.assert_allclose(state["w"], w[index], atol=1e-3)
        assert state["residual"] == pytest.approx(np.linalg.norm(A @ w - f), abs=1e-3)
        best = np.linalg.lstsq(A[:, S], f, rcond=None)[0]
        assert state["bias"] == pytest.approx(np.linalg.norm(w[S] - best), abs=2e-3)


@browser
@pytest.mark.parametrize("name", EXPLORERS)
def test_without_a_script_the_picture_is_the_same(opened, name):
    drawn = opened(made(name)).evaluate(PARTS)
    still = opened(made(name), java_script_enabled=False)
    page = BeautifulSoup(made(name).html, "html.parser")
    for (part, d), group in zip(drawn, page.select("[data-part]"), strict=True):
        assert part == group["data-part"]
        element = group.find(["path", "text"])
        before = points(element.get("d", "") if element.name == "path" else f"M{element['x']} {element['y']}")
        before, after = before[(before > -9).all(axis=1)], points(d)  # a part that is empty lies outside the picture
        assert len(after) == 0 or np.abs(after[:, None] - before).sum(axis=2).min(axis=1).max() < 0.5, part
        assert len(before) == 0 or np.abs(before[:, None] - after).sum(axis=2).min(axis=1).max() < 0.5, part
    assert said(still) == page.output.text
    assert page.svg["aria-label"].endswith(page.output.text)
    assert not still.locator("input").first.is_visible()


# --- under a reader's hands -------------------------------------------------------------------------------------------
@browser
def test_the_playground_follows_keys_mouse_and_menu(opened):
    page = opened(explore.playground(v=(2.0, 0.6)))
    assert said(page) == BeautifulSoup(explore.playground(v=(2.0, 0.6)).html, "html.parser").output.text
    handle = page.get_by_role("button", name="v: ")
    handle.focus()
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowUp"):
        page.keyboard.press(key)
    assert "v = (1.90, 1.20), w = (0.90, 0.20)" in said(page)
    assert page.locator("output").get_attribute("aria-live") == "polite"
    box = page.locator("svg").bounding_box()
    held = handle.bounding_box()
    page.mouse.move(held["x"] + 22, held["y"] + 22)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    page.mouse.up()
    assert "v lies in the dead zone: w = 0." in said(page)
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_role("combobox").select_option("L1NonNegative")
    assert "D(u, w) = ∞" in said(page)
    slider = page.get_by_role("slider")
    slider.press("Home")
    assert said(page).startswith("λ = 0.10: ")
    assert slider.get_attribute("aria-valuetext") == said(page)
    assert page.locator("svg").get_attribute("aria-label") == f"L1NonNegative with {said(page)}"


@browser
def test_the_paths_are_played_and_compared(opened):
    page = opened(made("paths"))
    page.clock.install(time=0)
    page.clock.pause_at(10_000)
    slider, button = page.get_by_role("slider"), page.get_by_role("button")
    slider.press("Home")
    assert said(page).count("0 non-zeros") == 2
    button.click()
    page.clock.run_for(150 * 30)
    assert button.text_content() == "Pause"
    button.click()
    assert slider.input_value() == "30"
    assert page.locator("output").get_attribute("aria-live") == "polite"
    page.get_by_role("combobox").select_option(index=1)
    counts = re.findall(r"(\d+) non-zeros", said(page))
    assert counts[0] == counts[1] != "0"


@browser
def test_a_network_grows_as_it_was_recorded(opened):
    record = load("mnist-mlp/linbreg-0.1")
    page = opened(explore.growth(record, epoch=0, neuron=1))
    epoch, neuron = page.get_by_role("slider", name="epoch"), page.get_by_role("slider", name="neuron")
    for _ in range(7):
        epoch.press("ArrowRight")
    box, map_ = page.locator("svg").bounding_box(), page.locator("[data-part=layer0-0]").bounding_box()
    assert map_["width"] > 0.8 * box["width"]
    neuron.press("End")
    neuron.press("ArrowLeft")
    mask = record.masks["1"][7, 198]
    awake = [f"{m[7].any(axis=1).sum()} of {m.shape[1]}" for m in record.masks.values()]
    assert said(page).startswith("Epoch 7: ")
    assert f"and {', '.join(awake)} neurons. Neuron 199 reads {mask.sum()} of 784 pixels" in said(page)
    assert f"{(mask & ~record.masks['1'][6, 198]).sum()} of them new" in said(page)


@browser
def test_a_click_on_the_map_chooses_the_neuron(opened):
    page = opened(made("weights"))
    axes = page.evaluate("JSON.parse(document.querySelector('script').textContent.match(/^var data=(.*);$/m)[1]).axes")
    (x0, dx, y0, dy), box = axes["layer0"]["map"], page.locator("svg").bounding_box()
    scale = 96 / 72
    page.mouse.click(box["x"] + scale * (x0 + 2 * dx), box["y"] + scale * (y0 + dy))  # third in the second line
    assert "Neuron 23 reads" in said(page)
    assert page.get_by_role("slider", name="neuron").input_value() == "23"


@browser
def test_reduced_motion_steps_instead_of_playing(opened):
    page = opened(made("paths"), reduced_motion="reduce")
    page.clock.install(time=0)
    page.clock.pause_at(10_000)
    before = int(page.get_by_role("slider").input_value())
    page.get_by_role("button", name="Next").click()
    page.clock.run_for(2_000)
    assert int(page.get_by_role("slider").input_value()) == before + 1


@browser
@pytest.mark.parametrize("name", ["playground", "paths", "weights"])
def test_on_a_telephone_on_paper_and_for_axe(opened, name):
    axe = Path(pytest.importorskip("axe_playwright_python").__file__).parent / "axe.min.js"
    page = opened(made(name), theme="dark", viewport={"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    sizes = """[...document.querySelectorAll('svg text')].map(e =>
        parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.getScreenCTM().a)"""
    assert min(page.evaluate(sizes)) >= 9
    page.add_script_tag(path=axe)
    assert [violation["id"] for violation in page.evaluate("axe.run()")["violations"]] == []
    page.emulate_media(media="print")
    assert page.locator("svg").first.is_visible()
    assert not page.locator("input, select, button").first.is_visible()
    assert page.locator("output").first.is_visible()


@browser
def test_the_same_explorer_twice_is_two_explorers(opened):
    page = opened(made("playground"), made("playground"))
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids)) > 0
    page.get_by_role("slider").last.press("End")
    first, last = page.locator("output").all_text_contents()
    assert first.startswith("λ = 1.00")
    assert last.startswith("λ = 2.00")


# --- what is refused --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: explore.playground("L2"), "reg must be one of L1, GroupL2, .* got 'L2'"),
        (lambda: explore.playground(lam=0.0), r"lam must be in \[0.1, 2\]"),
        (lambda: explore.playground(u=(0.0, 4.0)), r"u must be a point of the plane .* got \(0.0, 4.0\)"),
        (lambda: explore.growth(grown(), epoch=5), r"epoch must be in \[0, 4\], the epochs of the record, got 5"),
        (lambda: explore.growth(grown(), neuron=25), r"neuron must be in \[1, 24\], .* got 25"),
        (lambda: explore.growth(Growth({"1": np.ones((1, 2, 5), bool)}, {})), "must read square images, got 5 inputs"),
        (lambda: explore.paths(np.eye(2), np.ones(2), np.ones(3)), r"truth must have a weight for every column"),
        (lambda: explore.paths(np.eye(2), np.ones(2), np.ones(2), until=0.5), "until must be a time after the first"),
    ],
)
def test_explorers_name_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_equal_explorers_are_equal_and_all_are_small():
    assert EXPLORERS["rows"]().html == made("rows").html
    assert all(len(made(name).html.encode()) < 60_000 for name in EXPLORERS)
