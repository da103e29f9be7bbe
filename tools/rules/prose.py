r"""Rules for the text of a chapter: the template that all chapters share.

Title and debt, a box with objectives, prerequisites and minutes, sections, then Exercises, Take-away, Sources.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from rules.cells import code, tags

NOTATION = Path(__file__).resolve().parent.parent.parent / "book" / "notation.toml"
MACROS = tomllib.loads(NOTATION.read_text("utf8"))["macros"]
WORDS = range(1_500, 2_801)
TEACHING_CELLS = range(8, 16)
EXERCISES = range(3, 6)
BULLETS = range(3, 6)
MIN_PREDICTIONS = 2
MIN_HINTS = 2
ENDING = ["Exercises", "Take-away", "Sources"]
FENCE = r"^ *(?::{3,}|`{3,})"


def markdown(notebook: NotebookNode) -> list[str]:
    """The text of each markdown cell."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def text(notebook: NotebookNode) -> str:
    """All markdown as one text."""
    return "\n\n".join(markdown(notebook))


def section(notebook: NotebookNode, title: str) -> str:
    """The text from `## title` to the next `##`; empty if there is no such section."""
    found = re.search(rf"^## {re.escape(title)} *\n(.*?)(?=^## |\Z)", text(notebook), re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def has_a_title(notebook: NotebookNode) -> Iterator[str]:
    """The first cell has a label for links and the only title."""
    first = next(iter(markdown(notebook)), "")
    if notebook.cells[0].cell_type != "markdown" or not re.match(r"\([a-z0-9-]+\)=\n+# \S", first):
        yield "its first cell does not begin with (label)= and # Title"
    if len(re.findall(r"^# \S", text(notebook), re.MULTILINE)) != 1:
        yield "it does not have exactly one # title"


def says_what_it_asks_and_gives(notebook: NotebookNode) -> Iterator[str]:
    """Objectives, prerequisites and minutes stand in a box before the first section."""
    start = text(notebook).partition("\n## ")[0]
    found = re.search(rf"{FENCE}\{{admonition\}} In this chapter\n(.*?)^ *(?::{{3,}}|`{{3,}}) *$", start, re.M | re.S)
    box = found[1] if found else ""
    for part in (r"\*\*You will\*\*", r"\*\*You need\*\*", r"\*\*Time\*\*.*\d+ minutes"):
        if not re.search(part, box, re.DOTALL):
            yield f"the box 'In this chapter' before the first section lacks {part}"


def ends_as_all_do(notebook: NotebookNode) -> Iterator[str]:
    """Exercises, take-away and sources, in this order; the sources cite."""
    titles = [title.strip() for title in re.findall(r"^## (.+)$", text(notebook), re.MULTILINE)]
    if titles[-3:] != ENDING:
        yield f"its last sections are not {', '.join(ENDING)}"
    bullets = len(re.findall(r"^[-*] ", section(notebook, "Take-away"), re.MULTILINE))
    if bullets not in BULLETS:
        yield f"its take-away has {bullets} bullets, not {BULLETS[0]} to {BULLETS[-1]}"
    if "{cite" not in section(notebook, "Sources"):
        yield "its sources cite nothing"


def exercises_have_solutions(notebook: NotebookNode) -> Iterator[str]:
    """Three to five exercises, each with a label, hints and exactly one solution."""
    whole = text(notebook)
    asked = re.findall(rf"{FENCE}\{{exercise\}}.*\n *:label: *(\S+)", whole, re.MULTILINE)
    started = re.findall(rf"{FENCE}\{{solution-start\}} *(\S+)", whole, re.MULTILINE)
    solved = started + re.findall(rf"{FENCE}\{{solution\}} *(\S+)", whole, re.MULTILINE)
    if len(re.findall(rf"{FENCE}\{{exercise\}}", whole, re.MULTILINE)) != len(asked):
        yield "an exercise has no :label: in its first line"
    if len(asked) not in EXERCISES:
        yield f"it has {len(asked)} exercises, not {EXERCISES[0]} to {EXERCISES[-1]}"
    if Counter(asked) != Counter(solved):
        yield f"exercises {sorted(asked)} and solutions {sorted(solved)} do not match"
    if len(started) != len(re.findall(rf"{FENCE}\{{solution-end\}}", whole, re.MULTILINE)):
        yield "a solution-start has no solution-end"
    for label, part in zip(asked, re.split(rf"{FENCE}\{{exercise\}}", whole, flags=re.MULTILINE)[1:], strict=False):
        if len(re.findall(rf"{FENCE}\{{dropdown\}} *Hint", part, re.MULTILINE)) < MIN_HINTS:
            yield f"exercise {label} has fewer than {MIN_HINTS} hints ({{dropdown}} Hint 1: …)"


def asks_for_predictions(notebook: NotebookNode) -> Iterator[str]:
    """Who has guessed first sees more."""
    if len(re.findall(r"\bPredict, then run\b", text(notebook))) < MIN_PREDICTIONS:
        yield f"it asks fewer than {MIN_PREDICTIONS} times to predict, then run"


def has_the_right_length(notebook: NotebookNode) -> Iterator[str]:
    """One sitting: words with solutions, and code cells before the exercises without silent ones."""
    words = len(text(notebook).split())
    if words not in WORDS:
        yield f"it has {words:,} words, not {WORDS[0]:,} to {WORDS[-1]:,}"
    sources = [cell.source if cell.cell_type == "markdown" else "" for cell in notebook.cells]
    end = next((i for i, source in enumerate(sources) if re.search(r"^## Exercises", source, re.M)), len(sources))
    lesson = NotebookNode(cells=notebook.cells[:end])
    teaching = [cell for cell in code(lesson)[1:] if "remove-cell" not in tags(cell)]
    if len(teaching) not in TEACHING_CELLS:
        yield f"it has {len(teaching)} code cells before the exercises, not {TEACHING_CELLS[0]} to {TEACHING_CELLS[-1]}"


def no_macros(notebook: NotebookNode) -> Iterator[str]:
    """Colab and JupyterLab know neither the macros of _config.yml nor an equation outside dollars."""
    whole = text(notebook)
    used = sorted(macro for macro in MACROS if re.search(rf"\\{macro}(?![A-Za-z])", whole))
    if used:
        yield f"it uses TeX macros that Colab does not know: {', '.join(used)}"
    if re.search(r"\\begin\{(align|equation|gather)\*?\}", whole):
        yield "it has an equation outside $$ … $$ (write aligned or gathered inside), which Colab does not show"


RULES = (
    has_a_title,
    says_what_it_asks_and_gives,
    ends_as_all_do,
    exercises_have_solutions,
    asks_for_predictions,
    has_the_right_length,
    no_macros,
)
