"""What all benchmarks share: alternatives timed side by side, a JSON record, and the tables that the docs show of it.

    rows = compare({"old": f, "new": g}, rounds=15)       # seconds and ratios to the first, medians
    record("name", {"main": (COLUMNS, rows)})             # results/benchmarks/name.json, and the docs follow

A page shows a table between ``<!-- benchmark:name/main -->`` and ``<!-- end -->``; ``python benchmarks/_harness.py``
writes them all anew, and a test compares them with the records.
"""

import argparse
import datetime
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from bregtutorial import results
from bregtutorial.cost import timings
from bregtutorial.results.benchmarks import from_plain

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "results" / "benchmarks"
DOCS = (ROOT / "README.md",)
MARK = re.compile(r"(<!-- benchmark:([\w-]+)/([\w-]+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)

Row = dict[str, Any]
Columns = Mapping[str, str]  # title of a column -> how its numbers are written: a format, or "" for text


def compare(alternatives: Mapping[str, Callable[[], Any]], *, rounds: int = 15, label: str = "variant") -> list[Row]:
    """A row for each alternative: median milliseconds, and the median over the rounds of its time / the first one's."""
    samples = timings(alternatives, rounds=rounds)
    first = next(iter(samples.values()))
    return [
        {
            label: name,
            "ms": 1e3 * median(times),
            "ratio": median(a / b for a, b in zip(times, first, strict=True)),
            "slowest ms": 1e3 * max(times),
        }
        for name, times in samples.items()
    ]


def options(about: str | None, argv: Sequence[str] | None = None, **defaults: Any) -> argparse.Namespace:
    """The arguments of every benchmark, and one more for each keyword; sets the number of threads."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="turns of every alternative; the median counts")
    parser.add_argument("--threads", type=int, default=1)
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    found = parser.parse_args(argv)
    torch.set_num_threads(found.threads)
    return found


def record(name: str, tables: Mapping[str, tuple[Columns, list[Row]]], **facts: Any) -> Path:
    """Write ``results/benchmarks/<name>.json``, print its tables and put them into the docs.

    Columns that a table does not name stay in the record. ``facts`` are numbers beside the tables.
    """
    content = {
        "name": name,
        **provenance(),
        **facts,
        "tables": {key: {"columns": dict(columns), "rows": rows} for key, (columns, rows) in tables.items()},
    }
    RECORDS.mkdir(parents=True, exist_ok=True)
    path = RECORDS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", "utf8")
    print(load(name), flush=True)
    for doc in DOCS:
        doc.write_text(fill(doc.read_text("utf8")), "utf8")
    return path


def provenance() -> dict[str, Any]:
    """With which command, when, on what and with what."""
    return {
        "command": "python " + shlex.join(os.path.relpath(a, ROOT) if a == sys.argv[0] else a for a in sys.argv),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "revision": results.revision(),
        "environment": results.environment(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
    }


def load(name: str) -> results.Benchmark:
    return from_plain(results.read(RECORDS / f"{name}.json"))


def fill(text: str) -> str:
    """The text with every marked table written anew from its record."""
    return MARK.sub(lambda m: f"{m[1]}{load(m[2]).tables[m[3]].markdown()}\n{m[4]}", text)


if __name__ == "__main__":
    for page in DOCS:
        page.write_text(fill(page.read_text("utf8")), "utf8")
