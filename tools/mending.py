"""Puts right what the theme and Sphinx's extensions write that browsers, screen readers or validators object to.

A rule that finds nothing in the whole book is a warning: the next version of a theme may not need it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


class Rule(NamedTuple):
    """What is looked for, what takes its place, and why."""

    pattern: re.Pattern[str]
    replacement: str
    why: str
    always: bool  # whether every book has it


def rule(pattern: str, replacement: str, why: str, *, always: bool = True) -> Rule:
    """A rule over several lines."""
    return Rule(re.compile(pattern, re.DOTALL), replacement, why, always)


RULES = (
    rule(
        r'<summary aria-label="Toggle hidden content">\s*<p class="collapsed ([^"]*)">([^\n]*)</p>\s*'
        r'<p class="expanded ([^"]*)">([^\n]*)</p>\s*</summary>',
        r'<summary><span class="collapsed \1">\2</span><span class="expanded \3">\4</span></summary>',
        "a summary holds phrases, no paragraphs, and is called what it says (custom.css has its look)",
    ),
    rule(
        r' id="(?:(?:exercise|solution|proof)-content|proof)"',
        "",
        "sphinx-proof and sphinx-exercise give all their boxes the same id",
    ),
    rule(
        r'( class="btn search-button-field[^"]*" title="Search") aria-label="Search"',
        r"\1",
        "the button shows its shortcut, too, and is called what it shows",
    ),
    rule(
        r'(<i class="theme-switch[^>]*?)\s+title="[^"]*">',
        r'\1 aria-hidden="true">',
        "the button has a name of its own, which the titles of its three icons contradict",
    ),
    rule(
        r'<div id="pst-primary-sidebar" class="',
        '<div id="pst-primary-sidebar" role="complementary" aria-label="Contents of the book" class="',
        "all that a page shows lies in a landmark",
    ),
    rule(
        r'(<div class="citation" id="[^"]*") role="doc-biblioentry"',
        r'\1 role="listitem"',
        "the role is deprecated; the entries are those of a list",
    ),
    rule(
        r'(<img alt="Colab logo" src="[^"]*")>',
        r'\1 width="18" height="18">',
        "pictures have a size before they are there",
    ),
    rule(
        r'(<meta [^>]*content="[^"]*?)\s*&[a-z]*\.\.\."',
        r'\1..."',
        "a description that was cut inside a character",
        always=False,
    ),
    rule(
        r'<script((?: data-[\w-]+="[^"]*")*) '
        r'src="((?:[^"]*_static/(?!documentation_options)|[^"]*searchindex\.js)[^"]*)"></script>',
        r'<script\1 defer src="\2"></script>',
        "the text does not wait for scripts; they run in the same order when it is there",
    ),
)
# Font Awesome draws the theme's icons as SVG. The theme brings its font, too: 300 kB, loaded and never seen.
STYLE_RULES = (
    rule(r"@font-face\{[^{}]*Awesome[^{}]*\}", "", "the font"),
    rule(r'\.fa-[\w-]+:before(?:,\.fa-[\w-]+:before)*\{content:"[^"]*"\}', "", "its letters, two thousand rules"),
    rule(
        r"[^{}]*\{[^{}]*(?:font:var\(--fa-font|content:var\(--pst-icon)[^{}]*\}", "", "where the theme writes with it"
    ),
)
# only the page of search results searches; the index is most of what the others would load
SEARCH = re.compile(r'<script src="[^"]*(?:_static/searchtools|_static/language_data|searchindex)\.js"></script>\s*')
# and only a page with formulas draws them; myst-nb asks for MathJax on every page that has a code cell
MATHS = re.compile(r"<script>window\.MathJax = .*?</script>\s*|<script [^>]*/mathjax/[^>]*></script>\s*")
HOME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta http-equiv="refresh" content="0; url={target}">
<link rel="canonical" href="{base}{target}">
</head>
<body><p><a href="{target}">{title}</a></p></body>
</html>
"""
STYLE = re.compile(r'(<figure class="bt-figure[^>]*>)(<style>.*?</style>)', re.DOTALL)
ICON = re.compile(r'(?:"[\w-]+"|\w+):\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?')


def lift_styles(page: str) -> str:
    """A figure carries its style along; on a page the head is the place for it, and once is enough."""
    styles = dict.fromkeys(style for _, style in STYLE.findall(page))
    return STYLE.sub(r"\1", page).replace("</head>", "\n".join([*styles, "</head>"]), 1)


def apply(rules: tuple[Rule, ...], text: str, unused: set[Rule] | None) -> str:
    """A text with every rule applied; rules that found something are taken out of `unused`."""
    for each in rules:
        text, count = each.pattern.subn(each.replacement, text)
        if count and unused is not None:
            unused.discard(each)
    return text


def mend(page: str, unused: set[Rule] | None = None) -> str:
    """A page put right."""
    page = lift_styles(apply(RULES, page, unused))
    return page if re.search(r'class="[^"]*\bmath\b', page) else MATHS.sub("", page)


def fewer_styles(css: str, unused: set[Rule] | None = None) -> str:
    """The theme's style sheet without Font Awesome's font."""
    return apply(STYLE_RULES, css, unused)


def fewer_icons(script: str, used: set[str]) -> str:
    """Font Awesome with the icons that the site shows: 60 of 1,500 kB."""

    def keep(found: re.Match[str]) -> str:
        names = {found[0].partition(":")[0], *found[1].split(",")}
        return found[0] if {name.strip('"') for name in names} & used else ""

    return ICON.sub(keep, script).replace(",}", "}")


def mend_files(out: Path) -> set[Rule]:
    """Puts right every page of a site, the theme's style sheet and its icons; returns the rules that found nothing."""
    pages = [path for path in out.rglob("*.html") if "_static" not in path.parts]
    unused = {each for each in RULES + STYLE_RULES if each.always}
    for path in pages:
        text = path.read_text("utf8")
        path.write_text(mend(text if path == out / "search.html" else SEARCH.sub("", text), unused), "utf8")
    scripts = [out / "_static" / "scripts" / f"{name}.js" for name in ("pydata-sphinx-theme", "sphinx-book-theme")]
    used = {name for path in pages + scripts for name in re.findall(r"\bfa-([a-z0-9-]+)", path.read_text("utf8"))}
    awesome = out / "_static" / "scripts" / "fontawesome.js"
    awesome.write_text(fewer_icons(awesome.read_text("utf8"), used), "utf8")
    css = out / "_static" / "styles" / "pydata-sphinx-theme.css"
    css.write_text(fewer_styles(css.read_text("utf8"), unused), "utf8")
    shutil.rmtree(out / "_static" / "vendor" / "fontawesome", ignore_errors=True)
    return unused


def mend_site(app: Sphinx, exception: Exception | None) -> None:
    """The last step of a build."""
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    # the redirection of sphinx_external_toc is one line without a language or a title
    title, target = app.config.html_title, f"{app.config.root_doc}.html"
    (out / "index.html").write_text(HOME.format(title=title, target=target, base=app.config.html_baseurl), "utf8")
    for each in mend_files(out):
        LOGGER.warning("tools/mending.py: nothing is left to mend for %r; drop it: %s", each.pattern.pattern, each.why)
