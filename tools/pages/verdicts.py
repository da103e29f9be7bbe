"""Whether recorded runs repeat what the paper says. One rule for all rows, stated on the ledger's page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from bregtutorial import results
from bregtutorial.results import ComparedRow, Result

POINTS = 1.0  # accuracies, in percentage points
SSIM = 0.02
RATIO = 1.25  # densities and numbers of neurons
YES, PARTLY, NO, NOT_YET = "reproduced", "partly", "not reproduced", "not yet run"
compare = lru_cache(results.compare)


def agrees(name: str, theirs: float, ours: float) -> bool:
    """Whether a number is near enough to the paper's."""
    if name.endswith("accuracy"):
        return abs(theirs - ours) <= POINTS
    if name.endswith("ssim"):
        return abs(theirs - ours) <= SSIM
    return max(theirs, ours) <= RATIO * min(theirs, ours)


def row_verdict(row: ComparedRow) -> str | None:
    """Of one row; nothing where the paper prints no number."""
    if not row.runs:
        return NOT_YET
    found = [(name, theirs, row.ours(name)) for name, theirs in row.paper.numbers.items()]
    return _of(agrees(name, theirs, ours[0]) for name, theirs, ours in found if ours) if found else None


def experiment_verdict(what: str) -> str:
    """Of a table or figure, with the number of rows that agree."""
    verdicts = [verdict for row in compare(what).rows if (verdict := row_verdict(row))]
    if set(verdicts) == {NOT_YET}:
        return NOT_YET
    good = verdicts.count(YES)
    whole = YES if good == len(verdicts) else PARTLY if good else NO
    return f"{whole}: {good} of {len(verdicts)} rows agree"


def finding_verdict(finding: dict[str, Any]) -> str:
    """Of an order among numbers: it holds, or it does not."""
    values = finding_values(finding)
    if values is None:
        return NOT_YET
    if finding["holds"] == "drop":
        return YES if values[0] - values[-1] <= finding["at_most"] else NO
    steps = [b - a if finding["holds"] == "rise" else a - b for a, b in pairwise(values)]
    return YES if min(steps) > 0 else NO


def finding_values(finding: dict[str, Any]) -> list[float] | None:
    """The numbers that are compared, in the paper's units; nothing if a run is missing."""
    found = [recorded(name).ours(number) for name in finding["runs"] for number in finding["numbers"]]
    return [value[0] for value in found if value] if all(found) else None


def recorded(recipe: str) -> ComparedRow:
    """The row of the paper that a recipe repeats, with its runs."""
    rows = [row for what in results.PUBLISHED for row in compare(what).rows if row.paper.recipe == recipe]
    return rows[0]


def shorter(runs: Sequence[Result]) -> str:
    """How the runs fall short of the paper's scale, in words; empty if they do not."""
    for run in runs:
        full = run.recipe.full
        if run.setting.tier != "full":
            return f"{run.setting.tier} tier"
        if len(run.history) < full.epochs:
            return f"{len(run.history)} of {full.epochs} epochs"
        if run.data["name"] != full.data:
            return f"on {run.data['name']} instead of {full.data}"
    return ""


def _of(agreeing: Iterable[bool]) -> str:
    found = list(agreeing)
    return YES if all(found) else PARTLY if any(found) else NO
