"""Every page in Chromium: what it weighs, whether it jumps, what fails, and what axe-core finds in both themes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from audit.findings import Section

MAX_KB = 1_000
MAX_SHIFT = 0.25  # beyond it is poor, below 0.1 good; lines settle when the browser has drawn their formulas
PHONE = {"width": 360, "height": 800}
DESK = {"width": 1280, "height": 1000}
SHIFTS = """
window.shift = 0;
new PerformanceObserver(list => list.getEntries().forEach(e => { if (!e.hadRecentInput) window.shift += e.value; }))
  .observe({type: "layout-shift", buffered: true});
"""
UNDRAWN = "[...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container')).length"
UNSIZED = "[...document.images].filter(e => !(e.hasAttribute('width') && e.hasAttribute('height'))).map(e => e.src)"
# formulas have the page's colours and a name from outside: axe is spared their thousands of insides
SIMPLIFY = "document.querySelectorAll('mjx-container').forEach(e => e.replaceChildren())"


def kind(url: str) -> str:
    """Which of three sums a file belongs to."""
    return "fonts" if ".woff" in url else "MathJax" if "/mathjax/" in url else "page"


def load(browser: Any, address: str) -> tuple[Any, Counter[str], list[str]]:
    """Opens a page with an empty cache: it, the bytes that came, and what went wrong."""
    context = browser.new_context(viewport=DESK, reduced_motion="reduce")
    page, weight, problems, urls = context.new_page(), Counter[str](), list[str](), dict[str, str]()
    page.set_default_timeout(180_000)
    page.add_init_script(SHIFTS)
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.responseReceived", lambda e: urls.update({e["requestId"]: e["response"]["url"]}))
    wire.on("Network.loadingFinished", lambda e: weight.update({kind(urls[e["requestId"]]): e["encodedDataLength"]}))
    page.on("response", lambda r: problems.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.on("requestfailed", lambda r: problems.append(f"failed: {r.url}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.goto(address, wait_until="load")
    page.wait_for_function(f"{UNDRAWN} === 0")
    page.wait_for_load_state("networkidle")
    return page, weight, problems


def axe(page: Any, scheme: str) -> list[str]:
    """The rules that a page breaks in one theme, each with the first element that does."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
    found = page.evaluate("axe.run(document, {preload: false, resultTypes: ['violations']})")["violations"]
    return [f"{scheme}: {v['id']}, {len(v['nodes'])} times, as in `{v['nodes'][0]['html'][:120]}`" for v in found]


def look(browser: Any, base: str, name: str, script: str) -> tuple[tuple[str, ...], list[str]]:
    """The row of one page, and its problems."""
    page, weight, problems = load(browser, f"{base}/{name}")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_timeout(500)
    shift = page.evaluate("window.shift")
    problems += [f"an image without width and height: {source}" for source in page.evaluate(UNSIZED)]
    page.set_viewport_size(PHONE)
    width = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size(DESK)
    page.evaluate(SIMPLIFY)
    page.evaluate(script)
    problems += axe(page, "light") + axe(page, "dark")
    page.context.close()
    kilobytes = {part: weight[part] / 1000 for part in ("page", "MathJax", "fonts")}
    problems += [f"it is {width} px wide on a phone of {PHONE['width']}"] if width > PHONE["width"] else []
    problems += [f"it jumps by {shift:.3f} while it loads"] if shift > MAX_SHIFT else []
    problems += [f"it weighs {kilobytes['page']:.0f} kB"] if kilobytes["page"] > MAX_KB else []
    row = (name, *(f"{value:.0f}" for value in kilobytes.values()), f"{shift:.3f}", str(len(problems)))
    return row, [f"{name}: {problem}" for problem in problems]


def pages(browser: Any, base: str, names: list[str], node: Path) -> Section:
    """The section of the report."""
    note = (
        "Kilobytes on the wire with an empty cache, the sum of layout shifts, axe's findings (all rules, both themes)."
    )
    section = Section("Pages", note, ("page", "kB page", "kB MathJax", "kB fonts", "shift", "problems"))
    script = (node / "axe-core" / "axe.min.js").read_text("utf8")
    # axe does not read MathML, so it takes a header that is a formula for an empty one
    script += ";axe.configure({rules: [{id: 'empty-table-header', selector: 'th:not(:has(mjx-container))'}]});"
    for name in names:
        row, problems = look(browser, base, name, script)
        section.rows.append(row)
        section.problems += problems
        print(*row, *problems, sep="\n  ", flush=True)
    return section
