"""Slides as one HTML file that needs no other: style, script, formulas and their fonts are inside."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import lru_cache
from pathlib import Path

import markdown_it
from book_index import ROOT
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode

from course.library import Chapter
from course.slides import Slide, slides

PARTS = Path(__file__).resolve().parent / "deck"
MATHJAX = ROOT / "book" / "_static" / "vendor" / "mathjax"
COMPONENTS = ("startup", "core", "input/tex", "output/chtml", "output/chtml/fonts/tex", "a11y/assistive-mml")
# fonts that few decks need, and the commands that ask for them
RARE = {"Calligraphic": "mathcal", "Fraktur": "mathfrak", "SansSerif": "mathsf", "Script": "mathscr"}
RARE |= {"Typewriter": "mathtt", "BoldItalic": "boldsymbol"}
SETTINGS = {
    "loader": {"load": []},
    "startup": {"typeset": True},
    "tex": {"inlineMath": [["\\(", "\\)"]], "displayMath": [["\\[", "\\]"]], "packages": ["base", "ams", "newcommand"]},
    "options": {"skipHtmlTags": ["script", "style", "pre", "code", "svg"]},
}


def deck(chapter: Chapter) -> str:
    """The slides of a chapter as HTML."""
    found = slides(chapter)
    body = "\n".join(_section(i, slide, chapter, len(found)) for i, slide in enumerate(found, start=1))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(chapter.title)}: slides</title>
<style>{(PARTS / "deck.css").read_text("utf8")}</style>
</head>
<body>
<main>
{body}
</main>
{mathjax(body)}
<script>{(PARTS / "deck.js").read_text("utf8")}</script>
</body>
</html>
"""


def mathjax(text: str) -> str:
    """MathJax with the fonts that a text needs, as scripts."""
    fonts = {}
    for path in sorted((MATHJAX / "output/chtml/fonts/woff-v2").glob("*.woff")):
        name = path.stem.removeprefix("MathJax_")
        if all(rare not in name or command in text for rare, command in RARE.items()):
            fonts[name] = base64.b64encode(path.read_bytes()).decode()
    settings = f"window.MathJax = {json.dumps(SETTINGS)};MathJax.loader.ready = () => {{}};"
    sources = [settings, *map(_component, COMPONENTS), f"const FONTS = {json.dumps(fonts)};", _last()]
    return "\n".join(f"<script>{source}</script>" for source in sources)


@lru_cache
def _component(name: str) -> str:
    return (MATHJAX / f"{name}.js").read_text("utf8").replace("</script", "<\\/script")


def _last() -> str:
    return (PARTS / "mathjax.js").read_text("utf8")


def _section(number: int, slide: Slide, chapter: Chapter, total: int) -> str:
    if number == 1:
        about = f"{chapter.part} · about {chapter.minutes} minutes"
        inside = f'<h1>{_inline(slide.title)}</h1><p class="quiet">{about}</p>'
        inside += (
            f'<p class="quiet">From <a href="{chapter.url}">the book</a>. Arrows turn, <kbd>n</kbd> shows notes.</p>'
        )
    else:
        code = f"<pre><code>{html.escape(slide.code)}</code></pre>" if slide.code else ""
        shown = _outputs(slide.outputs)
        inside = f"<h2>{_inline(slide.title)}</h2>{code}{shown}<div>{_markdown(slide.text)}</div>"
    kind = "title" if number == 1 else "figure" if "bt-figure" in str(slide.outputs) else "words"
    notes = f"<aside>{_markdown(slide.notes)}</aside>" if any(slide.notes) else ""
    return (
        f'<section id="slide-{number}" class="{kind}"><div class="inside">{inside}</div>{notes}'
        f'<span class="number">{number} / {total}</span></section>'
    )


def _outputs(outputs: list[NotebookNode]) -> str:
    """Pictures as they are; what is printed in between is one block, however many times the cell printed."""
    found, printed = "", ""
    for data in (output.get("data", {"text/plain": output.get("text", "")}) for output in outputs):
        if "text/html" in data:
            found += f'<div class="output">{data["text/html"]}</div>'
        else:
            printed += data.get("text/plain", "").rstrip() + "\n"
    return found + (f'<div class="output"><pre>{html.escape(printed)}</pre></div>' if printed else "")


@lru_cache
def _parser() -> markdown_it.MarkdownIt:
    def formula(content: str, options: dict[str, bool]) -> str:
        left, right = ("\\[", "\\]") if options["display_mode"] else ("\\(", "\\)")
        return f"{left}{html.escape(content)}{right}"

    parser = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table")
    return parser.use(dollarmath_plugin, renderer=formula, double_inline=True)


def _markdown(parts: list[str]) -> str:
    return str(_parser().render("\n\n".join(parts)))


def _inline(text: str) -> str:
    return re.sub(r"</?a[^>]*>", "", str(_parser().renderInline(text)))
