"""The exercises of a chapter, read from its cells: statement, stub, check, solution.

No tag is needed. An exercise begins with `{exercise}`; the code up to its solution holds a function whose body is
`...  # your turn: what is asked` and ends with the check of it; the solution is `{solution}`, or what stands between
`{solution-start}` and `{solution-end}`, and its first code cell holds the function that the check passes.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass, field

from nbformat import NotebookNode

from course.blocks import Block, parse

ASKED = re.compile(r"# *your turn[:;]? *(.*)")
CHECKERS = ("check_equal", "check_prox", "check_subgradient", "check_projection", "check_step", "grade")


@dataclass
class Exercise:
    """One exercise as it stands in the chapter; texts are MyST."""

    label: str
    title: str
    statement: list[str]  # the exercise and its hints
    given: list[str] = field(default_factory=list)  # code before the solution
    words: list[str] = field(default_factory=list)  # the solution's text
    solution: list[str] = field(default_factory=list)  # the solution's code

    @property
    def research(self) -> bool:
        """Whether it is an open question."""
        return "research" in self.title


@dataclass(frozen=True)
class Task:
    """The code of an exercise, taken apart."""

    given: list[str]  # before the stub
    header: str  # def …:, with the docstring
    name: str
    asked: str  # what the function shall return
    answer: str  # the body that solves it, not indented
    check: list[str]  # after the stub, without the last expression
    verdict: str  # the last expression: it is a Verdict
    more: list[str]  # what the solution does beyond the function


@dataclass
class Section:
    """The end of a chapter: what stands before the first exercise, the exercises, and what follows the last."""

    before: list[NotebookNode]
    intro: str
    exercises: list[Exercise]
    after: str


def read(cells: list[NotebookNode]) -> Section:
    """Takes the cells of a chapter apart."""
    start = next(i for i, cell in enumerate(cells) if re.search(r"^## Exercises", cell.source, re.MULTILINE))
    lesson, _, rest = cells[start].source.partition("## Exercises")
    before = list(cells[:start])
    if lesson.strip():
        before.append(NotebookNode({**cells[start], "source": lesson.strip()}))
    section, solving = Section(before, "", [], ""), False
    for kind, part in _parts([NotebookNode({**cells[start], "source": rest}), *cells[start + 1 :]]):
        exercise = section.exercises[-1] if section.exercises else None
        if isinstance(part, Block) and part.kind == "exercise":
            section.exercises.append(Exercise(part.label, part.title, [part.source]))
        elif isinstance(part, Block) and part.kind in {"solution-start", "solution-end"}:
            solving = part.kind == "solution-start"
        elif exercise is None:
            section.intro += f"\n\n{part}"
        elif isinstance(part, Block) and part.kind == "solution":
            exercise.words.append(part.body)
        elif isinstance(part, Block) and not solving:
            exercise.statement.append(part.source)
        elif kind == "code":
            (exercise.solution if solving else exercise.given).append(str(part))
        elif not isinstance(part, Block) and part.startswith("## "):
            section.after += part
        elif not isinstance(part, Block):
            exercise.words.append(part)
    return section


def _parts(cells: list[NotebookNode]) -> list[tuple[str, Block | str]]:
    """The code cells, and the directives and texts of the others; a heading begins a text of its own."""
    found: list[tuple[str, Block | str]] = []
    for cell in cells:
        if cell.cell_type == "code":
            found.append(("code", cell.source))
            continue
        for part in parse(cell.source):
            pieces = re.split(r"(?=^## Take-away)", part, flags=re.MULTILINE) if isinstance(part, str) else [part]
            found += [("text", piece) for piece in pieces if isinstance(piece, Block) or piece.strip()]
    return found


def task(exercise: Exercise) -> Task | None:
    """The code of an exercise, or None if it asks for no function that can be filled in."""
    at = next((i for i, source in enumerate(exercise.given) if _stub(source)), None)
    if at is None or not exercise.solution:
        return None
    source, stub = exercise.given[at], _stub(exercise.given[at])
    assert stub is not None
    lines = source.splitlines()
    hole = stub.body[-1].lineno
    header = "\n".join(lines[stub.lineno - 1 : hole - 1])
    asked = ASKED.search(lines[hole - 1])
    rest = ["\n".join(lines[stub.end_lineno :]).strip(), *exercise.given[at + 1 :]]
    check, verdict = _verdict(rest, stub.name)
    answer, more = _answer(exercise, stub)
    return Task(
        given=[part for part in [*exercise.given[:at], "\n".join(lines[: stub.lineno - 1]).strip()] if part],
        header=header,
        name=stub.name,
        asked=asked[1].removeprefix("return ").strip() if asked else "",
        answer=answer,
        check=[part for part in check if part],
        verdict=verdict,
        more=[part for part in [more, *exercise.solution[1:]] if part.strip()],
    )


def _stub(source: str) -> ast.FunctionDef | None:
    """The function of a cell that still has to be written."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and "your turn" in lines[node.body[-1].lineno - 1]:
            return node
    return None


def _verdict(parts: list[str], name: str) -> tuple[list[str], str]:
    """Splits off the expression that checks the function; empty if there is none."""
    tree = ast.parse(parts[-1]).body
    last = tree[-1] if tree else None
    if not isinstance(last, ast.Expr) or name not in ast.dump(last):
        return parts, ""
    lines = parts[-1].splitlines()
    return [*parts[:-1], "\n".join(lines[: last.lineno - 1]).strip()], "\n".join(lines[last.lineno - 1 :])


def _answer(exercise: Exercise, stub: ast.FunctionDef) -> tuple[str, str]:
    """The body that the stub lacks, and what else the solution's first cell does."""
    source = exercise.solution[0]
    lines, tree = source.splitlines(), ast.parse(source).body
    solved = [node for node in tree if isinstance(node, ast.FunctionDef)]
    if not solved:
        return _lambda(exercise, tree), _without(lines, [n for n in tree if _about_verdict(n)])
    if len(solved) > 1:
        raise ValueError(f"{exercise.label}: the first cell of its solution defines {len(solved)} functions, not one")
    (function,) = solved
    body = textwrap.dedent("\n".join(lines[function.body[0].lineno - 1 : function.end_lineno]))
    alias = "" if function.name == stub.name else f"{function.name} = {stub.name}  # as the book calls it"
    more = _without(lines, [function, *(node for node in tree if _about_verdict(node))])
    used = re.search(rf"\b{function.name}\b", "\n".join([more, *exercise.solution[1:]]))
    return _defaults(exercise, stub, function) + body, "\n".join(filter(None, [alias if used else "", more]))


def _defaults(exercise: Exercise, stub: ast.FunctionDef, function: ast.FunctionDef) -> str:
    """The solution may have more arguments than the stub if they have defaults: they become assignments."""
    asked, has = [a.arg for a in stub.args.args], [a.arg for a in function.args.args]
    defaults = function.args.defaults
    if has[: len(asked)] != asked or len(has) - len(asked) > len(defaults):
        raise ValueError(f"{exercise.label}: its stub takes ({', '.join(asked)}), its solution ({', '.join(has)})")
    extra = list(zip(has, [None] * (len(has) - len(defaults)) + list(defaults), strict=True))[len(asked) :]
    return "".join(f"{name} = {ast.unparse(value)}\n" for name, value in extra if value is not None)


def _lambda(exercise: Exercise, tree: list[ast.stmt]) -> str:
    for node in (inner for statement in tree for inner in ast.walk(statement)):
        if isinstance(node, ast.Lambda):
            return f"return {ast.unparse(node.body)}"
    raise ValueError(f"{exercise.label}: the first cell of its solution has neither a function nor a lambda")


def _about_verdict(node: ast.stmt) -> bool:
    """Whether a statement makes, asserts or shows a verdict: the check cell does that."""
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) == "verdict"
    if isinstance(node, ast.Assert):
        return ast.unparse(node.test) == "verdict" or any(f".{name}(" in ast.unparse(node.test) for name in CHECKERS)
    return isinstance(node, ast.Expr) and ast.unparse(node) in {"verdict", "print(verdict)"}


def _without(lines: list[str], gone: list[ast.stmt]) -> str:
    drop = {i for node in gone for i in range(node.lineno - 1, node.end_lineno or node.lineno)}
    kept = "\n".join(line for i, line in enumerate(lines) if i not in drop)
    return re.sub(r"\n{3,}", "\n\n", kept).strip()
