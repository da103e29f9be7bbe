"""The chapters as files: the template, honest outputs, alt text. And that each rule can fail."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import nbformat
import notebooks
import pytest
import rules
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from rules import cells, figures, prose
from rules.cells import CHECKED

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text("utf8"))
CHAPTERS = sorted((ROOT / "book").rglob("*.ipynb"))
TITLE = """(tiny)=
# A tiny chapter

The debt.

:::{admonition} In this chapter
:class: tip
**You will** see. **You need** nothing. **Time** about 5 minutes.
:::
"""
EXERCISE = """:::{{exercise}} One
:label: ex-{n}
Do it.
:::

:::{{dropdown}} Hint 1: a nudge
:::

:::{{dropdown}} Hint 2: the formula
:::

:::{{solution}} ex-{n}
:class: dropdown
Done.
:::
"""
END = "## Take-away\n- one\n- two\n- three\n\n## Sources\n{cite:t}`bungert2022bregman`"
ALT = 'role="img" aria-label="The loss falls in every epoch."'
FIGURE = f'<figure class="bt-figure"><svg {ALT}></svg></figure>'
EXPLORER = f'<figure class="bt-figure bt-explorer"><svg {ALT}></svg><input type="range" max="4"></figure>'


def shown(source: str, html: str, *tags: str) -> NotebookNode:
    """A code cell that shows some HTML."""
    output = new_output("execute_result", {"text/html": html, "text/plain": "Figure"}, execution_count=0)
    return new_code_cell(source, outputs=[output], metadata={"tags": list(tags)})


def prints(source: str, text: str, *tags: str) -> NotebookNode:
    """A code cell that prints some text."""
    return new_code_cell(
        source, outputs=[new_output("stream", name="stdout", text=text)], metadata={"tags": list(tags)}
    )


def number(notebook: NotebookNode) -> NotebookNode:
    """Give the cells the counts of one run."""
    for count, cell in enumerate(cells.code(notebook), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    return notebook


def good() -> NotebookNode:
    """A chapter that breaks no rule; cell 2 is checked, cell 3 is a figure."""
    lesson = [prints(f"print({i})", f"{i}\n") for i in range(6)]
    words = "## Idea\n\n" + "**Predict, then run.** " * 2 + "word " * 1_500
    return number(
        new_notebook(
            cells=[
                new_markdown_cell(TITLE),
                new_code_cell(cells.SETUP, metadata={"tags": ["hide-input"]}),
                prints("print(1)", "1\n", CHECKED),
                shown("figure", FIGURE),
                shown("explorer", EXPLORER),
                *lesson,
                new_markdown_cell(words),
                new_markdown_cell("## Exercises\n\n" + "\n".join(EXERCISE.format(n=n) for n in range(3))),
                new_markdown_cell(END),
            ]
        )
    )


def swap(index: int, old: str, new: str) -> Callable[[NotebookNode], None]:
    """Replace a part of a cell's source, which must be there."""

    def change(notebook: NotebookNode) -> None:
        assert old in notebook.cells[index].source
        notebook.cells[index].source = notebook.cells[index].source.replace(old, new)

    return change


def put(index: int, cell: NotebookNode) -> Callable[[NotebookNode], None]:
    """Replace a whole code cell."""

    def change(notebook: NotebookNode) -> None:
        notebook.cells[index] = cell
        number(notebook)

    return change


ERROR = new_output("error", ename="ValueError", evalue="no", traceback=[])
STDERR = new_output("stream", name="stderr", text="warning")
WIDGET = new_output("display_data", {cells.WIDGET: {}})
PNG = new_output("display_data", {"image/png": "AAAA", "text/plain": "<Figure size 640x480 with 1 Axes>"})
LAST = -1
EXERCISES = -2
checked = cells.checked_cells_compare_something
BAD: list[tuple[rules.Rule, str, Callable[[NotebookNode], None]]] = [
    (cells.setup_cell_is_generated, "not the generated one", swap(1, "manual_seed(0)", "manual_seed(1)")),
    (cells.setup_cell_is_generated, "not the generated one", lambda nb: nb.cells[1].metadata.clear()),
    (cells.outputs_are_of_one_run, "not those of one run", lambda nb: nb.cells[2].update(execution_count=7)),
    (cells.outputs_are_of_one_run, "not those of one run", lambda nb: nb.cells[2].update(execution_count=None)),
    (cells.outputs_are_of_one_run, "not those of one run", lambda nb: nb.cells[3].outputs[0].update(execution_count=9)),
    (cells.outputs_are_of_one_run, "no outputs", lambda nb: [c.update(outputs=[]) for c in cells.code(nb)]),
    (cells.file_is_small, "bytes", put(3, shown("figure", FIGURE + "<p>" + "x" * 300_000))),
    (cells.errors_are_meant, "stores an error: ValueError", put(5, new_code_cell("f()", outputs=[ERROR]))),
    (cells.errors_are_meant, "stores no error", put(5, prints("f()", "ok", "raises-exception"))),
    (cells.errors_are_meant, "to stderr", put(5, new_code_cell("f()", outputs=[STDERR]))),
    (cells.no_widgets, "shows a widget", put(5, new_code_cell("w", outputs=[WIDGET]))),
    (cells.no_widgets, "live widget", put(5, prints("interact(f, x=3)", "ok"))),
    (cells.no_widgets, "live widget", put(5, prints("with widgets.Output(): f()", "ok"))),
    (cells.tags_are_sane, "unknown tags: nbval-check-ouput", put(5, prints("f()", "ok", "nbval-check-ouput"))),
    (cells.tags_are_sane, "both tags or none", put(5, prints("f()", "ok", "nbval-skip"))),
    (cells.tags_are_sane, "both tags or none", put(5, prints("f()", "ok", "skip-execution"))),
    (cells.tags_are_sane, "nbval comment", put(5, prints("# NBVAL_CHECK_OUTPUT\nf()", "ok"))),
    (checked, "no cell is tagged", put(2, prints("f()", "ok"))),
    (checked, "stored nothing", put(2, new_code_cell("f()", metadata={"tags": [CHECKED]}))),
    (checked, "stored nothing", put(2, prints("f()", " \n", CHECKED))),
    (checked, "stored nothing", lambda nb: nb.cells[2].update(execution_count=None)),
    (checked, "stored nothing", put(2, prints("f()", "1", CHECKED, *cells.SKIPPED))),
    (checked, "and draws", put(2, shown("f()", FIGURE, CHECKED))),
    (cells.no_addresses, "address", put(5, prints("f", "<function f at 0x7f00aa>"))),
    (cells.cells_are_short, "16 lines", put(5, prints("# why\n\n" + "x = 1\n" * 16, "ok"))),
    (cells.stands_alone, "imports pandas", put(5, prints("import pandas as pd", "ok"))),
    (cells.stands_alone, "imports a_chapter", put(5, prints("from a_chapter.code import f", "ok"))),
    (cells.stands_alone, "no magics", put(5, prints("!ls", "ok"))),
    (cells.stands_alone, "must run alone", put(5, prints("import sys\nsys.path.append('..')", "ok"))),
    (cells.metadata_is_stable, "hold widgets", lambda nb: nb.metadata.update(widgets={})),
    (cells.metadata_is_stable, "hold version", lambda nb: nb.metadata.update(language_info={"version": "3.12"})),
    (cells.metadata_is_stable, "run or editor: execution", lambda nb: nb.cells[2].metadata.update(execution={})),
    (
        cells.metadata_is_stable,
        "run or editor: filenames",
        lambda nb: nb.cells[3].outputs[0].metadata.update(filenames={}),
    ),
    (cells.metadata_is_stable, "several cells", lambda nb: nb.cells[2].update(id=nb.cells[3].id)),
    (figures.figures_have_alt_text, "without alt text", put(5, shown("f", '<svg role="img"></svg>'))),
    (figures.figures_have_alt_text, "without alt text", put(5, shown("f", '<svg role="img" aria-label="Loss"></svg>'))),
    (figures.figures_have_alt_text, "without alt text", put(5, shown("f", '<img src="data:,">'))),
    (figures.figures_have_alt_text, "bare image", put(5, new_code_cell("f", outputs=[PNG]))),
    (figures.no_matplotlib_leftovers, "matplotlib object", put(5, new_code_cell("f", outputs=[PNG]))),
    (figures.no_matplotlib_leftovers, "matplotlib object", put(5, prints("plt.show()", ""))),
    (figures.has_an_explorer, "no explorer", put(4, shown("explorer", FIGURE))),
    (figures.has_an_explorer, "no explorer", put(4, shown("explorer", EXPLORER.replace('"4"', '"1"')))),
    (prose.has_a_title, "begin with (label)=", swap(0, "(tiny)=\n", "")),
    (prose.has_a_title, "exactly one", swap(LAST, "## Sources", "# Sources")),
    (prose.says_what_it_asks_and_gives, "lacks", swap(0, "**You will**", "You will")),
    (prose.says_what_it_asks_and_gives, "lacks", swap(0, "**You need**", "You need")),
    (prose.says_what_it_asks_and_gives, "lacks", swap(0, "5 minutes", "a while")),
    (prose.says_what_it_asks_and_gives, "lacks", swap(0, "{admonition}", "{note}")),
    (prose.ends_as_all_do, "last sections", swap(LAST, "## Take-away", "## Summary")),
    (prose.ends_as_all_do, "2 bullets", swap(LAST, "- three\n", "")),
    (prose.ends_as_all_do, "cite nothing", swap(LAST, "{cite:t}", "")),
    (prose.exercises_have_solutions, "no :label:", swap(EXERCISES, ":label: ex-0\n", "")),
    (prose.exercises_have_solutions, "2 exercises", swap(EXERCISES, EXERCISE.format(n=2), "")),
    (prose.exercises_have_solutions, "do not match", swap(EXERCISES, "{solution} ex-1", "{note} ex-1")),
    (prose.exercises_have_solutions, "do not match", swap(EXERCISES, "{solution} ex-1", "{solution} ex-7")),
    (prose.exercises_have_solutions, "no solution-end", swap(EXERCISES, "{solution} ex-1", "{solution-start} ex-1")),
    (prose.exercises_have_solutions, "fewer than 2 hints", swap(EXERCISES, "Hint 2", "Answer")),
    (prose.asks_for_predictions, "fewer than 2", swap(-3, "**Predict, then run.** " * 2, "**Predict, then run.** ")),
    (prose.has_the_right_length, "words, not 1,500", swap(-3, "word " * 400, "")),
    (prose.has_the_right_length, "words, not 1,500", swap(-3, "word " * 1_500, "word " * 2_800)),
    (prose.has_the_right_length, "7 code cells", lambda nb: nb.cells.__delitem__(slice(5, 7))),
    (prose.no_macros, "TeX macros that Colab does not know: prox", swap(-3, "## Idea", "## Idea\n$\\prox_J(x)$")),
    (prose.no_macros, "outside $$", swap(-3, "## Idea", "## Idea\n\\begin{align}x\\end{align}")),
]


def test_a_good_chapter_has_no_problems():
    assert rules.problems(good()) == []


@pytest.mark.parametrize(("rule", "message", "spoil"), BAD, ids=lambda value: getattr(value, "__name__", None))
def test_each_rule_can_fail(rule, message, spoil):
    chapter = good()
    spoil(chapter)
    assert any(message in problem for problem in rule(chapter)), list(rule(chapter))


def test_every_rule_is_shown_to_fail():
    assert {rule for rule, _, _ in BAD} == set(rules.RULES)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path):
    assert rules.problems(nbformat.read(path, as_version=4)) == []


def test_output_that_came_in_pieces_is_one():
    pieces = [new_output("stream", name="stdout", text=t) for t in ("a\n", "b\n")]
    picture, more = new_output("display_data", data={"text/plain": "x"}), new_output("stream", name="stderr", text="c")
    found = notebooks.merged([*pieces, picture, *pieces[1:], more])
    assert [o.get("text") for o in found] == ["a\nb\n", None, "b\n", "c"]


def test_contents_list_every_chapter_and_nothing_else():
    assert CHAPTERS
    assert len(ENTRIES) == len(set(ENTRIES)), "_toc.yml lists something twice"
    files = {str(path.relative_to(ROOT).with_suffix("")) for path in CHAPTERS}
    assert files <= set(ENTRIES), "a chapter is not in _toc.yml"
    lost = [entry for entry in ENTRIES if not any((ROOT / f"{entry}.{kind}").exists() for kind in ("ipynb", "md"))]
    assert not lost, "_toc.yml lists what does not exist"


@pytest.mark.parametrize(("colab", "installed"), [(False, True), (True, True), (True, False)])
def test_first_cell_installs_only_where_it_must(monkeypatch, colab, installed):
    calls = []
    package = types.ModuleType("bregtutorial")
    package.plotting = types.SimpleNamespace(use_style=lambda: calls.append("style"))

    def install(command):
        calls.append(command)
        monkeypatch.setitem(sys.modules, "bregtutorial", package)

    monkeypatch.setitem(sys.modules, "bregtutorial", package if installed else None)
    monkeypatch.setattr(subprocess, "check_call", install)
    if colab:
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(cells.SETUP, scope := {})
    assert scope["bt"] is package
    assert calls.pop() == "style"
    assert [call[:3] for call in calls] == ([] if installed else [[sys.executable, "-m", "pip"]])
    assert all("--no-deps" in call for call in calls), "on Colab nothing may be replaced under the running kernel"


def test_first_cell_says_what_to_do_elsewhere(monkeypatch):
    monkeypatch.setitem(sys.modules, "bregtutorial", None)
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"bregtutorial.*pip install 'bregtutorial\[book\] @ git"):
        exec(cells.SETUP, {})
