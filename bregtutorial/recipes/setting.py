"""How a recipe is run: what a reader may choose without changing the algorithm."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields, replace

from bregtutorial.recipes.recipe import Budget, Recipe
from bregtutorial.tiers import TIERS, one_of

ALWAYS = ("tier", "seed")  # a command names these also where they are the defaults


@dataclass(frozen=True)
class Setting:
    """What may be chosen for one run of a recipe; together they make the command that repeats it.

    Attributes:
        tier: ``"quick"``, ``"colab"`` or ``"full"``.
        seed: of initialisation, order of batches and augmentation.
        data: another data set than the tier's, also ``"folder:PATH"``; ``None`` takes the tier's.
        data_note: what the record says of the data beside its name and source.
        epochs: ``None`` takes the tier's.
        size: number of training images; ``None`` takes the tier's.
        precision: ``None`` takes the recipe's.
        device: where to run; ``None`` takes CUDA if it is there, else the CPU.
        threads: of the CPU; ``None`` leaves torch's choice.
        compile: compile the model.
        processes: how many train together, started by ``torchrun``.

    Raises:
        ValueError: a setting is out of range.

    Book: Experiments, "MNIST and the MLP".
    """

    tier: str = "quick"
    seed: int = 0
    data: str | None = None
    data_note: str | None = None
    epochs: int | None = None
    size: int | None = None
    precision: str | None = None
    device: str | None = None
    threads: int | None = None
    compile: bool = False
    processes: int = 1

    def __post_init__(self) -> None:
        one_of("tier", self.tier, TIERS)
        for name in ("epochs", "size", "threads"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")

    def budget(self, recipe: Recipe) -> Budget:
        """The recipe's budget of the tier with what was chosen instead."""
        chosen = {name: getattr(self, name) for name in ("data", "epochs", "size")}
        return replace(recipe.budgets[self.tier], **{k: v for k, v in chosen.items() if v is not None})

    def command(self, name: str) -> str:
        """The command that runs the recipe ``name`` in this setting.

        Example:
            >>> Setting("full", seed=1, epochs=30).command("mnist-mlp/sgd")
            'python -m bregtutorial run mnist-mlp/sgd --tier full --seed 1 --epochs 30'
        """
        words = ["python"] if self.processes == 1 else ["torchrun", "--nproc-per-node", str(self.processes)]
        words += ["-m", "bregtutorial", "run", name]
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name != "processes" and (value != f.default or f.name in ALWAYS):
                words.append("--" + f.name.replace("_", "-"))
                words += [] if value is True else [str(value)]
        return shlex.join(words)
