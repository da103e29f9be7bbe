"""Recorded benchmarks: what the scripts in ``benchmarks/`` measured, and on what machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bregtutorial.results.record import folder, read
from bregtutorial.tables import format_table


@dataclass(frozen=True, repr=False)
class Table:
    """Rows of numbers and how to write them; shows as text.

    Attributes:
        columns: title of each column that is shown, and the format of its numbers, ``""`` for text.
        rows: what was measured; may hold more than the columns show.

    Book: Frontiers, "From zeros to speed".
    """

    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]

    def _body(self) -> list[list[str]]:
        return [
            ["–" if row.get(title) is None else format(row[title], how) for title, how in self.columns.items()]
            for row in self.rows
        ]

    def __repr__(self) -> str:
        return format_table(list(self.columns), self._body())

    def markdown(self) -> str:
        """The table for a page."""
        lines = [list(self.columns), ["---", *["---:"] * (len(self.columns) - 1)], *self._body()]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@dataclass(frozen=True, repr=False)
class Benchmark:
    """A recorded benchmark; shows as its tables and the machine that they come from.

    Attributes:
        name: of the script.
        tables: what was measured.
        origin: command, date, revision, environment, and facts that stand in no table.

    Book: Frontiers, "From zeros to speed".
    """

    name: str
    tables: Mapping[str, Table]
    origin: Mapping[str, Any]

    @property
    def conditions(self) -> str:
        """Machine, threads, version of torch and date, in one line."""
        where = self.origin["environment"]
        device = where["processor"] if where["device"] == "cpu" else where["device"]
        torch_version = where["versions"]["torch"]
        return f"{device}, {where['threads']} threads, torch {torch_version}, {self.origin['date'][:10]}"

    def __repr__(self) -> str:
        return "\n\n".join([f"{self.name}: {self.conditions}", *map(repr, self.tables.values())])


def benchmark(name: str) -> Benchmark:
    """The record of a benchmark that comes with the package.

    Args:
        name: of the script in ``benchmarks/`` that made it, without ending.

    Raises:
        ValueError: there is no such record.

    Example:
        >>> benchmark("step_time").tables["main"].columns["ms"]
        '.2f'

    Book: Frontiers, "From zeros to speed".
    """
    place = folder() / "benchmarks"
    recorded = sorted(path.stem for path in place.glob("*.json"))
    if name not in recorded:
        raise ValueError(f"no benchmark {name!r} is recorded, only {', '.join(recorded)}")
    return from_plain(read(place / f"{name}.json"))


def from_plain(content: Mapping[str, Any]) -> Benchmark:
    """The benchmark that a file describes."""
    tables = {key: Table(table["columns"], table["rows"]) for key, table in content["tables"].items()}
    return Benchmark(content["name"], tables, {k: v for k, v in content.items() if k not in ("name", "tables")})
