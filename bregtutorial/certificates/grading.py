"""Verdicts on a reader's function: which property holds, which fails, and where.

Book: Foundations, "Proximal operators".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bregtutorial.certificates.showing import show

NEXT_HINT = '"Hint 1: a nudge" at the exercise, then those below it'


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

    Printed, it gives help by levels: what fails, where it fails, what to think of, and where the next hint is. An
    exercise of the book has two or three more, which fold out above its code, from a nudge to the code.

    Attributes:
        what: the check.
        properties: the properties that held, in the order of checking.
        failed: the property that did not, or ``""``.
        counterexample: a case that shows it.
        hint: where to look.
        next_hint: where more help is, or ``""`` if the hint says all.

    Book: Foundations, "Proximal operators".
    """

    what: str
    properties: tuple[str, ...]
    failed: str = ""
    counterexample: str = ""
    hint: str = ""
    next_hint: str = ""

    def __bool__(self) -> bool:
        return not self.failed

    def __repr__(self) -> str:
        if self:
            return f"{self.what}: correct\n" + "\n".join(f"  holds: {text}" for text in self.properties)
        lines = {"property:": self.failed, "counterexample:": self.counterexample, "think of:": self.hint}
        if self.next_hint:
            lines["next hint:"] = self.next_hint
        return f"{self.what}: not yet\n" + "\n".join(f"  {label:15} {text}" for label, text in lines.items())


class _NoAnswerError(Exception):
    """The reader's function has not been written yet, or forgets to return."""


def grade(
    what: str, function: Callable[..., Any], properties: Iterable[Property], *, next_hint: str = NEXT_HINT
) -> Verdict:
    """Check the properties in order; the verdict shows the first that fails. Nothing raises: an error is a verdict too.

    Args:
        what: name of the check, the verdict's first words.
        function: the reader's function.
        properties: what it must satisfy, simplest first.
        next_hint: where more help is than the hint of the property; a function that is not written yet needs none.

    Example:
        >>> def wrong_at_zero(f):
        ...     return None if f(0) == 0 else f"f(0) = {f(0)}"
        >>> grade("odd", lambda x: x + 1, [Property("f(0) = 0", wrong_at_zero, "an odd function passes the origin.")])
        odd: not yet
          property:       f(0) = 0
          counterexample: f(0) = 1
          think of:       an odd function passes the origin.
          next hint:      "Hint 1: a nudge" at the exercise, then those below it

    Book: Foundations, "Proximal operators".
    """
    held: list[str] = []
    case = ""

    def answer(*arguments: Any) -> Any:
        nonlocal case
        case = f"for {show(arguments)} " if arguments else ""  # before the function can overwrite them
        got = function(*arguments)
        if got is None or got is Ellipsis:
            raise _NoAnswerError
        return got

    for item in properties:
        try:
            found = item.counterexample(answer)
        except _NoAnswerError:
            return _unwritten(what, held, "it returned nothing")
        except NotImplementedError as error:
            return _unwritten(what, held, str(error) or "it is not written yet")
        except Exception as error:  # whatever a reader's function does wrong belongs into the verdict
            found = f"{case}{type(error).__name__}: {error}"
        if found is not None:
            return Verdict(what, tuple(held), item.text, found, item.hint, next_hint)
        held.append(item.text)
    return Verdict(what, tuple(held))


def _unwritten(what: str, held: list[str], found: str) -> Verdict:
    return Verdict(what, tuple(held), "it returns a value", found, "write your code, and return.")
