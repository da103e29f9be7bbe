"""What the book's names stand for: pages, numbered labels, glossary terms, cited works; each with its address.

Read from the sources alone, so that it needs no build; tests/test_site.py compares it with the site that Sphinx made.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import nbformat
import yaml
from pybtex.database import Entry, Person, parse_file
from pybtex.richtext import Text

ROOT = Path(__file__).resolve().parent.parent
# in the order of the text: a headline with its label, a numbered box with its label, an equation with its label
LABELLED = re.compile(
    r"^\((?P<section>[\w-]+)\)=\n+#+ (?P<heading>.+)$"
    r"|^ *[:`]{3,} ?\{(?:prf:)?(?P<kind>[a-z]+)\} ?(?P<title>.*)\n(?: *:(?!label)[\w-]+:.*\n)* *:label: *(?P<box>\S+)"
    r"|\$\$ *\((?P<equation>[\w-]+)\)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Target:
    """Where a name leads: what it is called in a sentence, and its address."""

    text: str
    url: str


@dataclass(frozen=True)
class Work:
    """A cited work: its authors in short, the year, and where it can be read."""

    authors: str
    year: str
    url: str


@dataclass
class Book:
    """The names of all pages, kept by what a role calls them."""

    base: str
    pages: dict[str, Target] = field(default_factory=dict)
    labels: dict[str, Target] = field(default_factory=dict)
    terms: dict[str, Target] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)

    def url(self, page: str, anchor: str = "") -> str:
        """The address of a page, or of a place on it."""
        return f"{self.base}{page}.html" + (f"#{anchor}" if anchor else "")


def source(path: Path) -> str:
    """The text of a page: of a notebook, its markdown."""
    if path.suffix == ".md":
        return path.read_text("utf8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def listed(root: Path) -> Iterator[tuple[str, int]]:
    """Every page that _toc.yml lists, with the number of its chapter; 0 where chapters have none."""
    contents = yaml.safe_load((root / "_toc.yml").read_text("utf8"))
    yield contents["root"], 0
    number = 0
    for part in contents["parts"]:
        for chapter in part["chapters"]:
            number += bool(part.get("numbered"))
            yield chapter["file"], number if part.get("numbered") else 0


def add_labels(book: Book, page: str, number: int, text: str) -> None:
    """Numbers boxes and equations as Sphinx does: each kind by itself, chapter by chapter."""
    counts: Counter[str] = Counter()
    for found in LABELLED.finditer(text):
        kind = "equation" if found["equation"] else found["kind"]
        counts[kind] += 1
        shown = f"{number}.{counts[kind]}" if number else f"{counts[kind]}"
        if label := found["section"]:
            book.labels[label] = Target(found["heading"].strip(), book.url(page, label))
        elif label := found["equation"]:
            book.labels[label] = Target(f"({shown})", book.url(page, f"equation-{label}"))
        else:
            book.labels[found["box"]] = Target(f"{kind.title()} {shown}", book.url(page, found["box"]))


def add_terms(book: Book, page: str, text: str) -> None:
    """Terms stand unindented inside a glossary directive."""
    for glossary in re.findall(r"^```\{glossary\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for term in re.findall(r"^(\S.*)$", glossary, re.MULTILINE):
            anchor = "term-" + re.sub(r"[^\w-]+", "-", term).strip("-")
            book.terms[term.lower()] = Target(term, book.url(page, anchor))


def surname(person: Person) -> str:
    """Particles and last names, without TeX."""
    return str(Text.from_latex(" ".join(person.prelast_names + person.last_names)))


def work(entry: Entry, bibliography: str) -> Work:
    """Authors as in `(Bungert et al., 2022)`; where the work can be read, or else our entry."""
    names = [surname(person) for person in entry.persons["author"]]
    authors = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    doi = "https://doi.org/" + quote(entry.fields["doi"]) if "doi" in entry.fields else bibliography
    return Work(authors, entry.fields["year"], entry.fields.get("url", doi))


def read_book(root: Path = ROOT) -> Book:
    """Reads all pages that _toc.yml lists, and the bibliography."""
    config = yaml.safe_load((root / "_config.yml").read_text("utf8"))
    book = Book(config["html"]["baseurl"])
    for page, number in listed(root):
        path = next(root / f"{page}.{kind}" for kind in ("ipynb", "md") if (root / f"{page}.{kind}").exists())
        text = source(path)
        title = re.search(r"^# (.+)$", text, re.MULTILINE)
        book.pages[page] = Target(title[1].strip() if title else page, book.url(page))
        add_labels(book, page, number, text)
        add_terms(book, page, text)
    for path in config["bibtex_bibfiles"]:
        entries = parse_file(root / path).entries.items()
        book.works |= {key: work(entry, book.url("book/bibliography")) for key, entry in entries}
    return book
