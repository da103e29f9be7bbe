"""Writes the course kit.

    make course                            everything, into _build/course
    make course ARGS='linbreg momentum'    these chapters alone
    make course ARGS='--to ~/week2 linbreg'

student/      notebooks to hand out; exercises are stubs; the quiz without its answers
solution/     the same cells with the exercises solved
instructor/   with hidden tests too (nbgrader's source), and a page of notes beside each notebook
slides/       one HTML file a chapter, which needs no other and no network
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
from book_index import ROOT

from course.deck import deck
from course.editions import EDITIONS, edition
from course.library import Chapter, chapters
from course.notes import notes, questions

FOLDER = ROOT / "_build" / "course"


def write(chapter: Chapter, folder: Path) -> list[Path]:
    """All files of one chapter."""
    written = []
    for kind in EDITIONS:
        path = _at(folder / kind / f"{chapter.path}.ipynb")
        nbformat.write(edition(kind, chapter), path)
        written.append(path)
    texts = {"instructor": (".md", notes), "slides": (".html", deck)}
    for kind, (ending, make) in texts.items():
        path = _at(folder / kind / f"{chapter.path}{ending}")
        path.write_text(make(chapter), "utf8")
        written.append(path)
    return written


def _at(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        "make course", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER", help="where to write (_build/course)")
    parser.add_argument("chapters", nargs="*", help="names of chapters, for instance linbreg; all if there are none")
    args = parser.parse_args(arguments)
    try:
        chosen = chapters(tuple(args.chapters))
    except ValueError as error:
        parser.error(str(error))
    folder = args.to.expanduser().resolve()
    for chapter in chosen:
        write(chapter, folder)
        print(f"{chapter.minutes:4} minutes  {chapter.title}")
    _at(folder / "student" / "quiz.md").write_text(questions(), "utf8")
    print(f"\n{len(chosen)} chapters, {sum(chapter.minutes for chapter in chosen)} minutes: {folder}")
    for kind, what in (("student", "to hand out"), ("solution", "solved"), ("instructor", "hidden tests and notes")):
        print(f"  {kind + '/':12} notebooks, {what}")
    print("  slides/      open in any browser; print to PDF from there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
