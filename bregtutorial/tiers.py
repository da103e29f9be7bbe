"""The three budgets of every experiment: one recipe, and a tier that says how much of it to run."""

import difflib
import os
from collections.abc import Iterable

TIERS = ("quick", "colab", "full")
TIER_VARIABLE = "BREGTUTORIAL_TIER"


def current_tier(tier: str | None = None) -> str:
    """Return the tier to run: the argument, else the environment variable ``BREGTUTORIAL_TIER``, else ``"quick"``.

    ``"quick"`` needs two CPU cores and no download, ``"colab"`` one small GPU and the real data sets, ``"full"`` is
    the scale of the paper. A tier changes data, epochs, widths and, where layers are narrow, the initial density; never
    the algorithm.

    Args:
        tier: one of ``"quick"``, ``"colab"``, ``"full"``; ``None`` asks the environment.

    Raises:
        ValueError: the tier is unknown.

    Example:
        >>> current_tier("colab")
        'colab'

    Book: Foundations, "A first sparse network".
    """
    if tier is not None:
        return one_of("tier", tier, TIERS)
    return one_of(TIER_VARIABLE, os.environ.get(TIER_VARIABLE) or "quick", TIERS)


def one_of(argument: str, value: str, options: Iterable[str]) -> str:
    """Return ``value`` if it is among ``options``; otherwise raise an error that names the nearest option.

    Raises:
        ValueError: ``value`` is not among ``options``.

    Example:
        >>> one_of("split", "tset", ("train", "test"))
        Traceback (most recent call last):
        ValueError: split must be one of 'train', 'test', got 'tset'; did you mean 'test'?

    Book: Foundations, "A first sparse network".
    """
    names = tuple(options)
    if value in names:
        return value
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{argument} must be one of {', '.join(map(repr, names))}, got {value!r}{hint}")
