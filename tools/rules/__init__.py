"""What a chapter must satisfy: a list of rules, each a function from a notebook to what is wrong with it, in words.

A rule looks at the notebook alone. `tests/test_notebooks.py` shows that each of them can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nbformat import NotebookNode

from rules import cells, figures, prose

Rule = Callable[[NotebookNode], Iterator[str]]
RULES: tuple[Rule, ...] = (*cells.RULES, *figures.RULES, *prose.RULES)


def problems(notebook: NotebookNode) -> list[str]:
    """What is wrong with a chapter; empty if nothing is."""
    return [problem for rule in RULES for problem in rule(notebook)]
