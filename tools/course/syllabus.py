"""The tables of sessions on book/instructors: what is taught when, with the minutes that the chapters state."""

from __future__ import annotations

import tomllib

from book_index import ROOT

from course.exercises import read
from course.library import Chapter, chapters

PLANS = ROOT / "book" / "instructors" / "plans.toml"


def syllabus(name: str) -> str:
    """One course as a table in MyST."""
    plans, known = tomllib.loads(PLANS.read_text("utf8")), {chapter.name: chapter for chapter in chapters()}
    if name not in plans:
        raise ValueError(f"no course is called {name!r} in {PLANS.name}; there are {', '.join(plans)}")
    rows, total = [], 0
    for session in plans[name]:
        taught = [_find(chapter, known, session["title"]) for chapter in session["chapters"]]
        minutes = sum(chapter.minutes for chapter in taught)
        total += minutes
        links = ", ".join(f"{{doc}}`/{chapter.page}` ({chapter.minutes})" for chapter in taught)
        tasks = ", ".join(f"{{ref}}`{_title(label, taught)} <{label}>`" for label in session["hand_in"])
        rows.append(f"| **{session['title']}** | {links} | {minutes} | {tasks} |")
    head = "| session | chapters (minutes) | minutes | hand in |\n|---|---|---:|---|"
    return "\n".join([head, *rows, f"| **all** | | {total} | |"])


def _title(label: str, taught: list[Chapter]) -> str:
    """The title of an exercise of one of the chapters of a session."""
    for chapter in taught:
        for exercise in read(chapter.notebook.cells).exercises:
            if exercise.label == label:
                return exercise.title.replace("$", "")
    raise ValueError(f"{label} is no exercise of {', '.join(chapter.name for chapter in taught)}")


def _find(name: str, known: dict[str, Chapter], session: str) -> Chapter:
    if name not in known:
        raise ValueError(f"{session}: no chapter is called {name}")
    return known[name]
