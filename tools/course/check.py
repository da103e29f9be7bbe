"""Runs what the kit hands out: stubs fail as they say, solutions pass, hidden tests refuse answers learnt by heart.

    make course-check                     every chapter; some minutes each, for the solutions train networks
    make course-check ARGS='linbreg'      one of them

One kernel runs a chapter's lesson, then the exercises of the student edition, then those of the instructor edition.
After each of these it notes what the solution returns in the visible check, and returns the same in the hidden one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from book_index import ROOT
from execute import disarm_output_widgets
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from course.editions import HIDDEN, edition
from course.exercises import read, task
from course.library import Chapter, chapters

CELL_TIMEOUT = 1200
LEARNS = """_solved, _answers = {name}, []
def {name}(*arguments):
    _answers.append(_solved(*arguments))
    return _answers[-1]
{visible}"""
RECITES = """import itertools as _itertools
_again = _itertools.cycle(_answers)
{name} = lambda *arguments: next(_again)
{hidden}"""
FORGETS = "{name} = _solved"


def together(chapter: Chapter) -> NotebookNode:
    """Lesson, stubs and solutions in one notebook; the metadata say which is which."""
    notebook = edition("student", chapter)
    for cell in notebook.cells:
        cell.metadata["course"] = "student" if "nbgrader" in cell.metadata else "lesson"
    answers = {f"{e.label}-check": code.name for e in read(chapter.notebook.cells).exercises if (code := task(e))}
    for cell in edition("instructor", chapter).cells:
        if "nbgrader" in cell.metadata:
            notebook.cells.append(cell)
            if HIDDEN[0] in cell.source:
                notebook.cells += by_heart(cell, answers[cell.metadata.nbgrader.grade_id])
            cell.metadata["course"], cell["id"] = "instructor", f"i-{cell.id}"[:64]
    return notebook


def by_heart(check: NotebookNode, name: str) -> Iterator[NotebookNode]:
    """Cells that put in the place of an answer what it returned in the visible check; the second must fail."""
    visible, _, hidden = check.source.partition(HIDDEN[0])
    for kind, source in {"learns": LEARNS, "recites": RECITES, "forgets": FORGETS}.items():
        filled = source.format(name=name, visible=visible, hidden=hidden)
        yield new_code_cell(filled, id=f"{kind}-{check.id}"[:64], metadata={"course": kind})


def problems(notebook: NotebookNode) -> Iterator[str]:
    """What went otherwise than it should in an executed notebook."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        errors = [output for output in cell.outputs if output.output_type == "error"]
        said = "".join(output.get("text", "") for output in cell.outputs)
        if cell.metadata.course == "student" and cell.metadata.nbgrader.grade and not cell.metadata.nbgrader.solution:
            if [error.ename for error in errors] != ["AssertionError"] or "is not written yet" not in said:
                found = errors[0].ename if errors else "no error"
                yield f"{cell.id}: a stub must fail its check because it is not written, but there was {found}: {said}"
        elif cell.metadata.course == "recites":
            if [error.ename for error in errors] != ["AssertionError"]:
                yield f"{cell.id}: the hidden test lets answers pass that know the visible cases only"
        elif errors and "raises-exception" not in cell.metadata.get("tags", []):
            yield f"{cell.id} ({cell.metadata.course}): {errors[0].ename}: {errors[0].evalue}"


def run(chapter: Chapter) -> list[str]:
    """Executes a chapter and says what is wrong."""
    notebook = together(chapter)
    NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        allow_errors=True,
        extra_arguments=["--IPKernelApp.log_level=40"],
        resources={"metadata": {"path": str(ROOT / "_build")}},
    ).execute()
    return list(problems(notebook))


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks the chapters that are named, or all."""
    parser = argparse.ArgumentParser("make course-check", description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*")
    disarm_output_widgets()
    failed = False
    for chapter in chapters(tuple(parser.parse_args(arguments).chapters)):
        found = run(chapter)
        print(f"{'FAILED' if found else 'passed':6}  {chapter.title}", *found, sep="\n        ", flush=True)
        failed |= bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
