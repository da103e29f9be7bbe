"""What the generated pages read off the chapters and the table of contents."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
STATEMENT = re.compile(r"^ *:{3,}\{prf:(?!proof|ref)(\w+)\} *(.*)\n *:label: *(\S+)", re.MULTILINE)


class Statement(NamedTuple):
    """A definition, theorem, algorithm, … of a chapter."""

    kind: str
    title: str
    label: str


class Chapter(NamedTuple):
    """A notebook of the book: `doc` is its path from the root without an ending, `code` leaves the first cell out."""

    doc: str
    title: str
    text: str
    code: tuple[str, ...]

    @property
    def name(self) -> str:
        """The last part of its address."""
        return self.doc.rpartition("/")[2]

    @property
    def link(self) -> str:
        """A link to it, in Markdown, from any page."""
        return f"{{doc}}`/{self.doc}`"

    @property
    def statements(self) -> list[Statement]:
        """Its statements in their order."""
        return [Statement(kind, title.strip(), label) for kind, title, label in STATEMENT.findall(self.text)]


@lru_cache
def contents() -> list[dict[str, Any]]:
    """The parts of the book, as the table of contents has them."""
    parts: list[dict[str, Any]] = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))["parts"]
    return parts


@lru_cache
def chapters() -> dict[str, Chapter]:
    """Every chapter by its name, in the order of the book."""
    entries = [entry["file"] for part in contents() for entry in part["chapters"]]
    return {path.stem: _read(path) for path in (ROOT / f"{entry}.ipynb" for entry in entries) if path.exists()}


def _read(path: Path) -> Chapter:
    cells = json.loads(path.read_text("utf8"))["cells"]
    kinds: dict[str, list[str]] = {"markdown": [], "code": [], "raw": []}
    for cell in cells:
        kinds[cell["cell_type"]].append("".join(cell["source"]))
    text = "\n\n".join(kinds["markdown"])
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    address = path.relative_to(ROOT).with_suffix("").as_posix()
    return Chapter(address, title[1] if title else path.stem, text, tuple(kinds["code"][1:]))


def table(head: list[str], rows: list[list[str]], widths: str) -> str:
    """A table in MyST, whose cells may hold any inline markup."""
    lines = ["```{list-table}", ":header-rows: 1", f":widths: {widths}", ""]
    for row in [head, *rows]:
        lines += [("* - " if i == 0 else "  - ") + cell for i, cell in enumerate(row)]
    return "\n".join([*(line.rstrip() for line in lines), "```"])
