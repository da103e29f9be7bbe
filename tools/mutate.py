"""Would a test notice? Ask by ``python tools/mutate.py [--sample 40] [FILE...]``.

Changes one operator, comparison, constant or sign of the regularizers and optimizers at a time, in a copy of the
package, and runs the tests that concern the file until one fails. A mutant that survives is a line that no test holds.
Torch is imported once; every mutant is a fork of that process. Exit status 1 if a mutant survives that is not known to
be equivalent.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import functools
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mutants_known import EQUIVALENT, TESTS

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 300  # seconds a mutant may take: one that loops for ever is noticed
SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
_PAIRS = [
    ("add", "sub"), ("add_", "sub_"), ("mul_", "div_"), ("_foreach_add_", "_foreach_sub_"),
    ("_foreach_mul_", "_foreach_div_"), ("_foreach_clamp_min", "_foreach_clamp_max"), ("clamp_min", "clamp_max"),
    ("minimum", "maximum"), ("amax", "amin"), ("any", "all"), ("zeros_like", "ones_like"),
]  # fmt: skip
NAMES = dict(_PAIRS) | {b: a for a, b in _PAIRS}


@dataclass(frozen=True)
class Mutant:
    """A change, and the whole file with it."""

    file: str
    old: str
    new: str
    source: str


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """Change the node in place, one way after the other; it is as before at the end."""
    match node:
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp() if type(node.op) in SWAPS:
            op, node.op = node.op, SWAPS[type(node.op)]()
            yield node
            node.op = op
        case ast.Compare():
            for i, op in enumerate(node.ops):
                node.ops[i] = SWAPS[type(op)]()
                yield node
                node.ops[i] = op
        case ast.Constant() if isinstance(node.value, bool | int | float):
            value, node.value = node.value, not node.value if isinstance(node.value, bool) else node.value + 1
            yield node
            node.value = value
        case ast.UnaryOp(op=ast.USub()):
            node.op = ast.UAdd()
            yield node
            node.op = ast.USub()
        case ast.Attribute() if node.attr in NAMES:
            node.attr = NAMES[node.attr]
            yield node
            node.attr = NAMES[node.attr]
        case ast.Name() if node.id in NAMES:
            node.id = NAMES[node.id]
            yield node
            node.id = NAMES[node.id]
        case ast.If() | ast.IfExp() | ast.While() if not isinstance(node.test, ast.Compare):
            test = node.test
            negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
            node.test = test.operand if negated else ast.UnaryOp(ast.Not(), test)
            yield node
            node.test = test


def code(tree: ast.AST) -> Iterator[ast.AST]:
    """What is computed: no annotation, no text, and not zip's `strict`, which can only fail with a wrong program."""
    yield tree
    for name, field in ast.iter_fields(tree):
        if name in ("annotation", "returns", "type_comment") or isinstance(tree, ast.JoinedStr):
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not (isinstance(child, ast.keyword) and child.arg == "strict"):
                yield from code(child)


def mutants(file: str, source: str) -> Iterator[Mutant]:
    """All of a file, in the order of its lines."""
    tree = ast.parse(source)
    before = ast.unparse(tree)
    for node in code(tree):
        for _ in changes(node):
            after = ast.unparse(tree)
            pairs = zip(before.splitlines(), after.splitlines(), strict=True)
            old, new = next((a.strip(), b.strip()) for a, b in pairs if a != b)
            yield Mutant(file, old, new, after)


@functools.cache
def all_of(file: str) -> tuple[Mutant, ...]:
    """All of a file of the package."""
    return tuple(mutants(file, (ROOT / file).read_text("utf8")))


def known(mutant: Mutant) -> bool:
    return (mutant.file, mutant.new) in EQUIVALENT


def chosen(files: list[str], sample: int | None, seed: int, like: str = "") -> list[Mutant]:
    """Every mutant that is not equivalent, or some of each file in turn."""
    lists = [[m for m in all_of(f) if not known(m) and re.search(like, m.new)] for f in files]
    if sample is None:
        return [m for found in lists for m in found]
    for found in lists:
        random.Random(seed).shuffle(found)
    turns = [m for i in range(max(map(len, lists))) for m in (found[i] for found in lists if i < len(found))]
    return turns[:sample]


def run(tests: list[str], package: Path, limit: float = LIMIT) -> str:
    """In a fork: the first test file that fails with the package of that folder, or "none"."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(tests, package, writing)
    os.close(writing)
    deadline = time.monotonic() + limit
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(reading)
            return "time"
        time.sleep(0.05)
    with os.fdopen(reading) as answer:
        return answer.read() or "crash"


def _child(tests: list[str], package: Path, writing: int) -> None:
    import pytest

    sys.path.insert(0, str(package))
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", "CI": "true"}
    os.chdir(ROOT)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    try:
        import bregtutorial

        assert Path(bregtutorial.__file__).is_relative_to(package)
        options = ["-x", "-q", "--tb=no", "-pno:cacheprovider", "-pno:xdist"]
        options += ["-Wignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is there before pytest
        failed = next((t for t in tests if pytest.main([*options, f"tests/{t}"]) != 0), "none")
    except BaseException as error:  # the mutant cannot even be imported
        failed = f"{type(error).__name__}: {error}"
    os.write(writing, failed.encode())
    os._exit(0)


def report(done: list[tuple[Mutant, str]], seconds: float, every: int) -> dict[str, object]:
    survived = [m for m, killer in done if killer == "none"]
    each = seconds / max(len(done), 1)
    rows = [{**asdict(m), "killed_by": None if killer == "none" else killer} for m, killer in done]
    for row in rows:
        del row["source"]
    print(f"\n{'file':45} made killed")
    for file in TESTS:
        mine = [killer for m, killer in done if m.file == file]
        if mine:
            print(f"{file:45} {len(mine):4} {sum(k != 'none' for k in mine):6}")
    killed, minutes = len(done) - len(survived), every * each / 60
    print(f"killed {killed} of {len(done)} in {seconds:.0f} s; all {every} would take about {minutes:.0f} min")
    for m in survived:
        print(f"survived  {m.file}\n    - {m.old}\n    + {m.new}")
    return {"made": len(done), "killed": killed, "of": every, "equivalent": len(EQUIVALENT), "mutants": rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", default=list(TESTS), help="those of the package to change")
    parser.add_argument("--sample", type=int, help="so many, spread over the files, instead of all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--like", default="", help="only where this pattern is found in the changed line")
    parser.add_argument("--json", type=Path, default=ROOT / "_build" / "mutants.json")
    arguments = parser.parse_args()
    import hypothesis  # noqa: F401  (once, for all forks)
    import pytest  # noqa: F401
    import torch

    torch.set_num_threads(1)
    every = len(chosen(arguments.files, None, 0, arguments.like))
    done: list[tuple[Mutant, str]] = []
    sound: set[str] = set()  # test files that pass without a change
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "bregtutorial"
        shutil.copytree(ROOT / "bregtutorial", package, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(package, quiet=1)
        begin = time.monotonic()
        for mutant in chosen(arguments.files, arguments.sample, arguments.seed, arguments.like):
            target = Path(folder) / mutant.file
            whole = target.read_text("utf8")
            target.write_text(mutant.source, "utf8")
            for stale in target.parent.glob(f"__pycache__/{target.stem}.*"):
                stale.unlink()  # or Python could take it for the compiled mutant
            done.append((mutant, run(TESTS[mutant.file], Path(folder))))
            target.write_text(whole, "utf8")
            killer = done[-1][1]
            if killer.startswith("test_") and killer not in sound:
                if (failed := run([killer], Path(folder))) != "none":
                    raise SystemExit(f"without any change there is {failed}")
                sound.add(killer)
            print(f"{done[-1][1]:32} {mutant.file}: {mutant.new}", flush=True)
    found = report(done, time.monotonic() - begin, every)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(found, indent=1) + "\n", "utf8")
    return int(found["killed"] != found["made"])


if __name__ == "__main__":
    sys.exit(main())
