"""How long things take, and on what: chapters as this site's build ran them, experiments as their records say."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from execute import CACHE

from bregtutorial import results
from bregtutorial.results import Result
from pages.chapters import ROOT, chapters, table
from pages.ledger import NONE, home

UNKNOWN = "not run"


class LastRun(NamedTuple):
    """When and how long a page was executed for the site that is being built."""

    date: datetime
    seconds: float


@lru_cache
def last_run(path: Path) -> LastRun | None:
    """What the cache of executed chapters knows of a page; nothing if the build shows stored outputs."""
    from jupyter_cache import get_cache

    if not CACHE.exists() or path.suffix != ".ipynb":
        return None
    try:
        record = get_cache(str(CACHE)).match_cache_file(str(path))
    except KeyError:
        return None
    seconds = record.data.get("execution_seconds")
    return None if seconds is None else LastRun(record.created.replace(tzinfo=UTC), seconds)


def versions() -> str:
    """Python and packages of this environment, which is the one that executed the pages."""
    found = results.environment(torch.device("cpu"))["versions"]
    return ", ".join(
        f"{name.title() if name == 'python' else name} {found[name]}" for name in ("python", "torch", "numpy")
    )


def machine() -> str:
    """This machine, in words."""
    found = results.environment(torch.device("cpu"))
    return f"{found['processor']} ({os.cpu_count()} cores), {platform.system()}"


def times() -> str:
    """Seconds of every chapter in the quick tier."""
    rows = []
    for chapter in chapters().values():
        run = last_run(ROOT / f"{chapter.doc}.ipynb")
        rows.append([chapter.link, f"{run.seconds:.0f} s" if run else UNKNOWN, f"{run.date:%Y-%m-%d}" if run else NONE])
    where = f"On {machine()}, with {versions()}." if any(row[1] != UNKNOWN for row in rows) else ""
    return f"{where}\n\n{table(['Chapter', 'Time', 'Date'], rows, '60 20 20')}"


def recorded_times() -> str:
    """Time of every recorded run, and what follows from it for the other two budgets of its recipe."""
    rows = []
    for experiment in dict.fromkeys(path.parent.name for path in results.paths()):
        chapter = home(experiment)
        for same in _by_recipe(results.load(experiment)):
            rows.append([same[0].recipe.name, chapter.link if chapter else NONE, *_measured(same), *_estimates(same)])
    head = ["Recipe", "Chapter", "Recorded", "Hardware", "colab, estimated", "full, estimated"]
    return table(head, rows, "20 22 16 18 12 12")


def estimate(run: Result, tier: str) -> float | None:
    """Seconds of another budget on the same hardware: epochs times the measured time of one.

    Only where one epoch of it was measured: the same data, widths and number of images.
    """
    ran, wanted = run.setting.budget(run.recipe), run.recipe.budgets[tier]
    if (ran.data, ran.widths, ran.size) != (wanted.data, wanted.widths, wanted.size) or run.recipe.sizes:
        return None
    return wanted.epochs * run.seconds / len(run.history)


def _by_recipe(runs: list[Result]) -> list[list[Result]]:
    names = dict.fromkeys((run.recipe.name, run.setting.tier) for run in runs)
    return [[r for r in runs if (r.recipe.name, r.setting.tier) == name] for name in names]


def _measured(same: list[Result]) -> list[str]:
    run, seconds = same[0], sorted(r.seconds for r in same)
    span = duration(seconds[0]) + (f" to {duration(seconds[-1])}" if len(same) > 1 else "")
    found = run.environment
    device = found["device"] if found["device"] != "cpu" else found["processor"]
    return [
        f"{span}, {len(run.history)} epochs of {run.setting.tier}",
        f"{device}, {found['threads']} of {found['cores']} cores",
    ]


def _estimates(same: list[Result]) -> list[str]:
    fastest = min(same, key=lambda run: run.seconds)  # a busy machine makes times longer, never shorter
    found = [estimate(fastest, tier) for tier in ("colab", "full")]
    return [NONE if seconds is None else f"≈ {duration(seconds)}" for seconds in found]


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
