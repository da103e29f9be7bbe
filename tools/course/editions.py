"""The notebooks of a course: student, solution and instructor edition, cell by cell the same.

They differ only between `### BEGIN SOLUTION` and `### END SOLUTION`, in answers written in words, and in the hidden
tests that the instructor edition has between `### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS`. Cells carry
nbgrader's metadata (schema 3); the instructor edition is what nbgrader calls the source.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course.exercises import Exercise, Section, Task, read, task
from course.hidden import hidden_tests
from course.library import Chapter

EDITIONS = ("student", "solution", "instructor")
SOLUTION = ("### BEGIN SOLUTION", "### END SOLUTION")
HIDDEN = ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS")
IN_WORDS = "YOUR ANSWER HERE"  # nbgrader's own words
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
HOW = (
    "*{part}. [Read this chapter online]({url}). The exercises stand at the end. Write where it says `YOUR CODE HERE` "
    "or `YOUR ANSWER HERE` and run the cell below: it says which property fails, where, and where the next hint is.*"
)


def points(exercise: Exercise, code: bool) -> int:
    """Two points for code that passes, one for words; twice as many where the answer is open."""
    return (2 if code else 1) * (2 if exercise.research else 1)


def edition(kind: str, chapter: Chapter) -> NotebookNode:
    """One chapter as a notebook for `kind`, one of EDITIONS."""
    if kind not in EDITIONS:
        raise ValueError(f"kind must be one of {', '.join(EDITIONS)}, got {kind!r}")
    section = read(chapter.notebook.cells)
    cells = [*_lesson(section, chapter, kind)]
    cells[0].source += "\n\n" + HOW.format(part=chapter.part, url=chapter.url)
    for exercise in section.exercises:
        cells += _exercise(exercise, chapter, kind)
    cells.append(_markdown(f"{chapter.name}-take-away", chapter.plain(section.after)))
    notebook = new_notebook(cells=cells, metadata=chapter.notebook.metadata)
    nbformat.validate(notebook)
    return notebook


def _lesson(section: Section, chapter: Chapter, kind: str) -> Iterator[NotebookNode]:
    for cell in section.before:
        if cell.cell_type == "markdown":
            yield new_markdown_cell(chapter.plain(cell.source), id=cell.id)
            continue
        tags = cell.metadata.get("tags", [])
        metadata = {"tags": tags} if tags else {}
        if FOLDED & set(tags):
            metadata["jupyter"] = {"source_hidden": True}
        kept = {} if kind == "student" else {"outputs": cell.outputs, "execution_count": cell.execution_count}
        yield new_code_cell(cell.source, id=cell.id, metadata=metadata, **kept)
    yield _markdown("exercises", f"## Exercises\n\n{chapter.plain(section.intro)}".strip())


def _exercise(exercise: Exercise, chapter: Chapter, kind: str) -> Iterator[NotebookNode]:
    statement = chapter.plain("\n\n".join(exercise.statement))
    yield _markdown(exercise.label, statement, _grader(exercise.label, locked=True))
    code = task(exercise)
    if code:
        yield from _code(exercise, code, kind)
    else:
        yield from _given(exercise, exercise.given)
        if exercise.solution:
            yield _open(exercise, "# YOUR CODE HERE", exercise.solution, kind)
    if exercise.words:
        words = "\n\n".join(chapter.plain(part) for part in exercise.words) if kind != "student" else IN_WORDS
        worth = points(exercise, code=False) + (0 if code else points(exercise, code=True))
        name = f"{exercise.label}-words"
        yield _markdown(name, words, _grader(name, solution=True, grade=True, points=worth))


def _code(exercise: Exercise, code: Task, kind: str) -> Iterator[NotebookNode]:
    yield from _given(exercise, code.given)
    graded = {} if code.verdict else {"grade": True, "points": points(exercise, code=True)}
    yield _cell(exercise, "answer", _answer(exercise, code, kind), solution=True, **graded)
    if not code.verdict:
        yield from _given(exercise, code.check, "check")
    else:
        yield from _given(exercise, code.check[:-1], "helper")
        lines = [*(part + "\n\n" for part in code.check[-1:]), _check(code)]
        if kind == "instructor" and (hidden := hidden_tests(exercise.label, code)):
            lines.append("\n" + "\n".join([HIDDEN[0], hidden, HIDDEN[1]]))
        yield _cell(exercise, "check", "".join(lines), grade=True, locked=True, points=points(exercise, code=True))
    if code.more:
        yield _open(exercise, "# YOUR EXPERIMENTS HERE", code.more, kind)


def _answer(exercise: Exercise, code: Task, kind: str) -> str:
    if kind == "student":
        wanted = f": {code.asked}" if code.asked else ""
        body = f'# YOUR CODE HERE{wanted}\nraise NotImplementedError("{code.name} is not written yet")'
    else:
        body = "\n".join([SOLUTION[0], code.answer, SOLUTION[1]])
    return f"{code.header}\n{textwrap.indent(body, '    ')}"


def _check(code: Task) -> str:
    """The learner reads the verdict, nbgrader the assertion."""
    return f'verdict = {code.verdict}\nprint(verdict)\nassert verdict, "not yet: the verdict says why"'


def _given(exercise: Exercise, sources: list[str], name: str = "given") -> Iterator[NotebookNode]:
    for i, source in enumerate((source for source in sources if source), start=1):
        yield _cell(exercise, f"{name}-{i}", source, locked=True)


def _open(exercise: Exercise, stub: str, solution: list[str], kind: str) -> NotebookNode:
    """Room for code that no check looks at."""
    solved = "\n".join([SOLUTION[0], "\n\n\n".join(solution), SOLUTION[1]])
    return _cell(exercise, "more", stub if kind == "student" else solved, solution=True)


def _grader(name: str, **values: bool | int) -> dict[str, object]:
    base = {"grade": False, "solution": False, "locked": False, "task": False}
    return {"schema_version": 3, "grade_id": name, **base, **values}


def _cell(exercise: Exercise, suffix: str, source: str, **values: bool | int) -> NotebookNode:
    name = f"{exercise.label}-{suffix}"
    return new_code_cell(source, id=name[:64], metadata={"nbgrader": _grader(name, **values)})


def _markdown(name: str, source: str, nbgrader: dict[str, object] | None = None) -> NotebookNode:
    return new_markdown_cell(source, id=name[:64], metadata={"nbgrader": nbgrader} if nbgrader else {})
