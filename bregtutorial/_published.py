"""The paper's figures, drawn from recorded runs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING

from bregtutorial._charts import history
from bregtutorial.results import Comparison, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = list[dict[str, float]]


def comparison(found: Comparison) -> Figure:
    """Draw a figure of the paper from recorded runs: the mean over the seeds of what it draws over the epochs.

    Args:
        found: what :func:`bregtutorial.results.compare` gives for a figure.

    Raises:
        ValueError: nothing was recorded of it, or the paper shows a table.

    Example:
        >>> from bregtutorial import results
        >>> comparison(results.compare("table 1"))
        Traceback (most recent call last):
        ValueError: Table 1: ConvNet on Fashion-MNIST, single weights has no curves

    Book: Experiments, "MNIST and the MLP".
    """
    names, rows = found.published.curves, [row for row in found.rows if row.runs]
    if not names or not rows:
        raise ValueError(f"{found.published.title} has no {'recorded runs' if names else 'curves'}")
    if names[0].startswith("active/"):  # one network, a curve for each of its layers
        table = _mean(rows[-1].runs, names)
        layers = {
            f"layer {k}": [{"epoch": r["epoch"], "active neurons": r[n]} for r in table] for k, n in enumerate(names, 2)
        }
        return history(layers, panels=["active neurons"], height=3.5)
    return history({row.paper.label: _mean(row.runs, names) for row in rows}, panels=names)


def _mean(runs: Sequence[Result], names: Sequence[str]) -> Rows:
    """Mean over the seeds, for the epochs that all of them have."""
    rows = zip(*(run.history for run in runs), strict=False)
    return [{"epoch": same[0]["epoch"], **{n: mean(row[n] for row in same) for n in names}} for same in rows]
