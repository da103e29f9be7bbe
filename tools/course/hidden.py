"""Hidden tests of the instructor edition: the learner's check once more, at other numbers.

A comparison with a correct function gets the same cases varied, a check of the package other random weights. For all
else hidden.toml says what to replace in the text of the check, or why there is no hidden test.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from pathlib import Path
from typing import TypeGuard

from course.exercises import Task

OTHERWISE: dict[str, str | dict[str, str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf8"))
SEEDED = {"check_prox", "check_subgradient", "check_projection", "check_step"}


def why_not(label: str) -> str:
    """Why an exercise with a check has no hidden test; empty if it has one."""
    entry = OTHERWISE.get(label, "")
    return entry if isinstance(entry, str) else ""


def hidden_tests(label: str, code: Task) -> str:
    """That the answer is not a call of what it is compared with, and the check at other numbers.

    Raises:
        ValueError: if hidden.toml replaces what the check does not say, or should say what to replace.
    """
    if why_not(label):
        return ""
    asks = "the answer calls the function that it is compared with"
    tests = [f'assert "{name}" not in {code.name}.__code__.co_names, "{asks}"' for name in _compared_with(code)]
    entry = OTHERWISE.get(label)
    tests += _replaced(label, code, entry) if isinstance(entry, dict) else [f"verdict = {_by_rule(label, code)}"]
    return "\n".join([*tests, "assert verdict, verdict"])


def _compared_with(code: Task) -> list[str]:
    """The correct functions of a check, by name."""
    nodes = (node for part in [*code.check, code.verdict] for node in ast.walk(ast.parse(part)))
    correct = [node.args[2] for node in nodes if _calls(node, "check_equal")]
    return [function.id for function in correct if isinstance(function, ast.Name)]


def _by_rule(label: str, code: Task) -> str:
    call = ast.parse(code.verdict, mode="eval").body
    if _calls(call, "check_equal"):
        call.args[3] = ast.parse(f"bt.certificates.vary({ast.unparse(call.args[3])})", mode="eval").body
    elif _calls(call, *SEEDED):
        call.keywords.append(ast.keyword("seed", ast.Constant(1)))
    else:
        raise ValueError(f"{label}: hidden.toml must say what to replace in its check, or why it has no hidden test")
    return ast.unparse(call)


def _replaced(label: str, code: Task, replacements: dict[str, str]) -> list[str]:
    """In a function of its own, for later exercises use names that the check defines."""
    body = "\n\n".join([*code.check, f"return {code.verdict}"])
    for old, new in replacements.items():
        if old not in body:
            raise ValueError(f"{label}: hidden.toml replaces {old!r}, which its check does not say")
        body = body.replace(old, new)
    return [f"def at_other_numbers():\n{textwrap.indent(body, '    ')}\n", "verdict = at_other_numbers()"]


def _calls(node: ast.AST, *names: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names
