"""The experiments from a terminal: ``python -m bregtutorial list | run | table | figure``.

Book: Experiments, "MNIST and the MLP".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bregtutorial import processes
from bregtutorial.recipes import RECIPES, get, names
from bregtutorial.recipes.command import Parser, add_options, chosen
from bregtutorial.runs import run

__all__ = ["main"]
INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command says, and return the status for the shell.

    Args:
        arguments: words after the program's name; default: those of this process.

    Example:
        >>> main(["run", "mnist-mlp/linberg-0.1"])
        2

    Book: Experiments, "MNIST and the MLP".
    """
    try:
        options = parser().parse_args(arguments)
        return int(options.do(options) or 0)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED


def parser() -> Parser:
    """The parser of all commands."""
    whole = Parser(prog="bregtutorial", description="Experiments of the book: run them, compare them with the paper.")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="names of the recipes")
    listing.add_argument("experiment", nargs="?", help="only of this one")
    listing.set_defaults(do=_list)
    running = commands.add_parser(
        "run", help="run a recipe", description="Run a recipe; under torchrun on several GPUs."
    )
    add_options(running)
    running.add_argument("--checkpoint", metavar="DIR", help="keep the state of the training here")
    running.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True, help="go on from it")
    running.set_defaults(do=_run)
    return whole


def _list(options: argparse.Namespace) -> None:
    for name in names(options.experiment):
        recipe = RECIPES[name]
        budgets = ", ".join(f"{tier}: {b.data}, {b.epochs} epochs" for tier, b in recipe.budgets.items())
        print(f"{name}  ({budgets})")


def _run(options: argparse.Namespace) -> None:
    result = run(
        get(options.recipe),
        checkpoint=options.checkpoint,
        resume=options.resume,
        save=options.save,
        log=_print_row,
        **chosen(options),
    )
    if processes.rank() == 0:
        print(result)


def _print_row(row: dict[str, float]) -> None:
    shown = [f"epoch {row['epoch']}"]
    shown += [f"{k} {v:.4f}" for k, v in row.items() if k.endswith(("accuracy", "loss", "density"))]
    print(", ".join(shown), f"({row['seconds']:.1f} s)", flush=True)
