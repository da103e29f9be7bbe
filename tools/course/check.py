"""Runs what the kit hands out: stubs must fail as they say, solutions must pass, hidden tests too.

    make course-check                     every chapter; some minutes each, for the solutions train networks
    make course-check ARGS='linbreg'      one of them

One kernel runs a chapter's lesson, then the exercises of the student edition, then those of the instructor edition.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from book_index import ROOT
from execute import disarm_output_widgets
from nbclient import NotebookClient
from nbformat import NotebookNode

from course.editions import edition
from course.library import Chapter, chapters

CELL_TIMEOUT = 1200


def together(chapter: Chapter) -> NotebookNode:
    """Lesson, stubs and solutions in one notebook; the metadata say which is which."""
    notebook = edition("student", chapter)
    for cell in notebook.cells:
        cell.metadata["course"] = "student" if "nbgrader" in cell.metadata else "lesson"
    for cell in edition("instructor", chapter).cells:
        if "nbgrader" in cell.metadata:
            cell.metadata["course"], cell["id"] = "instructor", f"i-{cell.id}"[:64]
            notebook.cells.append(cell)
    return notebook


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
