"""Writes every chapter in plain Markdown, as Colab and JupyterLab can show it.

    python tools/colab.py [FOLDER]    default: _build/colab

pages.yml publishes the folder on the branch `colab`, which the site's Colab buttons open.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from book_index import ROOT, Book, read_book
from nbformat import NotebookNode
from plain_markdown import plain_notebook

BRANCH = "colab"


def chapters(book: Book) -> list[str]:
    """The pages that are notebooks."""
    return [page for page in book.pages if (ROOT / f"{page}.ipynb").exists()]


def point_home(notebook: NotebookNode, url: str) -> None:
    """Under its title a copy says where the page is that it was made from."""
    title, _, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n*[This chapter in the book]({url})*\n{rest}"


def write_copies(folder: Path) -> list[Path]:
    """Writes a copy of each chapter, under the path that the chapter has in the repository."""
    book = read_book()
    written = []
    for page in chapters(book):
        notebook = plain_notebook(nbformat.read(ROOT / f"{page}.ipynb", as_version=4), book, page)
        point_home(notebook, book.pages[page].url)
        written.append(folder / f"{page}.ipynb")
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, written[-1])
    return written


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "_build" / "colab")
    print(f"{len(write_copies(target))} chapters in plain Markdown: {target}")
