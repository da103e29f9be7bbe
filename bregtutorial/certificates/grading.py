"""Verdicts on a reader's function: which property holds, which fails, and where.

Book: Foundations, "Proximal operators".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Property:
    """A property that a correct function has.

    Attributes:
        text: the property as a statement.
        counterexample: looks for a case that violates it and describes it in a line; ``None`` if there is none.
        hint: where to look if it fails.

    Book: Foundations, "Proximal operators".
    """

    text: str
    counterexample: Callable[[Callable[..., Any]], str | None]
    hint: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check; true if every property held.

    Attributes:
        what: the check.
        properties: the properties that held, in the order of checking.
        failed: the property that did not, or ``""``.
        counterexample: a case that shows it.
        hint: where to look.

    Book: Foundations, "Proximal operators".
    """

    what: str
    properties: tuple[str, ...]
    failed: str = ""
    counterexample: str = ""
    hint: str = ""

    def __bool__(self) -> bool:
        return not self.failed

    def __repr__(self) -> str:
        if self:
            return f"{self.what}: correct\n" + "\n".join(f"  holds: {text}" for text in self.properties)
        return (
            f"{self.what}: not yet\n  property:       {self.failed}\n  counterexample: {self.counterexample}\n"
            f"  think of:       {self.hint}"
        )


class _NoAnswerError(Exception):
    """The reader's function has not been written yet, or forgets to return."""


def grade(what: str, function: Callable[..., Any], properties: Iterable[Property]) -> Verdict:
    """Check the properties in order; the verdict shows the first that fails. Nothing raises: an error is a verdict too.

    Args:
        what: name of the check, the verdict's first words.
        function: the reader's function.
        properties: what it must satisfy, simplest first.

    Example:
        >>> def wrong_at_zero(f):
        ...     return None if f(0) == 0 else f"f(0) = {f(0)}"
        >>> grade("odd", lambda x: x + 1, [Property("f(0) = 0", wrong_at_zero, "an odd function passes the origin.")])
        odd: not yet
          property:       f(0) = 0
          counterexample: f(0) = 1
          think of:       an odd function passes the origin.

    Book: Foundations, "Proximal operators".
    """
    held: list[str] = []

    def answer(*arguments: Any) -> Any:
        got = function(*arguments)
        if got is None or got is Ellipsis:
            raise _NoAnswerError
        return got

    for item in properties:
        try:
            found = item.counterexample(answer)
        except _NoAnswerError:
            return Verdict(
                what, tuple(held), "it returns a value", "it returned nothing", "write your code, and return."
            )
        except Exception as error:  # whatever a reader's function does wrong belongs into the verdict
            found = f"{type(error).__name__}: {error}"
        if found is not None:
            return Verdict(what, tuple(held), item.text, found, item.hint)
        held.append(item.text)
    return Verdict(what, tuple(held))


def check_equal(
    what: str,
    function: Callable[..., Any],
    expected: Callable[..., Any],
    cases: Sequence[tuple[Any, ...]],
    *,
    hint: str,
    tolerance: float = 1e-5,
) -> Verdict:
    """Compare a function with a correct one, case by case; the counterexample is the first case that differs.

    Args:
        what: name of the check.
        function: the reader's function.
        expected: a correct function of the same arguments, which returns a number, a tensor, or a tuple of them.
        cases: tuples of arguments, simplest first.
        hint: where to look if a case differs.
        tolerance: allowed difference, absolute and relative.

    Raises:
        ValueError: if there is no case.

    Example:
        >>> bool(check_equal("square", lambda x: x * x, lambda x: x**2, [(2.0,), (3.0,)], hint="x times x"))
        True

    Book: Foundations, "Proximal operators".
    """
    if not cases:
        raise ValueError("cases must hold at least one tuple of arguments, got none")

    def differs(f: Callable[..., Any]) -> str | None:
        for case in cases:
            wanted, got = expected(*copy(case)), f(*copy(case))
            if not close(got, wanted, tolerance):
                arguments = ", ".join(map(show, case))
                return f"for ({arguments}) the value is {show(wanted)}, yours is {show(got)}"
        return None

    return grade(what, function, [Property("it agrees with the definition in every case", differs, hint)])


def close(got: Any, wanted: Any, tolerance: float) -> bool:
    """Whether two values agree in type, shape and number."""
    if isinstance(wanted, tuple):
        return (
            isinstance(got, tuple | list)
            and len(got) == len(wanted)
            and all(close(g, w, tolerance) for g, w in zip(got, wanted, strict=True))
        )
    if got is None or got is Ellipsis:
        return False
    a, b = torch.as_tensor(got, dtype=torch.float64), torch.as_tensor(wanted, dtype=torch.float64)
    return a.shape == b.shape and bool(torch.allclose(a, b, rtol=tolerance, atol=tolerance))


def copy(case: Iterable[Any]) -> tuple[Any, ...]:
    """Arguments that a function may overwrite without harm to the next comparison."""
    return tuple(x.clone() if isinstance(x, Tensor) else x for x in case)


def show(value: Any) -> str:
    """A value on one short line."""
    if isinstance(value, Tensor):
        if value.numel() > 12:
            return f"a tensor of shape {tuple(value.shape)}"
        return "[" + ", ".join(map(show, value)) + "]" if value.ndim else f"{value.item():.4g}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(map(show, value)) + ")"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
