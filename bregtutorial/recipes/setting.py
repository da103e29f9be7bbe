"""How a recipe is run: what a reader may choose without changing the algorithm."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bregtutorial.recipes.recipe import Budget, Recipe


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
        device: where to run.
        threads: of the CPU; ``None`` leaves torch's choice.
        compile: compile the model.

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

    def budget(self, recipe: Recipe) -> Budget:
        """The recipe's budget of the tier with what was chosen instead.

        Raises:
            ValueError: ``epochs`` is less than 1.
        """
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")
        chosen = {name: getattr(self, name) for name in ("data", "epochs", "size")}
        return replace(recipe.budget(self.tier), **{k: v for k, v in chosen.items() if v is not None})
