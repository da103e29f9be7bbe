"""Plain text tables: one look for every report of the package.

Book: Foundations, "A first sparse network".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def format_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest cell; the first to the left, the others to the right.

    Example:
        >>> print(format_table(["layer", "density"], [["fc1", "1.0 %"], ["fc2", "12.5 %"]]))
        layer  density
        -----  -------
        fc1      1.0 %
        fc2     12.5 %

    Book: Foundations, "A first sparse network".
    """
    cells = [[str(c) for c in row] for row in (header, *rows)]
    widths = [max(len(row[j]) for row in cells) for j in range(len(header))]
    lines = [
        "  ".join(c.ljust(n) if j == 0 else c.rjust(n) for j, (c, n) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    ruled = [lines[0], "  ".join("-" * n for n in widths), *lines[1:]]
    return "\n".join(text.rstrip() for text in ruled)
