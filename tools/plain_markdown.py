"""Chapters in plain Markdown, for notebooks that are read outside the book: Colab, JupyterLab, a course's own copies.

    plain_notebook(notebook, read_book(), "book/2-algorithms/linbreg")

MyST's boxes become quotes, headlines and <details>; its roles become links to the book's pages, with its numbers.
What is not listed here raises an error, so that no syntax is ever shown raw.
"""

from __future__ import annotations

import copy
import html
import posixpath
import re
from collections.abc import Callable
from textwrap import dedent

from book_index import Book, Target
from nbformat import NotebookNode

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>:{3,}|`{3,}) ?(?:\{(?P<name>[\w:-]+)\} ?(?P<title>.*)|[\w+-]*)$")
OPTION = re.compile(r"^ *:([\w-]+): *(.*)$")
SECTION = re.compile(r"^\([\w-]+\)=\n+", re.MULTILINE)
EQUATION = re.compile(r"\$\$(?P<formula>.*?)\$\$(?: *\((?P<label>[\w-]+)\))?", re.DOTALL)
ROLE = re.compile(r"\{(?P<role>[\w:]+)\}`(?P<text>[^`]+)`|(?P<ticks>`+)(?:(?!(?P=ticks)).)+(?P=ticks)", re.DOTALL)
ADMONITIONS = {"admonition", "note", "tip", "hint", "important", "warning", "caution", "attention", "seealso"}
STATEMENTS = {"theorem", "lemma", "proposition", "corollary", "definition", "algorithm", "example", "remark"}
HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
RAW = re.compile(r"^ *(?::{3,}|`{3,} ?\{)|\{[\w:]+\}`|^\([\w-]+\)=|\$\$ *\([\w-]+\)", re.MULTILINE)


class Writer:
    """Rewrites the text of one page. What is on this very page is not linked: notebooks have no anchors."""

    def __init__(self, book: Book, page: str) -> None:
        self.book, self.page, self.here = book, page, book.url(page) + "#"

    # --- roles: a word of the text that leads somewhere ------------------------------------------------------------
    def role(self, found: re.Match[str]) -> str:
        """One role as a link; code between backticks stays as it is."""
        if not found["role"]:
            return found[0]
        name = found["role"].removeprefix("prf:")
        if name == "index":
            return found["text"]
        if name.startswith("cite"):
            return self.cite(found["text"], textual=name == "cite:t")
        explicit = re.fullmatch(r"(?P<shown>.*?) *<(?P<target>[^>]+)>", found["text"], re.DOTALL)
        wanted = explicit["target"] if explicit else found["text"]
        target = self.find(name, wanted)
        shown = explicit["shown"] if explicit else wanted if name == "term" else target.text
        return shown if target.url.startswith(self.here) else f"[{shown}]({target.url})"

    def find(self, role: str, wanted: str) -> Target:
        """Where a role leads."""
        if role == "doc":
            folder = posixpath.dirname(self.page)
            return self.book.pages[posixpath.normpath(posixpath.join(folder, wanted)).lstrip("/")]
        if role == "term":
            return self.book.terms[" ".join(wanted.split()).lower()]
        if role in {"ref", "numref", "eq"}:
            return self.book.labels[wanted]
        raise ValueError(f"{self.page}: no plain form is known for the role {{{role}}}`{wanted}`: add it to {__name__}")

    def cite(self, keys: str, *, textual: bool) -> str:
        """Authors and years, each leading to the work."""
        works = [self.book.works[key.strip()] for key in keys.split(",")]
        if textual:
            return ", ".join(f"{work.authors} ([{work.year}]({work.url}))" for work in works)
        return "(" + "; ".join(f"[{work.authors}, {work.year}]({work.url})" for work in works) + ")"

    def equation(self, found: re.Match[str]) -> str:
        """A labelled equation carries its number."""
        if not found["label"]:
            return found[0]
        number = self.book.labels[found["label"]].text.strip("()")
        return f"$${found['formula'].rstrip()} \\tag{{{number}}}$$"

    def inline(self, text: str) -> str:
        """Text without boxes."""
        return ROLE.sub(self.role, EQUATION.sub(self.equation, SECTION.sub("", text)))

    # --- boxes -----------------------------------------------------------------------------------------------------
    def text(self, source: str) -> str:
        """A whole text: what stands between the boxes, and each box in its plain form."""
        lines, done, plain = source.split("\n"), [], []
        while lines:
            line = lines.pop(0)
            opened = FENCE.match(line)
            if not opened:
                plain.append(line)
                continue
            body = take_body(lines, opened["fence"])
            done.append(self.inline("\n".join(plain)))
            plain = []
            if opened["name"]:
                box = self.box(opened["name"], opened["title"].strip(), dedent("\n".join(body)).split("\n"))
                done.append("\n".join((opened["indent"] + each).rstrip() for each in box.split("\n")))
            else:
                done.append("\n".join([line, *body, opened["indent"] + opened["fence"]]))
        done.append(self.inline("\n".join(plain)))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(done)).strip("\n")

    def box(self, name: str, title: str, body: list[str]) -> str:
        """One directive."""
        options: dict[str, str] = {}
        while body and (found := OPTION.match(body[0])):
            options[found[1]] = found[2]
            del body[0]
        kind = name.removeprefix("prf:")
        write = BOXES.get(kind)
        if write is None:
            raise ValueError(f"{self.page}: no plain form is known for the box {{{name}}}: add it to {__name__}")
        content = self.text("\n".join(body)).strip("\n")
        number = self.book.labels[options["label"]].text if "label" in options else ""
        return write(self, kind, number, title, content, "dropdown" in options.get("class", ""))

    def admonition(self, kind: str, number: str, title: str, content: str, folds: bool) -> str:
        """A note beside the text."""
        title = title if kind == "admonition" or title else kind.title()
        return self.folded(title, content) if folds else quoted(f"**{self.inline(title)}**\n\n{content}")

    def statement(self, kind: str, number: str, title: str, content: str, folds: bool) -> str:
        """A theorem and its kin."""
        name = f"**{number or kind.title()}**" + (f" ({self.inline(title)})" if title else "")
        return quoted(f"{name}\n\n{content}")

    def proof(self, kind: str, number: str, title: str, content: str, folds: bool) -> str:
        """A proof, folded if the book folds it."""
        gap = "\n\n" if content.startswith(("$$", "- ", "* ", "1. ")) else " "
        return self.folded("Proof", content) if folds else f"*Proof.*{gap}{content}"

    def exercise(self, kind: str, number: str, title: str, content: str, folds: bool) -> str:
        """An exercise opens a section, which its solution, folded, ends."""
        return f"### {number or 'Exercise'}" + (f": {self.inline(title)}" if title else "") + f"\n\n{content}"

    def dropdown(self, kind: str, number: str, title: str, content: str, folds: bool) -> str:
        """A hint or whatever else folds."""
        return self.folded(title, content)

    def solution(self, kind: str, number: str, title: str, content: str, folds: bool) -> str:
        """A solution in one piece."""
        return self.folded(f"Solution of {self.book.labels[title].text}", content)

    def solution_start(self, kind: str, number: str, title: str, content: str, folds: bool) -> str:
        """A solution that goes over several cells: a headline, which notebooks fold."""
        return f"#### Solution of {self.book.labels[title].text}\n\n{content}"

    def nothing(self, *parts: object) -> str:
        """What only the book needs."""
        return ""

    def folded(self, title: str, content: str) -> str:
        """Something to click on; inside <summary> Markdown is not read."""
        words = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", self.inline(title))
        summary = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(words, quote=False))
        return f"<details>\n<summary>{summary}</summary>\n\n{content}\n\n</details>"


BOXES: dict[str, Callable[..., str]] = {
    **dict.fromkeys(ADMONITIONS, Writer.admonition),
    **dict.fromkeys(STATEMENTS, Writer.statement),
    "proof": Writer.proof,
    "exercise": Writer.exercise,
    "dropdown": Writer.dropdown,
    "solution": Writer.solution,
    "solution-start": Writer.solution_start,
    "solution-end": Writer.nothing,
    "index": Writer.nothing,
}


def take_body(lines: list[str], fence: str) -> list[str]:
    """Takes the lines of a box and its closing fence off the list."""
    for i, line in enumerate(lines):
        if re.fullmatch(rf" *{fence[0]}{{{len(fence)},}} *", line):
            body = lines[:i]
            del lines[: i + 1]
            return body
    raise ValueError(f"a box opened by {fence} is not closed")


def quoted(text: str) -> str:
    """As a quote; a formula goes into one line, or the marks of the quote would get into it."""
    joined = EQUATION.sub(lambda found: " ".join(found[0].split()), text)
    return "\n".join(f"> {line}".rstrip() for line in joined.split("\n"))


def plain(text: str, book: Book, page: str) -> str:
    """The text of a page without MyST."""
    return Writer(book, page).text(text)


def plain_notebook(notebook: NotebookNode, book: Book, page: str) -> NotebookNode:
    """A copy in plain Markdown: solutions and code that the book folds are folded, cells left empty are gone."""
    new = copy.deepcopy(notebook)
    folded = []
    for cell in new.cells:
        if cell.cell_type == "markdown":
            solution = cell.source.lstrip(":` ").startswith("{solution-start}")
            cell.source = plain(cell.source, book, page)
            if solution:
                folded.append(cell.id)  # Colab, which looks for its own id
                cell.metadata |= {"id": cell.id, "jp-MarkdownHeadingCollapsed": True}  # JupyterLab
        elif HIDDEN & set(cell.metadata.get("tags", [])):
            cell.metadata |= {"cellView": "form", "jupyter": NotebookNode(source_hidden=True)}  # Colab, JupyterLab
    new.cells = [cell for cell in new.cells if cell.source.strip()]
    new.metadata["colab"] = {"collapsed_sections": folded, "toc_visible": True}
    return new
