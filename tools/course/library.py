"""The chapters of the book that a course takes, in their order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import nbformat
import yaml
from book_index import ROOT, Book, read_book
from nbformat import NotebookNode
from plain_markdown import Writer


@dataclass(frozen=True)
class Chapter:
    """One notebook of the book, with what its texts point to."""

    path: str  # 2-algorithms/linbreg
    part: str
    notebook: NotebookNode
    book: Book

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def page(self) -> str:
        """What the table of contents calls it."""
        return f"book/{self.path}"

    @property
    def title(self) -> str:
        """The chapter's title."""
        return self.book.pages[self.page].text

    @property
    def url(self) -> str:
        """Where it is read online."""
        return self.book.pages[self.page].url

    @cached_property
    def minutes(self) -> int:
        """The time that the chapter itself states."""
        found = re.search(r"\*\*Time\*\*.*?(\d+) minutes", self.notebook.cells[0].source)
        if not found:
            raise ValueError(f"{self.path}: its first cell states no **Time** … minutes")
        return int(found[1])

    def plain(self, text: str) -> str:
        """A text of the chapter without MyST."""
        return Writer(self.book, self.page).text(text)


def chapters(only: tuple[str, ...] = ()) -> list[Chapter]:
    """The chapters with these names, or all.

    Raises:
        ValueError: if a name is none of a chapter.
    """
    book = read_book()
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))["parts"]
    listed = [(entry["file"], part["caption"]) for part in parts for entry in part["chapters"]]
    found = [_read(page, part, book) for page, part in listed if (ROOT / f"{page}.ipynb").exists()]
    names = [chapter.name for chapter in found]
    if unknown := sorted(set(only) - set(names)):
        raise ValueError(f"no chapter is called {', '.join(unknown)}; there are {', '.join(names)}")
    return [chapter for chapter in found if not only or chapter.name in only]


def _read(page: str, part: str, book: Book) -> Chapter:
    return Chapter(page.removeprefix("book/"), part, nbformat.read(ROOT / f"{page}.ipynb", as_version=4), book)
