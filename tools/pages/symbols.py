"""Symbols: the tables of the page on notation, the arguments of the package, and the TeX macros, all from one file."""

from __future__ import annotations

import inspect
import re
import tomllib
from functools import lru_cache
from typing import Any

import bregtutorial
from pages.chapters import ROOT, chapters, table

SOURCE = ROOT / "book" / "notation.toml"


@lru_cache
def notation() -> dict[str, Any]:
    """What the file says: the macros, and a list of rows for each of its tables."""
    return tomllib.loads(SOURCE.read_text("utf8"))


def macros() -> dict[str, Any]:
    """TeX macros as MathJax takes them."""
    found: dict[str, Any] = notation()["macros"]
    return found


def rows() -> list[dict[str, str]]:
    """All symbols."""
    return [row for name, part in notation().items() if name != "macros" for row in part]


def symbols(name: str) -> str:
    """One table of the page on notation; its last column is left out where nothing stands in it."""
    found = [[r["maths"], r["code"], _meaning(r), r.get("unit", "")] for r in notation()[name]]
    head, widths = ["Maths", "Code", "Meaning", "Range or unit"], "12 22 46 20"
    if not any(row[3] for row in found):
        found, head, widths = [row[:3] for row in found], head[:3], "12 22 66"
    return table(head, found, widths)


def arguments() -> str:
    """Symbols that are arguments of public classes and functions, and of which: their docstrings must say so."""
    found = []
    for row in rows():
        for name in re.findall(r"`(\w+)=?`", row["code"]):
            if takers := takers_of(name, row["maths"]):
                listed = ", ".join(f"{{py:obj}}`~bregtutorial.{taker}`" for taker in takers)
                found.append([f"`{name}`", row["maths"], _meaning(row), listed])
    return table(["Argument", "Symbol", "Meaning", "Taken by"], found, "14 12 40 34")


def _meaning(row: dict[str, str]) -> str:
    return f"{row['meaning']} · {chapters()[row['chapter']].link}"


def takers_of(argument: str, maths: str) -> list[str]:
    """Public classes and functions, right below the package, whose docstring gives this argument this symbol."""
    found = {name: getattr(bregtutorial, name) for name in bregtutorial.__all__}
    symbol = re.split(r"[,$]", maths.strip("$"))[0]
    return [name for name, thing in found.items() if symbol and symbol in _description(thing, argument)]


def _description(thing: Any, argument: str) -> str:
    """What a docstring says of an argument: its line, and the deeper ones below."""
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return ""
    said = re.search(rf"^    {argument}: (.*(?:\n     .*)*)", inspect.cleandoc(thing.__doc__ or ""), re.MULTILINE)
    return said[1] if said else ""
