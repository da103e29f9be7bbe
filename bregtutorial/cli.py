"""The experiments from a terminal: ``python -m bregtutorial list | run | grow | table | figure``.

Book: Experiments, "MNIST and the MLP".
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from bregtutorial import growth, plotting, results
from bregtutorial.recipes import RECIPES, get, names
from bregtutorial.recipes.command import Parser, add_options, chosen
from bregtutorial.runs import run
from bregtutorial.tiers import TIERS

__all__ = ["main"]
GO_ON = "The same command, without --no-resume, goes on from there."
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
        print("", str(interrupt) or "interrupted", *getattr(interrupt, "__notes__", ()), sep="\n", file=sys.stderr)
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
    growing = commands.add_parser("grow", help="run a recipe, and note which weights are awake after every epoch")
    add_options(growing)
    growing.add_argument("--rows", action="store_true", help="note neurons, not weights")
    growing.set_defaults(do=_grow)
    for kind, do in (("table", _table), ("figure", _figure)):
        numbers = [name.split()[1] for name in results.PUBLISHED if name.startswith(kind)]
        showing = commands.add_parser(kind, help=f"{kind} of the paper beside recorded runs: {', '.join(numbers)}")
        showing.add_argument("number", choices=numbers)
        showing.add_argument("--tier", choices=TIERS, help="of the runs; default: the largest that was recorded")
        showing.add_argument("--results", metavar="DIR", help="folder of the records; default: those of the package")
        showing.set_defaults(do=do)
    showing.add_argument(
        "--output", metavar="FILE", help="picture to write, .png or .svg; default: figure-<number>.png"
    )
    return whole


def _list(options: argparse.Namespace) -> None:
    for name in names(options.experiment):
        recipe = RECIPES[name]
        budgets = ", ".join(f"{tier}: {b.data}, {b.epochs} epochs" for tier, b in recipe.budgets.items())
        print(f"{name}  ({budgets})")


def _run(options: argparse.Namespace) -> None:
    try:
        result = run(
            get(options.recipe),
            checkpoint=options.checkpoint,
            resume=options.resume,
            save=options.save,
            log=_print_row,
            **chosen(options),
        )
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(GO_ON if options.checkpoint else "Nothing was kept; --checkpoint DIR keeps a run.")
        raise
    if int(os.environ.get("RANK", 0)) == 0:  # the processes have parted
        print(result)


def _grow(options: argparse.Namespace) -> None:
    grown = growth.watch(options.recipe, rows=options.rows, **chosen(options))
    print(grown)
    if options.save is not None:
        print(f"wrote {grown.save(options.save)}")


def _table(options: argparse.Namespace) -> None:
    print(results.compare(f"table {options.number}", options.tier, options.results))


def _figure(options: argparse.Namespace) -> None:
    comparison = results.compare(f"figure {options.number}", options.tier, options.results)
    print(comparison)
    if not any(row.runs for row in comparison.rows):
        raise ValueError("nothing was recorded that could be drawn; the commands above record it")
    output = options.output or f"figure-{options.number}.png"
    plotting.use_style()
    plotting.comparison(comparison).savefig(output)
    print(f"wrote {output}")


def _print_row(row: dict[str, float]) -> None:
    shown = [f"epoch {row['epoch']}"]
    shown += [f"{k} {v:.4f}" for k, v in row.items() if k.endswith(("accuracy", "loss", "density"))]
    print(", ".join(shown), f"({row['seconds']:.1f} s)", flush=True)
