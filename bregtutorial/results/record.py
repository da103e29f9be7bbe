"""A recorded run: the whole recipe, what it ran on, and what came out, in one small file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from bregtutorial.recipes import Recipe, Setting, from_plain, names, to_plain
from bregtutorial.tiers import TIERS, one_of

DIGITS = 6  # more would show rounding errors of another machine
OTHERS = ("benchmarks", "growth")  # folders of records that are no runs
Row = Mapping[str, float]


@dataclass(frozen=True, repr=False)
class Result:
    """What a run gave, and everything that is needed to repeat it.

    Attributes:
        recipe: what was run.
        setting: tier, seed and what else was chosen.
        data: name, source, sizes and fingerprints of the images.
        history: a row an epoch, see :func:`bregtutorial.fit`.
        final: the numbers at the end, as fractions: accuracies, ``density``, ``n_linear`` (non-zero weights of Linear
            layers), ``n_conv`` (kernels with a non-zero weight); ``thresholded_...`` for a recipe with a threshold.
        environment: versions, hardware, number of threads and processes.
        revision: of the package's source.
        date: on which the run ended.
        model: the trained network, which no record stores.

    Book: Experiments, "MNIST and the MLP".
    """

    recipe: Recipe
    setting: Setting
    data: Mapping[str, Any]
    history: Sequence[Row]
    final: Mapping[str, float]
    environment: Mapping[str, Any]
    revision: str
    date: str
    model: nn.Module | None = field(default=None, compare=False)

    @property
    def seconds(self) -> float:
        """Time that the epochs took."""
        return sum(row["seconds"] for row in self.history)

    @property
    def command(self) -> str:
        """The command that makes this record."""
        return f"{self.setting.command(self.recipe.name)} --save results"

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in self.final.items())
        return f"{self.recipe.name} ({self.setting.tier}, seed {self.setting.seed}, {self.data['name']}): {numbers}"

    def to_plain(self) -> dict[str, Any]:
        """The record as what JSON knows."""
        columns = {name: [_rounded(row.get(name)) for row in self.history] for row in self.history[:1] for name in row}
        return {
            "name": self.recipe.name,
            "command": self.command,
            "final": {name: _rounded(value) for name, value in self.final.items()},
            "seconds": _rounded(
                sum(columns.get("seconds", []))
            ),  # of the rounded rows: a record saved again is the same
            "setting": asdict(self.setting),
            "data": dict(self.data),
            "environment": dict(self.environment),
            "revision": self.revision,
            "date": self.date,
            "recipe": to_plain(self.recipe),
            "history": columns,
        }

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``<experiment>/<variant>-<tier>-seed<k>.json`` below a folder, and return its path."""
        name = f"{self.recipe.variant}-{self.setting.tier}-seed{self.setting.seed}.json"
        path = Path(folder) / self.recipe.experiment / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_dump(self.to_plain()), "utf8")
        return path


def from_record(plain: Mapping[str, Any]) -> Result:
    """The result that a record describes.

    Raises:
        TypeError: the record has settings that this version does not know.
    """
    columns = plain["history"]
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Result(
        from_plain(plain["recipe"]),
        Setting(**plain["setting"]),
        plain["data"],
        rows,
        plain["final"],
        plain["environment"],
        plain["revision"],
        plain["date"],
    )


def folder() -> Path:
    """Where the records of the book lie: ``results/`` beside a clone's package, or inside an installed one.

    Example:
        >>> folder().name in ("results", "recorded")
        True

    Book: Experiments, "MNIST and the MLP".
    """
    package = Path(__file__).resolve().parent.parent
    inside = package / "recorded"
    return inside if inside.is_dir() else package.parent / "results"


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The plain content of a record.

    Args:
        path: one of :func:`paths`.

    Example:
        >>> content = read(next(paths("mnist-mlp")))
        >>> list(content)[:3]
        ['name', 'command', 'final']

    Book: Experiments, "MNIST and the MLP".
    """
    content: dict[str, Any] = json.loads(Path(path).read_text("utf8"))
    return content


def paths(experiment: str | None = None, root: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """Files of the records, of one experiment or of all, in the order of their names.

    Args:
        experiment: for example ``"mnist-mlp"``.
        root: folder of the records; default: those that come with the package.

    Example:
        >>> {path.suffix for path in paths("mnist-mlp")}
        {'.json'}

    Book: Experiments, "MNIST and the MLP".
    """
    place = folder() if root is None else Path(root)
    return iter(sorted(p for p in place.glob(f"{experiment or '*'}/*.json") if p.parent.name not in OTHERS))


def load(experiment: str, tier: str | None = None, root: str | os.PathLike[str] | None = None) -> list[Result]:
    """The recorded runs of an experiment, in the order of its recipes and by seed.

    Args:
        experiment: for example ``"mnist-mlp"``.
        tier: only of this one.
        root: folder of the records; default: those that come with the package.

    Raises:
        ValueError: there is no such experiment or tier.

    Example:
        >>> runs = load("mnist-mlp", tier="full")
        >>> sorted({run.setting.tier for run in runs})
        ['full']

    Book: Experiments, "MNIST and the MLP".
    """
    order = {name: i for i, name in enumerate(names(experiment))}
    if tier is not None:
        one_of("tier", tier, TIERS)
    found = [from_record(read(path)) for path in paths(experiment, root)]
    chosen = [run for run in found if tier in (None, run.setting.tier)]
    return sorted(chosen, key=lambda run: (order.get(run.recipe.name, len(order)), run.setting.tier, run.setting.seed))


def _rounded(x: Any) -> Any:
    return float(f"{x:.{DIGITS}g}") if isinstance(x, float) else x


def _dump(plain: Mapping[str, Any]) -> str:
    """JSON with a line for each entry and for each column of the history: small, and readable in a diff."""
    entries = {name: json.dumps(value, allow_nan=False) for name, value in plain.items()}
    lines = [
        f"  {json.dumps(name)}: {json.dumps(column, allow_nan=False)}" for name, column in plain["history"].items()
    ]
    entries["history"] = "{\n" + ",\n".join(lines) + "\n }"
    return "{\n" + ",\n".join(f" {json.dumps(name)}: {value}" for name, value in entries.items()) + "\n}\n"
