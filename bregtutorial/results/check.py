"""Whether a record can still be made by the command that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bregtutorial.recipes import RECIPES, Setting, from_plain, parse
from bregtutorial.results.record import Result


def check(record: Result | Mapping[str, Any]) -> list[str]:
    """What keeps a record from being made again, in words; an empty list if nothing does.

    The recipe of that name must still be the recorded one, and the command must name this recipe and this setting.

    Args:
        record: a result, or the content of its file.

    Example:
        >>> from bregtutorial import results
        >>> [problem for path in results.paths() for problem in check(results.read(path))]
        []

    Book: Experiments, "MNIST and the MLP".
    """
    plain = record.to_plain() if isinstance(record, Result) else record
    try:
        return _recipe_problems(plain) + _command_problems(plain)
    except (KeyError, TypeError, ValueError) as error:
        return [f"the record cannot be read: {error!r}"]


def _recipe_problems(plain: Mapping[str, Any]) -> list[str]:
    name = plain["name"]
    if name not in RECIPES:
        return [f"there is no recipe {name!r}"]
    recorded, present = vars(from_plain(plain["recipe"])), vars(RECIPES[name])
    changed = [key for key in present if recorded[key] != present[key] and key != "how"]
    return [f"{name}: {key} was {recorded[key]!r} and is now {present[key]!r}" for key in changed]


def _command_problems(plain: Mapping[str, Any]) -> list[str]:
    name, setting = parse(plain["command"])
    if name != plain["name"]:
        return [f"the command runs {name!r}, the record is of {plain['name']!r}"]
    if setting != Setting(**plain["setting"]):
        return [f"the command means {setting}, the run had {plain['setting']}"]
    return []
