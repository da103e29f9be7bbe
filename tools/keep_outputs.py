"""A plugin for pytest: a chapter that passes under nbval goes into the book's cache and is not run a second time.

    PYTHONPATH=tools pytest -p keep_outputs --nbval-lax book

Only a chapter all of whose code cells ran and passed is kept. nbval runs cells as Jupyter Book would: one kernel a
chapter, in the chapter's folder, from top to bottom.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from pathlib import Path

import pytest
from execute import Run, cache, keep, shorten_errors
from nbval.plugin import IPyNbCell, IPyNbFile

PASSED = pytest.StashKey[list[IPyNbCell]]()
SECONDS = pytest.StashKey[float]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the cache before several processes could want to."""
    cache().list_cache_records()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the cells that passed, and how long they and the start of their kernel took."""
    report = yield
    if isinstance(item, IPyNbCell):
        stash = item.parent.stash
        stash[SECONDS] = stash.get(SECONDS, 0.0) + call.duration
        if call.when == "call" and report.passed:
            stash.setdefault(PASSED, []).append(item)
    return report


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After the last cell of a chapter, keep it if it is complete."""
    last = nextitem is None or nextitem.parent is not item.parent
    if last and isinstance(item, IPyNbCell) and (done := executed(item.parent)):
        keep(done)


def executed(chapter: IPyNbFile) -> Run | None:
    """The chapter with the outputs that nbval has seen, or nothing where a cell is missing."""
    passed, notebook = chapter.stash.get(PASSED, []), copy.deepcopy(chapter.nb)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if len(passed) != len(cells):
        return None
    for count, (cell, seen) in enumerate(zip(cells, passed, strict=True), start=1):
        cell.outputs, cell.execution_count = copy.deepcopy(seen.test_outputs), count
    shorten_errors(notebook)
    return Run(Path(chapter.path), notebook, chapter.stash[SECONDS], "")
