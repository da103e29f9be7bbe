"""The shape of the package: arrows that point down, small files, no surprises. And that each rule can fail."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import bregtutorial

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "bregtutorial").rglob("*.py"))
}
# Lowest first. A part imports only from lines above its own, and from itself.
LEVELS = (
    ("groups", "quality", "tables", "tiers", "checkpoint", "processes"),
    ("layers", "regularizers"),
    ("initialization", "models", "data"),
    ("optim", "sparsity", "parameter_groups", "wiring"),
    ("schedules", "multilevel", "compaction", "cost", "reference", "certificates", "inverse_scale_space", "diagnosis"),
    ("training",),
    ("recipes",),
    ("results",),
    ("runs", "growth"),
    ("plotting",),  # with the private modules beside it: _svg, _palette, ...
    ("explore",),
    ("cli",),
    ("__main__",),
    ("bregtutorial",),  # the list of public names
)
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}
MAX_FILE, MAX_FUNCTION = 250, 30
# import name -> the requirement that brings it, where they differ
DISTRIBUTIONS = {"sklearn": "scikit-learn", "scipy": "scikit-learn", "IPython": "ipywidgets"}
DISTRIBUTIONS |= dict.fromkeys(("cycler", "PIL"), "matplotlib")


def part_of(module: str) -> str:
    """The part that a dotted module name belongs to; the package itself is a part."""
    pieces = module.split(".")
    if len(pieces) == 1:
        return pieces[0]
    return "plotting" if pieces[1].startswith("_") and pieces[1] != "__main__" else pieces[1]


def imports(tree: ast.AST) -> Iterator[str]:
    """Every imported module or name, dotted, also inside functions; a relative import starts with a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def own_modules(tree: ast.AST) -> set[str]:
    """The modules of this package that a file imports; a name imported from a module counts as the module."""
    names = {name for name in imports(tree) if name.split(".")[0] == "bregtutorial"}
    return {name if name in FILES else name.rpartition(".")[0] for name in names}


def upward(module: str, tree: ast.AST) -> list[str]:
    """What a file imports and must not, in words."""
    here = part_of(module)
    wrong = [f"{module} has the relative import {name}" for name in imports(tree) if name.startswith(".")]
    for other in sorted(own_modules(tree)):
        there = part_of(other)
        if there != here and LEVEL[there] >= LEVEL[here]:
            wrong.append(f"{module} (level {LEVEL[here]}) imports {other} (level {LEVEL[there]}): arrows point down")
    return wrong


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf8"))


def test_every_module_has_a_level() -> None:
    unknown = {part_of(module) for module in FILES} - LEVEL.keys()
    assert not unknown, f"give {', '.join(sorted(unknown))} a line in LEVELS"


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module: str) -> None:
    assert not upward(module, parse(FILES[module]))


def test_the_arrow_rule_can_fail() -> None:
    lazily = "def f():\n    from bregtutorial import plotting\n"
    assert upward("bregtutorial.groups", ast.parse(lazily)) == [
        f"bregtutorial.groups (level 0) imports bregtutorial.plotting (level {LEVEL['plotting']}): arrows point down"
    ]
    assert upward("bregtutorial.optim.linbreg", ast.parse("import bregtutorial.sparsity"))
    assert upward("bregtutorial.groups", ast.parse("from bregtutorial import L1"))
    assert upward("bregtutorial.optim.linbreg", ast.parse("from ._dual import DualOptimizer"))
    assert not upward("bregtutorial.optim.linbreg", ast.parse("from bregtutorial.optim import _dual\nimport torch"))


def test_modules_import_each_other_in_no_circle() -> None:
    graph = {module: own_modules(parse(path)) - {module} for module, path in FILES.items()}
    # a package re-exports what is in it; its modules may name it only through their siblings
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)


def test_the_optimizers_know_tensors_only() -> None:
    optim = [parse(path) for module, path in FILES.items() if part_of(module) == "optim"]
    assert {part_of(name) for tree in optim for name in own_modules(tree)} == {"optim", "regularizers"}


def test_importing_the_package_imports_nothing_but_torch_and_numpy() -> None:
    code = "import json, sys, torch; old = set(sys.modules); import bregtutorial\n"
    command = [sys.executable, "-W", "error", "-c", code + "print(json.dumps([*set(sys.modules) - old]))"]
    new = json.loads(subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout)
    foreign = {name.split(".")[0] for name in new} - sys.stdlib_module_names - {"numpy", "torch"}
    assert {name for name in foreign if name[0] != "_"} == {"bregtutorial"}, (
        "import such packages where they are needed"
    )


def test_everything_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["book"]]
    declared = {line.split(">")[0].split("[")[0] for line in lines}
    used = {name.lstrip(".").split(".")[0] for path in FILES.values() for name in imports(parse(path))}
    foreign = {DISTRIBUTIONS.get(name, name) for name in used - sys.stdlib_module_names - {"bregtutorial"}}
    assert "torch" in foreign
    assert not foreign - declared, "pyproject.toml does not ask for it"


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, source: list[str]) -> int:
    """Lines of a function's body without its docstring, comments and blank lines."""
    body = function.body[ast.get_docstring(function) is not None :]
    if not body:
        return 0
    lines = (line.strip() for line in source[body[0].lineno - 1 : function.end_lineno])
    return sum(bool(line) and not line.startswith("#") for line in lines)


def long_functions(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            n = code_lines(node, text.splitlines())
            if n > MAX_FUNCTION:
                found.append(
                    f"{node.name} (line {node.lineno}) has {n} lines of code, at most {MAX_FUNCTION}: split it"
                )
    return found


@pytest.mark.parametrize("module", FILES)
def test_files_and_functions_are_small(module: str) -> None:
    text = FILES[module].read_text("utf8")
    n = len(text.splitlines())
    assert n <= MAX_FILE, f"{module} has {n} lines, at most {MAX_FILE}: one idea a file"
    assert not long_functions(text)


def test_the_size_rule_counts_code_only() -> None:
    body = '    """Doc\n\n    doc."""\n\n    # why\n' + "    x = 1\n" * MAX_FUNCTION
    assert not long_functions(f"def f():\n{body}")
    assert long_functions(f"def f():\n{body}    x = 2\n") == ["f (line 1) has 31 lines of code, at most 30: split it"]


LOOPS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def bad_habits(tree: ast.AST) -> list[str]:
    """Uses of `.data`, which goes behind autograd's back, and of `.item()` in loops, which waits for the device."""
    found = [f"line {n.lineno}: .data" for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr == "data"]
    for loop in (n for n in ast.walk(tree) if isinstance(n, LOOPS)):
        calls = (n.func for n in ast.walk(loop) if isinstance(n, ast.Call))
        found += [
            f"line {f.lineno}: .item() in a loop" for f in calls if isinstance(f, ast.Attribute) and f.attr == "item"
        ]
    return found


@pytest.mark.parametrize("module", [m for m in FILES if part_of(m) == "optim"])
def test_the_optimizers_write_in_place_and_wait_for_nothing(module: str) -> None:
    assert not bad_habits(parse(FILES[module]))


def test_the_habit_rule_can_fail() -> None:
    assert bad_habits(ast.parse("p.data = x")) == ["line 1: .data"]
    assert bad_habits(ast.parse("for p in ps:\n    n = p.sum().item()")) == ["line 2: .item() in a loop"]
    assert bad_habits(ast.parse("[p.item() for p in ps]"))
    assert not bad_habits(ast.parse("x = p.item()\nfor p in ps: p.copy_(x)"))


def shared_defaults(tree: ast.AST) -> list[str]:
    """Defaults that two calls would share and could change; the regularizer L1() is frozen."""
    takers = (n.args for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))
    defaults = [d for args in takers for d in (*args.defaults, *args.kw_defaults) if d is not None]
    mutable = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Call)
    return [ast.unparse(d) for d in defaults if isinstance(d, mutable) and ast.unparse(d) != "L1()"]


def test_no_default_is_mutable() -> None:
    assert not {module: found for module, path in FILES.items() if (found := shared_defaults(parse(path)))}
    with pytest.raises(AttributeError):
        bregtutorial.L1().name = "l2"


def test_the_rule_on_defaults_can_fail() -> None:
    code = "def f(x=[], *, y={}, z=dict()): ...\nlambda a=set(): a\ndef g(x=(1, 2), y=None, z='a', reg=L1()): ..."
    assert sorted(shared_defaults(ast.parse(code))) == ["[]", "dict()", "set()", "{}"]


def bound(tree: ast.Module) -> set[str]:
    """Public names that an __init__.py takes from the package or defines."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bregtutorial":
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


def rank(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as the linter sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("module", [m for m, path in FILES.items() if path.name == "__init__.py"])
def test_a_package_lists_exactly_what_it_takes_from_its_modules(module: str) -> None:
    assert set(importlib.import_module(module).__all__) == bound(parse(FILES[module]))


@pytest.mark.parametrize("module", [m for m, path in FILES.items() if "\n__all__ =" in path.read_text("utf8")])
def test_lists_of_public_names_are_sorted_and_true(module: str) -> None:
    loaded = importlib.import_module(module)
    assert list(loaded.__all__) == sorted(set(loaded.__all__), key=rank)
    assert not [name for name in loaded.__all__ if not hasattr(loaded, name)]


def test_the_promised_names_are_there() -> None:
    promised = (
        "LinBreg AdaBreg ProxSGD L1 L1NonNegative GroupL2 SparseGroupL2 Nuclear Zero sparse_init_ parameter_groups"
    )
    assert set(bregtutorial.__all__) >= {*promised.split(), "density", "sparsity_report", "load_dataset"}
