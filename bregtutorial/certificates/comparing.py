"""Comparing a reader's function with a correct one: the cases, the tolerance, and the first entry that differs.

Book: Foundations, "Proximal operators".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from bregtutorial.certificates.grading import Property, Verdict, grade
from bregtutorial.certificates.showing import SHOWN, show

_FACTOR = 0.9  # keeps signs, and what is smaller than one


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
                return f"for {show(case)} {_difference(got, wanted, tolerance)}"
        return None

    return grade(what, function, [Property("it agrees with the definition in every case", differs, hint)])


def vary(cases: Sequence[Any]) -> list[Any]:
    """The same cases at other numbers: every float and every tensor of floats times 0.9, whole numbers as they are.

    An answer that has only learnt the visible cases fails at these. Only for cases whose arguments are free: a weight
    and its dual, say, belong together and must not be varied.

    Args:
        cases: tuples of arguments, as :func:`check_equal` takes them; lists and tuples inside are varied, too.

    Example:
        >>> vary([(1.0, 3), ([0.5, 0.25], torch.tensor([2.0]))])
        [(0.9, 3), ([0.45, 0.225], tensor([1.8000]))]

    Book: Foundations, "Proximal operators".
    """
    return [_vary(case) for case in cases]


def _vary(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_vary(item) for item in value)
    if isinstance(value, float) or "float" in str(getattr(value, "dtype", "")):  # numpy's arrays and torch's
        return _FACTOR * value
    return value


def _difference(got: Any, wanted: Any, tolerance: float) -> str:
    """The two values; of two large tensors the first entry that differs."""
    if isinstance(wanted, Tensor) and wanted.numel() > SHOWN:
        other = torch.as_tensor(got)
        if other.shape != wanted.shape:
            return f"the shape is {tuple(wanted.shape)}, yours is {tuple(other.shape)}"
        same = torch.isclose(other.double(), wanted.double(), rtol=tolerance, atol=tolerance)
        at = tuple((~same).nonzero()[0].tolist())
        many = int((~same).sum())
        return f"entry {at} is {show(wanted[at])}, yours is {show(other[at])}; {many} of {wanted.numel()} differ"
    return f"the value is {show(wanted)}, yours is {show(got)}"


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
