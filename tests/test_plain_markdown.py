"""Chapters in plain Markdown: no MyST is left, numbers are the book's, nothing that a reader sees gets lost."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from book_index import Book, Target, Work, read_book
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from plain_markdown import RAW, plain, plain_notebook

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "book").rglob("*.ipynb"))
SITE = "https://book.test/"
BOOK = Book(
    SITE,
    pages={"book/part/other": Target("The other", f"{SITE}book/part/other.html")},
    labels={
        "eq-here": Target("(3.1)", f"{SITE}book/part/page.html#equation-eq-here"),
        "eq-there": Target("(4.1)", f"{SITE}book/part/other.html#equation-eq-there"),
        "thm-here": Target("Theorem 3.1", f"{SITE}book/part/page.html#thm-here"),
        "ex-1": Target("Exercise 3.1", f"{SITE}book/part/page.html#ex-1"),
    },
    terms={"dual variable": Target("dual variable", f"{SITE}book/glossary.html#term-dual-variable")},
    works={"one": Work("One et al.", "2001", "https://one.test"), "two": Work("Two", "2002", "https://two.test")},
)
ROLES = {
    "{doc}`other`": f"[The other]({SITE}book/part/other.html)",
    "{doc}`../part/other`": f"[The other]({SITE}book/part/other.html)",
    "{doc}`there <other>`": f"[there]({SITE}book/part/other.html)",
    "{eq}`eq-here`": "(3.1)",
    "{eq}`eq-there`": f"[(4.1)]({SITE}book/part/other.html#equation-eq-there)",
    "{prf:ref}`thm-here`": "Theorem 3.1",
    "{ref}`an exercise <ex-1>`": "an exercise",
    "{term}`dual variable`": f"[dual variable]({SITE}book/glossary.html#term-dual-variable)",
    "{term}`Duals <dual variable>`": f"[Duals]({SITE}book/glossary.html#term-dual-variable)",
    "{term}`Dual\nvariable`": f"[Dual\nvariable]({SITE}book/glossary.html#term-dual-variable)",
    "{cite:t}`one`": "One et al. ([2001](https://one.test))",
    "{cite:p}`one,two`": "([One et al., 2001](https://one.test); [Two, 2002](https://two.test))",
    "{cite}`two`": "([Two, 2002](https://two.test))",
    "**{index}`stopping`**": "**stopping**",
    "``{eq}`eq-here` `` is code": "``{eq}`eq-here` `` is code",
    "$$a$$ (eq-here)": "$$a \\tag{3.1}$$",
    "$$a$$ and $$b$$ (eq-here)": "$$a$$ and $$b \\tag{3.1}$$",
    "(label)=\n# Title": "# Title",
}
BOXES = {
    ":::{admonition} In *this* chapter\n:class: tip\n**You**\n:::": "> **In *this* chapter**\n>\n> **You**",
    ":::{note}\nwords\n:::": "> **Note**\n>\n> words",
    ":::{admonition} A\n:class: note dropdown\nb\n:::": "<details>\n<summary>A</summary>\n\nb\n\n</details>",
    ":::{prf:theorem} By {cite:t}`two`\n:label: thm-here\nSo.\n\n$$\na\\\\\nb\n$$ (eq-here)\n:::": (
        "> **Theorem 3.1** (By Two ([2002](https://two.test)))\n>\n> So.\n>\n> $$ a\\\\ b \\tag{3.1}$$"
    ),
    ":::{prf:proof}\nBy {eq}`eq-here`.\n:::": "*Proof.* By (3.1).",
    ":::{prf:proof}\n:class: dropdown\n$$a$$\n:::": "<details>\n<summary>Proof</summary>\n\n$$a$$\n\n</details>",
    ":::{exercise} Count\n:label: ex-1\nDo.\n:::": "### Exercise 3.1: Count\n\nDo.",
    ":::{dropdown} Hint: `a < b`, {doc}`other`\nx\n:::": (
        "<details>\n<summary>Hint: <code>a &lt; b</code>, The other</summary>\n\nx\n\n</details>"
    ),
    ":::{solution-start} ex-1\n:class: dropdown\n:::": "#### Solution of Exercise 3.1",
    "```{index} single: word\n```\ntext": "text",
    "::::{note}\n:::{dropdown} D\nin\n:::\nout\n::::": (
        "> **Note**\n>\n> <details>\n> <summary>D</summary>\n>\n> in\n>\n> </details>\n> out"
    ),
    "1. one\n   :::{dropdown} D\n   in\n   :::": (
        "1. one\n   <details>\n   <summary>D</summary>\n\n   in\n\n   </details>"
    ),
    "```python\n# {eq}`x` $$a$$ (eq-here)\n```\n{eq}`eq-here`": "```python\n# {eq}`x` $$a$$ (eq-here)\n```\n(3.1)",
}


@pytest.mark.parametrize("source", ROLES | BOXES)
def test_in_plain_markdown(source):
    assert plain(source, BOOK, "book/part/page") == (ROLES | BOXES)[source]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("{sub}`2`", ValueError, "no plain form is known for the role {sub}"),
        (":::{figure} a.png\n:::", ValueError, "no plain form is known for the box {figure}"),
        (":::{note}\nfor ever", ValueError, "not closed"),
        ("{eq}`eq-lost`", KeyError, "eq-lost"),
        ("{doc}`lost`", KeyError, "book/part/lost"),
    ],
)
def test_nothing_passes_unseen(source, error, message):
    with pytest.raises(error, match=re.escape(message)):
        plain(source, BOOK, "book/part/page")


@pytest.mark.parametrize("raw", [":::{note}", "```{index} a", "  :::", "{eq}`a`", "(a-b)=", "$$ (eq-a)"])
def test_raw_syntax_is_recognised(raw):
    assert RAW.search(f"text\n{raw}")
    assert not RAW.search("```python\nx = {a: b}\n```\n(a)\n$$x$$ (or so)\n" if raw != "$$ (eq-a)" else "$$a$$ and (b)")


def test_solutions_and_hidden_code_are_folded():
    start = new_markdown_cell(":::{solution-start} ex-1\n:class: dropdown\n:::", id="start")
    code = new_code_cell("x", id="code", metadata={"tags": ["hide-input"]})
    end = new_markdown_cell(":::{solution-end}\n:::", id="end")
    notebook = new_notebook(cells=[start, code, new_code_cell("y", id="seen"), end])
    copy = plain_notebook(notebook, BOOK, "book/part/page")
    nbformat.validate(copy)
    assert [cell.id for cell in copy.cells] == ["start", "code", "seen"]
    assert copy.metadata.colab.collapsed_sections == [copy.cells[0].metadata.id] == ["start"]
    assert copy.cells[0].metadata["jp-MarkdownHeadingCollapsed"]
    assert copy.cells[1].metadata.jupyter.source_hidden
    assert "jupyter" not in copy.cells[2].metadata
    assert start.source.startswith(":::"), "the original was changed"


@pytest.fixture(scope="module")
def book():
    return read_book(ROOT)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_in_plain_markdown(book, path):
    chapter = nbformat.read(path, as_version=4)
    copy = plain_notebook(chapter, book, path.relative_to(ROOT).with_suffix("").as_posix())
    nbformat.validate(copy)
    text = [cell.source for cell in copy.cells if cell.cell_type == "markdown"]
    assert RAW.findall("\n\n".join(text)) == []
    assert [c.source for c in copy.cells if c.cell_type == "code"] == [
        c.source for c in chapter.cells if c.cell_type == "code"
    ]
    for each in text:
        assert each.count("<details>") == each.count("</details>")
    originals = "\n\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")
    exercises = re.findall(r"^### Exercise \d+\.\d+", "\n\n".join(text), re.MULTILINE)
    assert len(exercises) == originals.count("{exercise}") > 0
    assert len(copy.metadata.colab.collapsed_sections) == originals.count("{solution-start}")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_folding_a_solution_hides_nothing_else(path):
    """A folded headline hides all up to the next one: so a headline must follow where a solution ends."""
    chapter = nbformat.read(path, as_version=4)
    for cell, following in zip(chapter.cells, chapter.cells[1:], strict=False):
        if "{solution-end}" in cell.source:
            after = cell.source.partition("{solution-end}\n:::")[2].strip() or following.source
            assert re.match(r"#|:::\{exercise\}", after), after[:80]
