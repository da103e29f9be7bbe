"""The paper's numbers and ours side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from bregtutorial.results.paper import PERCENT, PUBLISHED, PaperRow, Published
from bregtutorial.results.record import Result, load
from bregtutorial.tables import format_table
from bregtutorial.tiers import TIERS, one_of

NONE = "-"
LEGEND = "First the paper's number, then ours: mean ± standard deviation over the seeds."


@dataclass(frozen=True)
class ComparedRow:
    """A row of the paper and the runs that repeat it.

    Attributes:
        paper: the row.
        runs: one for each seed; none if nothing was recorded.

    Book: Experiments, "MNIST and the MLP".
    """

    paper: PaperRow
    runs: tuple[Result, ...]

    def ours(self, name: str) -> tuple[float, float] | None:
        """Mean and standard deviation over the seeds, in the paper's unit; ``None`` where nothing was recorded."""
        scale = 100.0 if name.endswith(PERCENT) else 1.0
        found = [{**run.history[-1], **run.final}.get(name) for run in self.runs]
        values = [scale * value for value in found if value is not None]
        if not values:
            return None
        return mean(values), stdev(values) if len(values) > 1 else 0.0


@dataclass(frozen=True, repr=False)
class Comparison:
    """A table or figure of the paper beside recorded runs; shows as a table with the commands below it.

    Attributes:
        published: what the paper prints.
        rows: the same with our runs.

    Book: Experiments, "MNIST and the MLP".
    """

    published: Published
    rows: tuple[ComparedRow, ...]

    def __repr__(self) -> str:
        names = _columns(row.paper for row in self.rows)
        head = ["", *(title for name in names for title in (_title(name), "ours")), "seeds"]
        body = []
        for row in self.rows:
            cells = [cell for name in names for cell in (_printed(row.paper, name), self._measured(row, name))]
            body.append([row.paper.label, *cells, len(row.runs) or NONE])
        return "\n\n".join([f"{self.published.title}\n{LEGEND}", format_table(head, body), self._commands()])

    def _measured(self, row: ComparedRow, name: str) -> str:
        # a thresholded row has its numbers under other names than its neighbours
        own = next((n for n in row.paper.numbers if n.removeprefix("thresholded_") == name), name)
        found = row.ours(own)
        if found is None:
            return NONE
        spread = f" ± {found[1]:.2f}" if len(row.runs) > 1 else ""
        return f"{found[0]:.4g}{spread}"

    def _commands(self) -> str:
        """How every recorded row can be made again, and what it was made on."""
        first = {row.paper.recipe: row.runs for row in self.rows if row.runs}
        lines = []
        for runs in first.values():
            seeds = ", ".join(str(run.setting.seed) for run in runs)
            on = f"{runs[0].data['name']}, {len(runs[0].history)} epochs, {runs[0].environment['processor']}"
            lines.append(f"{runs[0].command}\n    {on}; seeds {seeds}; {runs[0].revision}, {runs[0].date}")
        missing = dict.fromkeys(row.paper.recipe for row in self.rows if not row.runs)
        lines += [f"not recorded: python -m bregtutorial run {name} --tier full --save results" for name in missing]
        return "\n".join(lines)


def compare(what: str, tier: str | None = None, root: str | os.PathLike[str] | None = None) -> Comparison:
    """Put a table or figure of the paper beside the recorded runs of the same recipes.

    Args:
        what: ``"table 1"`` to ``"table 3"`` or ``"figure 2"`` to ``"figure 4"``.
        tier: of the runs; default: the largest that was recorded of each recipe.
        root: folder of the records; default: those that come with the package.

    Raises:
        ValueError: there is no such table or figure, or tier.

    Example:
        >>> from bregtutorial import results
        >>> comparison = results.compare("figure 2")
        >>> comparison.rows[3].paper.numbers["density"]
        11.1

    Book: Experiments, "MNIST and the MLP".
    """
    published = PUBLISHED[one_of("what", what, PUBLISHED)]
    runs = load(published.rows[0].recipe.split("/")[0], tier, root)
    rows = tuple(ComparedRow(row, _largest([r for r in runs if r.recipe.name == row.recipe])) for row in published.rows)
    return Comparison(published, rows)


def _largest(runs: Sequence[Result]) -> tuple[Result, ...]:
    """The runs of the largest tier among them."""
    tiers = [tier for tier in TIERS if any(run.setting.tier == tier for run in runs)]
    return tuple(run for run in runs if run.setting.tier == tiers[-1]) if tiers else ()


def _columns(rows: Iterable[PaperRow]) -> list[str]:
    return list(dict.fromkeys(name.removeprefix("thresholded_") for row in rows for name in row.numbers))


def _title(name: str) -> str:
    return name.replace("_", " ") + (" %" if name.endswith(PERCENT) else "")


def _printed(row: PaperRow, name: str) -> str:
    found = [value for own, value in row.numbers.items() if own.removeprefix("thresholded_") == name]
    return f"{found[0]:g}" if found else NONE
