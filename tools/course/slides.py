"""The marked cells of a chapter as slides.

A cell is marked by Jupyter's own metadata, `slideshow: {slide_type: slide}` for text and `subslide` for a figure: the
marks are edited in JupyterLab's property inspector. Of a marked text the slides show what is short and has weight:
statements without their proofs, sentences with bold words, formulas, lists, tables, what to predict. All else that it
says goes into the speaker's notes. Title, debt, objectives, exercises and take-away need no mark. A chapter without
any mark shows its pictures and what it asks to predict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nbformat import NotebookNode

from course.blocks import Block, parse
from course.exercises import read
from course.library import Chapter

LIMIT = 105  # words of one slide; a displayed formula takes the room of some
FORMULA = 3  # counted at both its ends
SHORT = 8  # lines of code that a slide has room for, beside what they print
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z$*“\[])")
HEADING = re.compile(r"^#{2,} (.+)$")
WHOLE = re.compile(r"^(\||[-*] |\d+\. |>|```)|\$\$")  # tables, lists, quotes, code, formulas
LED_IN = re.compile(r"\$\$|[-*] |1\. ")  # a formula or a list needs the sentence above it
PROOFS = {"prf:proof", "dropdown", "index"}
LINK = re.compile(r"\[([^\[\]]+)\]\(https?://[^()\s]+\)")
MARKS = {"slide", "subslide", "fragment"}


@dataclass
class Slide:
    """One slide: Markdown, stored outputs, and notes for who speaks."""

    title: str
    text: list[str] = field(default_factory=list)
    outputs: list[NotebookNode] = field(default_factory=list)
    code: str = ""
    notes: list[str] = field(default_factory=list)


def marked(cell: NotebookNode) -> bool:
    """Whether a cell has a place in the slides."""
    return cell.metadata.get("slideshow", {}).get("slide_type") in MARKS


def slides(chapter: Chapter) -> list[Slide]:
    """All slides of a chapter, in order."""
    section = read(chapter.notebook.cells)
    tasks = [f"{i}. {_plain(e.title, chapter)}" for i, e in enumerate(section.exercises, start=1)]
    after, _, _ = section.after.removeprefix("## Take-away").partition("\n## Sources")
    return [
        *_opening(chapter),
        *_lesson(_with_marks(section.before[1:]), chapter),
        Slide("Exercises", ["\n".join(tasks), "Hints and checks stand in the notebook."]),
        Slide("Take-away", [_plain(after, chapter).strip()]),
    ]


def _opening(chapter: Chapter) -> Iterator[Slide]:
    blocks = parse(chapter.notebook.cells[0].source)
    text = "\n\n".join(_plain(part, chapter) for part in blocks if isinstance(part, str))
    box = next(part for part in blocks if isinstance(part, Block) and part.kind == "admonition")
    _, *debt = text.split("\n\n")
    yield Slide(chapter.title, notes=debt[1:])
    yield Slide("The debt", [debt[0].replace("**The debt.** ", "", 1)])
    yield Slide("In this chapter", [_plain(box.body, chapter)])


def _plain(text: str, chapter: Chapter) -> str:
    """Without MyST and without links: nobody follows them while somebody speaks."""
    return LINK.sub(r"\1", chapter.plain(text))


def _with_marks(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The cells as they are; if none is marked, copies with pictures and predictions marked, eight at most."""
    if any(map(marked, cells)):
        return cells
    shown = [cell for cell in cells if "bt-figure" in str(cell.get("outputs")) or "**Predict" in cell.source][:8]
    mark = {"slideshow": {"slide_type": "slide"}}
    return [NotebookNode({**cell, "metadata": NotebookNode(mark)}) if cell in shown else cell for cell in cells]


def _lesson(cells: list[NotebookNode], chapter: Chapter) -> Iterator[Slide]:
    title, shown = chapter.title, False  # shown: the cell above is on a slide, with the text that reads it aloud
    for i, cell in enumerate(cells):
        if cell.cell_type == "code":
            shown = marked(cell)
            if shown:
                yield _figure(title, cell, cells[i + 1] if i + 1 < len(cells) else None, chapter)
            continue
        for heading, parts in _chunks(cell.source):
            title = _plain(heading, chapter) if heading else title
            if marked(cell):
                left = [part for part in parts if heading or not (shown and _reads_aloud(part))]
                yield from _packed(title, left, chapter, begins=bool(heading))


def _reads_aloud(part: Block | str) -> bool:
    """Whether a paragraph below a figure speaks of it: prose does."""
    return isinstance(part, str) and not WHOLE.search(part) and not part.startswith("**Predict")


def _chunks(source: str) -> list[tuple[str, list[Block | str]]]:
    """A text by its headings; what comes before the first has none: it belongs to the section that runs already."""
    found: list[tuple[str, list[Block | str]]] = [("", [])]
    for part in parse(source):
        for paragraph in _paragraphs(part) if isinstance(part, str) else [part]:
            if isinstance(paragraph, str) and (heading := HEADING.match(paragraph)):
                found.append((heading[1], []))
            else:
                found[-1][1].append(paragraph)
    return found


def _paragraphs(text: str) -> list[str]:
    """A text at its empty lines, but not at those of code."""
    found: list[str] = []
    for piece in re.split(r"\n\s*\n", text):
        if found and found[-1].count("```") % 2:
            found[-1] += f"\n\n{piece}"
        elif piece.strip():
            found.append(piece)
    return found


def _packed(title: str, parts: list[Block | str], chapter: Chapter, *, begins: bool) -> Iterator[Slide]:
    """The weighty parts, as many on a slide as fit; a section without any begins with its first sentences."""
    slide, room, before = Slide(title), LIMIT, ""
    for part in parts:
        kept, rest = _weigh(part, chapter)
        if before and LED_IN.match(kept):
            kept = f"{SENTENCE.split(before)[-1]}\n\n{kept}"
        before = "" if kept else rest
        size = len(kept.split()) + FORMULA * kept.count("$$")
        if kept and slide.text and size > room:
            yield slide
            slide, room = Slide(title), LIMIT
        if kept:
            slide.text.append(kept)
            room -= size
        if rest:
            slide.notes.append(rest)
    if not slide.text and begins and slide.notes:
        slide.text = [" ".join(SENTENCE.split(slide.notes[0])[:2])]
    if slide.text:
        yield slide


def _weigh(part: Block | str, chapter: Chapter) -> tuple[str, str]:
    """What of a paragraph or a directive is shown, and what is only said."""
    if isinstance(part, Block):
        return ("", "") if part.kind in PROOFS else (_plain(part.source, chapter), "")
    text = _plain(part, chapter)
    if WHOLE.search(text) or text.startswith("**Predict"):
        return text, ""
    sentences = SENTENCE.split(text)
    kept = [sentence for sentence in sentences if "**" in sentence]
    return " ".join(kept), " ".join(sentence for sentence in sentences if sentence not in kept)


def _figure(title: str, cell: NotebookNode, following: NotebookNode | None, chapter: Chapter) -> Slide:
    """What a cell shows; the text that reads it aloud begins below it and goes on in the notes."""
    pictures = [output for output in cell.outputs if "text/html" in output.get("data", {})]
    short = len(cell.source.splitlines()) <= SHORT
    slide = Slide(title, outputs=pictures or list(cell.outputs), code=cell.source if short and not pictures else "")
    if following is not None and following.cell_type == "markdown":
        ((_, parts), *_) = _chunks(following.source)
        said = [_plain(part, chapter) for part in parts if isinstance(part, str) and _reads_aloud(part)]
        sentences = [SENTENCE.split(paragraph) for paragraph in said]
        first, later = sentences[0][:2] if said else [], [s for some in sentences for s in some]
        slide.text = [" ".join(first), *(s for s in later if "**" in s and s not in first)]
        slide.notes = [" ".join(s for s in some if s not in first and "**" not in s) for some in sentences]
    if not (short or pictures):
        slide.notes.append(f"```python\n{cell.source}\n```")
    return slide
