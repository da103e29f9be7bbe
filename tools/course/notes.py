"""A page for the instructor beside each notebook: minutes, exercises with points, misconceptions."""

from __future__ import annotations

import re
from functools import lru_cache

from book_index import ROOT

from course.blocks import parse
from course.editions import points
from course.exercises import Exercise, read, task
from course.hidden import why_not
from course.library import Chapter

PAGES = ROOT / "book" / "instructors"
SECTION = re.compile(r"^## \{doc\}`[^`]*?([a-z0-9-]+)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
FIGURE_WORDS = 60  # a figure or a printed table takes about as long as this many words
EXERCISES_SHARE = 0.4  # of a chapter's minutes


def notes(chapter: Chapter) -> str:
    """The page as Markdown."""
    exercises = read(chapter.notebook.cells).exercises
    return f"""# {chapter.title}: notes for the instructor

{chapter.part}, about {chapter.minutes} minutes. [The chapter online]({chapter.url}).

## Minutes

The chapter's own {chapter.minutes} minutes, shared among its sections by length; exercises get two fifths.

| section | minutes |
|---|---:|
{_rows(minutes(chapter))}

## Exercises and points

{_points(exercises, chapter)}

## Common misconceptions

{chapter.plain(misconceptions().get(chapter.name, "")).strip() or "None is recorded for this chapter."}
"""


def minutes(chapter: Chapter) -> list[tuple[str, int]]:
    """Section by section; the sum is what the chapter states."""
    sizes: dict[str, int] = {}
    title = "Introduction"
    for cell in read(chapter.notebook.cells).before:
        if cell.cell_type == "code":
            sizes[title] = sizes.get(title, 0) + FIGURE_WORDS * bool(cell.outputs)
            continue
        for piece in re.split(r"(?=^## )", cell.source, flags=re.MULTILINE):
            heading = re.match(r"## (.+)", piece)
            title = chapter.plain(heading[1]) if heading else title
            sizes[title] = sizes.get(title, 0) + len(piece.split())
    lesson = round(chapter.minutes * (1 - EXERCISES_SHARE))
    rows = _shared(sizes, lesson)
    return [*rows, ("Exercises and take-away", chapter.minutes - lesson)]


def _shared(sizes: dict[str, int], whole: int) -> list[tuple[str, int]]:
    """Whole minutes that add up: what has been given away is rounded, not each share."""
    total, done, given, rows = sum(sizes.values()), 0, 0, []
    for title, size in sizes.items():
        done += size
        share = round(whole * done / total) - given
        given += share
        rows.append((title, share))
    return rows


def _rows(rows: list[tuple[str, int]]) -> str:
    return "\n".join(f"| {title} | {share} |" for title, share in rows)


def _points(exercises: list[Exercise], chapter: Chapter) -> str:
    lines = ["| exercise | code | words | checked by | hidden test |", "|---|---:|---:|---|---|"]
    for exercise in exercises:
        code = task(exercise)
        machine = points(exercise, code=True) if code else 0
        words = points(exercise, code=False) + (0 if code else points(exercise, code=True)) if exercise.words else 0
        how, hidden = "you", ""
        if code and code.verdict:
            how = "`" + re.sub(r"\(.*", "", code.verdict, flags=re.DOTALL) + "`"
            hidden = why_not(exercise.label) or "other numbers"
        lines.append(f"| {chapter.plain(exercise.title)} | {machine} | {words} | {how} | {hidden} |")
    return "\n".join(lines)


@lru_cache
def misconceptions() -> dict[str, str]:
    """What book/instructors says of each chapter, by the chapter's name."""
    return {name: text.strip() for name, text in SECTION.findall((PAGES / "misconceptions.md").read_text("utf8"))}


def questions() -> str:
    """The quiz without its answers."""
    text = (PAGES / "quiz.md").read_text("utf8").partition("\n## ")[2]
    return "# Quiz\n\n## " + "\n\n".join(part for part in parse(text) if isinstance(part, str)) + "\n"
