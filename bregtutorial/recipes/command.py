"""The options of ``bregtutorial run``, and the way back from a command to what it means."""

from __future__ import annotations

import argparse
import difflib
import re
import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NoReturn

from bregtutorial.recipes.recipe import PRECISIONS
from bregtutorial.recipes.setting import Setting
from bregtutorial.tiers import TIERS


class Parser(argparse.ArgumentParser):
    """A parser of commands that raises ``ValueError`` where it does not understand, and names what was near."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: D102
        known, rest = super().parse_known_args(args, namespace)
        for word in rest:
            hint = _hint(word.split("=")[0], self._option_string_actions)
            raise ValueError(f"{self.prog}: {word!r} means nothing here{hint}")
        return known, rest

    def error(self, message: str) -> NoReturn:  # noqa: D102
        wrong = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        hint = _hint(wrong[1], re.findall(r"[\w-]+", wrong[2])) if wrong else ""
        raise ValueError(f"{self.prog}: {message}{hint}")


def _hint(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; see {'--help'!r}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a parser the name of a recipe and an option for every field of :class:`Setting`."""
    parser.add_argument("recipe", help="experiment/variant; `list` names them")
    parser.add_argument("--tier", choices=TIERS, help="quick (default, no download), colab or full (the paper's scale)")
    parser.add_argument("--seed", type=int, help="of initialisation, order of batches and augmentation")
    parser.add_argument("--data", help="another data set than the tier's; also folder:PATH")
    parser.add_argument("--data-note", metavar="TEXT", help="what the record is to say of the data")
    parser.add_argument("--epochs", type=int, help="default: the tier's")
    parser.add_argument("--size", type=int, help="number of training images; default: the tier's")
    parser.add_argument("--precision", choices=PRECISIONS, help="of forward and backward; default: the recipe's")
    parser.add_argument("--device", help="cpu, cuda or mps; default: cuda if there is one, else cpu")
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--compile", action="store_true", help="compile the model")
    parser.add_argument("--save", metavar="DIR", help="write a record below this folder")


def chosen(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given in a command."""
    names = {f.name for f in fields(Setting)}
    return {name: value for name, value in vars(arguments).items() if name in names and value is not None}


def parse(command: str) -> tuple[str, Setting]:
    """The recipe and the setting that a command means.

    Raises:
        ValueError: it is no command of this package, or an option is unknown.

    Example:
        >>> parse("python -m bregtutorial run mnist-mlp/sgd --tier full --seed 1")[0]
        'mnist-mlp/sgd'

    Book: Experiments, "MNIST and the MLP".
    """
    words = shlex.split(command)
    processes, words = _processes(words)
    if words[:3] != ["-m", "bregtutorial", "run"]:
        raise ValueError(f"a command starts with 'python -m bregtutorial run', got {command!r}")
    parser = Parser(prog="bregtutorial run")
    add_options(parser)
    arguments = parser.parse_args(words[3:])
    return arguments.recipe, Setting(**chosen(arguments), processes=processes)


def _processes(words: Sequence[str]) -> tuple[int, list[str]]:
    """The number of processes that the first words start, and the words after these."""
    if list(words[:2]) == ["torchrun", "--nproc-per-node"] and len(words) > 2:
        return int(words[2]), list(words[3:])
    return 1, list(words[1:] if words[:1] == ["python"] else words)
