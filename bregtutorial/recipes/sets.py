"""The images of a run: by name, or from a folder of the reader's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bregtutorial.data import ImageSet, load_dataset
from bregtutorial.data.download import data_root
from bregtutorial.recipes.recipe import Budget


def load_sets(budget: Budget, tier: str, holdout: float = 0.0) -> dict[str, ImageSet]:
    """Training and test images, and ``"valid"`` between them where a share of the training images is held out.

    The path in ``"folder:PATH"`` is looked for as it is, then below the root of the data.
    """
    name, _, path = budget.data.partition(":")
    root: Path | None = None
    options: dict[str, Any] = {}
    if name == "folder":
        root = Path(path).expanduser()
        root = root if root.is_dir() or root.is_absolute() else data_root() / root
        options = {"image_size": 32}
    train = load_dataset(name, "train", root, tier, size=budget.size, **options)
    test = load_dataset(name, "test", root, tier, **options)
    if not holdout:
        return {"train": train, "test": test}
    train, valid = train.hold_out(round(holdout * len(train)))
    return {"train": train, "valid": valid, "test": test}


def describe_sets(sets: Mapping[str, ImageSet], budget: Budget, note: str | None) -> dict[str, object]:
    """What a record says of the images: enough to tell whether another run saw the same ones."""
    test = sets["test"]
    # a folder is called as the command calls it: where it lies is the reader's business
    source = f"images in {budget.data}" if budget.data.startswith("folder") else test.source
    parts = {name: {"images": len(s), "fingerprint": s.fingerprint()} for name, s in sets.items()}
    return {"name": test.name, "source": source, "note": note, **parts}
