"""What keeps a network up to date for whoever looks at it.

Book: Frontiers, "Multilevel training".
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol


class Synced(Protocol):
    """Something that can be brought up to date."""

    def sync(self) -> None:
        """Do it."""


class Look:
    """Called when somebody is about to look at the model. A copy of the model does not look back."""

    def __init__(self, ml: Synced | None = None) -> None:
        self._ml = None if ml is None else weakref.ref(ml)

    def __call__(self, *_: Any) -> None:
        """Bring it up to date; a hook of modules and of optimizers."""
        ml = None if self._ml is None else self._ml()
        if ml is not None:
            ml.sync()

    def __reduce__(self) -> tuple[type[Look], tuple[()]]:
        return Look, ()
