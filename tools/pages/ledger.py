"""The ledger: every claim of the paper, the chapter that treats it, what our runs say, and the tests."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml

from bregtutorial import results
from bregtutorial.results import PUBLISHED, ComparedRow, Result
from pages import verdicts
from pages.chapters import ROOT, Chapter, chapters, table

SOURCE = ROOT / "book" / "ledger.toml"
NONE = "–"


@lru_cache
def entries() -> dict[str, list[dict[str, Any]]]:
    """The file: lists of theory, experiment and finding."""
    return tomllib.loads(SOURCE.read_text("utf8"))


def tests(named: str) -> list[str]:
    """The tests that an entry means by ``file::start_of_a_name``."""
    file, start = named.split("::")
    text = (ROOT / "tests" / file).read_text("utf8")
    return re.findall(rf"^def ({re.escape(start)}\w*)\(", text, re.MULTILINE)


def home(experiment: str) -> Chapter | None:
    """The first chapter that shows the recorded runs of an experiment."""
    figures = [what for what in PUBLISHED if PUBLISHED[what].rows[0].recipe.startswith(f"{experiment}/")]
    calls = [f'compare("{what}"' for what in figures] + [f'load("{experiment}"']
    found = (chapter for chapter in chapters().values() if any(call in "\n".join(chapter.code) for call in calls))
    return next(found, None)


def theory() -> str:
    """Statements with the tests that run them."""
    rows = []
    for entry in entries()["theory"]:
        (chapter,) = [c for c in chapters().values() if entry["statement"] in [s.label for s in c.statements]]
        checks = ", ".join(_link(f"tests/{n.split('::')[0]}", f"`{n.split('::')[1]}…`") for n in entry["tests"])
        rows.append([entry["claim"], f"{{prf:ref}}`{entry['statement']}` in {chapter.link}", checks])
    return table(["The paper says", "Stated in", "Checked by"], rows, "40 30 30")


def experiments() -> str:
    """Tables, figures and findings with their verdicts."""
    rows = [_experiment(entry["compare"]) for entry in entries()["experiment"]]
    rows += [_finding(entry) for entry in entries()["finding"]]
    return table(["The paper says", "Chapter", "Verdict", "Ours"], rows, "40 22 20 18")


def numbers() -> str:
    """Row by row, for each table or figure of which something was recorded."""
    parts = []
    for entry in entries()["experiment"]:
        compared = verdicts.compare(entry["compare"])
        if rows := [_cells(row) for row in compared.rows if row.runs]:
            head = ["", "Paper → ours", "Verdict", "Records"]
            parts.append(f"### {compared.published.title}\n\n{table(head, rows, '24 40 16 20')}")
    return "\n\n".join(parts)


def _experiment(what: str) -> list[str]:
    rows = verdicts.compare(what).rows
    note = verdicts.shorter([run for row in rows for run in row.runs])
    return [
        PUBLISHED[what].title,
        _home(rows[0].paper.recipe),
        f"**{verdicts.experiment_verdict(what)}**",
        note or NONE,
    ]


def _finding(entry: dict[str, Any]) -> list[str]:
    values = " → ".join(f"{value:.4g}" for value in verdicts.finding_values(entry) or [])
    note = verdicts.shorter([run for name in entry["runs"] for run in verdicts.recorded(name).runs])
    ours = "; ".join(filter(None, [values, note])) or NONE
    return [entry["claim"], _home(entry["runs"][0]), f"**{verdicts.finding_verdict(entry)}**", ours]


def _home(recipe: str) -> str:
    chapter = home(recipe.split("/")[0])
    return chapter.link if chapter else NONE


def _cells(row: ComparedRow) -> list[str]:
    pairs = []
    for name, theirs in row.paper.numbers.items():
        if found := row.ours(name):
            spread = f" ± {found[1]:.2g}" if len(row.runs) > 1 else ""
            pairs.append(f"{name.replace('_', ' ')} {theirs:g} → {found[0]:.4g}{spread}")
    note = verdicts.shorter(row.runs)
    records = ", ".join(_record(run) for run in row.runs)
    verdict = verdicts.row_verdict(row) or "no number printed"
    return [row.paper.label, "; ".join(pairs) or NONE, verdict, f"{records}{f' ({note})' if note else ''}"]


def _record(run: Result) -> str:
    return _link(path_of(run), f"seed {run.setting.seed}")


def path_of(run: Result) -> str:
    """Where a record lies, from the root."""
    name = f"{run.recipe.variant}-{run.setting.tier}-seed{run.setting.seed}.json"
    return f"{results.folder().name}/{run.recipe.experiment}/{name}"


def _link(path: str, text: str) -> str:
    repository = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]
    return f"[{text}]({repository['url']}/blob/{repository['branch']}/{path})"


def verdict_counts() -> Iterator[tuple[str, int]]:
    """How many claims of the experiments have which verdict."""
    found = [verdicts.experiment_verdict(e["compare"]).split(":")[0] for e in entries()["experiment"]]
    found += [verdicts.finding_verdict(e) for e in entries()["finding"]]
    for verdict in (verdicts.YES, verdicts.PARTLY, verdicts.NO, verdicts.NOT_YET):
        yield verdict, found.count(verdict)


def rule() -> str:
    """When a row agrees."""
    return (
        f"A row agrees if every number that the paper prints of it does: accuracies to {verdicts.POINTS:g} percentage "
        f"point, SSIM to {verdicts.SSIM:g}, densities and numbers of neurons to a factor of {verdicts.RATIO:g}."
    )


def summary() -> str:
    """One sentence with the counts."""
    counted = ", ".join(f"{n} {verdict}" for verdict, n in verdict_counts() if n)
    return f"Of {sum(n for _, n in verdict_counts())} claims about experiments: {counted}."
