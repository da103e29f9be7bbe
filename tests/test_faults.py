"""The page *When something goes wrong*: every row names tests, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "book" / "faults.md").read_text("utf8")
LINK = re.compile(r'\[\d+\]\(https://github\.com/bregtutorial/bregtutorial/blob/main/(tests/\w+\.py) "(\w+)"\)')
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what happens")]


def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text("utf8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_row_is_held_by_tests_that_exist() -> None:
    assert len(ROWS) > 20
    assert not [row for row in ROWS if not LINK.search(row)]
    links = LINK.findall(PAGE)
    assert len(links) == PAGE.count("](http")
    assert not [(file, name) for file, name in links if name not in names_in(file)]


def test_a_test_that_is_gone_is_noticed() -> None:
    assert "test_every_row_is_held_by_tests_that_exist" in names_in("tests/test_faults.py")
    assert "test_that_is_gone" not in names_in("tests/test_faults.py")


def test_what_the_page_quotes_is_what_the_package_says() -> None:
    quoted = re.findall(r"\*([^*|]{12,})\*", " ".join(ROWS))
    sources = " ".join(path.read_text("utf8") for path in (ROOT / "bregtutorial").rglob("*.py"))
    ours = [text for text in quoted if not text.startswith("Expected more than 1")]  # torch says that
    assert len(ours) >= 5
    for text in ours:
        # numbers and names are filled in
        pieces = [p for p in re.split(r"\d[\d.]*|…|nan|: No space left on device", text) if len(p.strip(" ,")) > 3]
        assert all(piece.strip(" ,") in sources for piece in pieces), text
