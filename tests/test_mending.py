"""Pages put right: each rule on what the theme writes, and nothing else."""

from __future__ import annotations

import pytest
from mending import RULES, STYLE_RULES, fewer_icons, fewer_styles, lift_styles, mend

THEME = {
    '<summary aria-label="Toggle hidden content">\n<p class="collapsed admonition-title">Show</p>\n'
    '<p class="expanded admonition-title">Hide</p>\n</summary>': (
        '<summary><span class="collapsed admonition-title">Show</span>'
        '<span class="expanded admonition-title">Hide</span></summary>'
    ),
    '<section id="exercise-content">': "<section>",
    '<section class="theorem-content" id="proof-content">': '<section class="theorem-content">',
    '<button class="btn search-button-field x" title="Search" aria-label="Search" data-a="b">': (
        '<button class="btn search-button-field x" title="Search" data-a="b">'
    ),
    '<i class="theme-switch fa-sun" data-mode="light" title="Light"></i>': (
        '<i class="theme-switch fa-sun" data-mode="light" aria-hidden="true"></i>'
    ),
    '<div id="pst-primary-sidebar" class="x">': (
        '<div id="pst-primary-sidebar" role="complementary" aria-label="Contents of the book" class="x">'
    ),
    '<div class="citation" id="id1" role="doc-biblioentry">': '<div class="citation" id="id1" role="listitem">',
    '<img alt="Colab logo" src="../logo.png">': '<img alt="Colab logo" src="../logo.png" width="18" height="18">',
    '<meta property="og:description" content="a &lt;b &gt..." />': (
        '<meta property="og:description" content="a &lt;b..." />'
    ),
    '<script src="../_static/doctools.js?v=1"></script>': '<script defer src="../_static/doctools.js?v=1"></script>',
    '<script src="searchindex.js"></script>': '<script defer src="searchindex.js"></script>',
    '<script data-a="b" src="_static/tabs.js"></script>': '<script data-a="b" defer src="_static/tabs.js"></script>',
}
FINE = (
    '<script src="../_static/documentation_options.js?v=1"></script>',
    '<script defer src="../_static/scroll.js"></script>',
    '<i class="fa-solid fa-bars" title="Menu"></i>',
    '<meta name="description" content="That is all...">',
    '<section id="proof-of-convergence">',
    '<main id="m" class="bd-main" role="main">',  # the search looks for the role
)


@pytest.mark.parametrize("written", THEME)
def test_mended(written):
    unused = set(RULES)
    assert mend(written, unused) == THEME[written]
    assert len(unused) == len(RULES) - 1, "one rule, and no other, has done it"
    assert mend(THEME[written]) == THEME[written], "mending twice changes nothing more"


def test_every_rule_is_shown():
    unused = set(RULES)
    for written in THEME:
        mend(written, unused)
    assert unused == set()


@pytest.mark.parametrize("text", FINE)
def test_left_alone(text):
    assert mend(text) == text


def test_styles_of_figures_move_into_the_head_once():
    figure = '<figure class="bt-figure"><style>.bt-figure{margin:0}</style><svg/></figure>'
    page = f"<head>\n</head><body>{figure}<template><style>a{{}}</style></template>{figure}</body>"
    bare = '<figure class="bt-figure"><svg/></figure>'
    style = "<style>.bt-figure{margin:0}</style>"
    assert lift_styles(page) == (
        f"<head>\n{style}\n</head><body>{bare}<template><style>a{{}}</style></template>{bare}</body>"
    )


def test_icons_that_no_page_shows_are_left_out():
    script = (
        'var p={bars:[4,5,["navicon"],"f0c9","M0"],"file-pdf":[3,4,[],"f1c1",["M1","M2"]],sun:[3,5,[19],"f186","M3"]};'
    )
    assert fewer_icons(script, {"bars"}) == 'var p={bars:[4,5,["navicon"],"f0c9","M0"]};'
    assert fewer_icons(script, {"navicon", "file-pdf"}) == (
        'var p={bars:[4,5,["navicon"],"f0c9","M0"],"file-pdf":[3,4,[],"f1c1",["M1","M2"]]};'
    )
    assert fewer_icons(script, set()) == "var p={};"


def test_the_font_of_the_icons_is_left_out():
    font = "@font-face{font-family:Font Awesome\\ 6 Free;src:url(../vendor/a.woff2)}"
    letters = '.fa-bars:before,.fa-navicon:before{content:"\\f0c9"}'
    written = "a.github:before{color:red;font:var(--fa-font-brands)}a.github:before{content:var(--pst-icon-github)}"
    kept = (
        '.fa-lg{font-size:1.25em}@media print{blockquote:before{content:""}}:root{--fa-font-solid:normal 900 1em/1 x}'
    )
    unused = set(STYLE_RULES)
    assert fewer_styles(font + letters + written + kept, unused) == kept
    assert unused == set()


def test_only_pages_with_formulas_load_mathjax():
    script = '<script defer="defer" src="../vendor/mathjax/startup.js?v=1"></script>'
    head = f'<script>window.MathJax = {{"a": 1}}</script>\n{script}\n'
    assert mend(f"<head>{head}</head><p>no</p>") == "<head></head><p>no</p>"
    formula = '<div class="math notranslate">x</div>'
    assert mend(f"<head>{head}</head>{formula}") == f"<head>{head}</head>{formula}"
