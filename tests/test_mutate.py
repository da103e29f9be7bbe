"""The tool that changes the package to see whether a test notices: what it changes, and what it leaves alone."""

from __future__ import annotations

import ast
from pathlib import Path

import mutate
import pytest
from mutants_known import EQUIVALENT, TESTS

ROOT = Path(__file__).resolve().parent.parent


def changed(text: str) -> list[str]:
    return [mutant.new for mutant in mutate.mutants("file.py", text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = a + b", ["x = a - b"]),
        ("x = a ** b", ["x = a * b"]),
        ("x += a", ["x -= a"]),
        ("x = a < b", ["x = a <= b"]),
        ("x = a in b", ["x = a not in b"]),
        ("x = a and b", ["x = a or b"]),
        ("x = 3", ["x = 4"]),
        ("x = True", ["x = False"]),
        ("x = -a", ["x = +a"]),
        ("if not a: pass", ["if a:"]),
        ("x = b if a else c", ["x = b if not a else c"]),
        ("p.mul_(a).clamp_min(b)", ["p.mul_(a).clamp_max(b)", "p.div_(a).clamp_min(b)"]),
        ('"""Text 1."""\ndef f(x: int = 2) -> 3: "4"', ["def f(x: int=3) -> 3:"]),
        ("zip(a, b, strict=True)", []),
    ],
)
def test_one_thing_changes_at_a_time(text: str, expected: list[str]) -> None:
    assert changed(text) == expected


def test_every_mutant_is_a_program_that_differs_and_the_source_is_as_before() -> None:
    file = "bregtutorial/optim/linbreg.py"
    source = (ROOT / file).read_text("utf8")
    sources = [mutant.source for mutant in mutate.all_of(file)]
    assert len(sources) == len(set(sources)) > 20
    assert ast.unparse(ast.parse(source)) not in sources
    assert all(ast.parse(text) for text in sources)


def test_every_file_has_tests_and_equivalent_mutants_are_still_made() -> None:
    folders = ("bregtutorial/regularizers", "bregtutorial/optim")
    files = {p.relative_to(ROOT).as_posix() for folder in folders for p in (ROOT / folder).glob("*.py")}
    assert {f for f in files if not f.endswith("__init__.py")} == TESTS.keys()
    assert all((ROOT / "tests" / test).exists() for tests in TESTS.values() for test in tests)
    made = {(m.file, m.new) for f in TESTS for m in mutate.all_of(f)}
    assert EQUIVALENT.keys() <= made
    assert all(EQUIVALENT.values())


def test_a_sample_takes_of_every_file_in_turn() -> None:
    files = [m.file for m in mutate.chosen(list(TESTS), len(TESTS), 0)]
    assert sorted(files) == sorted(TESTS)
    assert [m.new for m in mutate.chosen(list(TESTS), 9, 0)] != [m.new for m in mutate.chosen(list(TESTS), 9, 1)]
