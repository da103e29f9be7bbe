"""What a diagnosis is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import fill


@dataclass(frozen=True, repr=False)
class Finding:
    """One thing that looks wrong.

    Attributes:
        name: the failure, one of the table in :func:`~bregtutorial.diagnose`.
        where: names of parameters, layers or parameter groups.
        number: the quantity that shows it; of several places the worst.
        meaning: what the number is.
        cure: what to do.

    Book: Frontiers, "Failures and cures".
    """

    name: str
    where: tuple[str, ...]
    number: float
    meaning: str
    cure: str

    def __repr__(self) -> str:
        more = f" and {len(self.where) - 3} more" if len(self.where) > 3 else ""
        lines = (f"{self.name}: {', '.join(self.where[:3])}{more}", f"  number: {self.number:.3g} = {self.meaning}")
        return "\n".join([*lines, fill(f"  cure:   {self.cure}", 100, subsequent_indent=10 * " ")])


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """All findings, in the order in which to mend them; its length is their number, so it is false if there are none.

    Attributes:
        density: of the model.
        findings: what looks wrong.

    Book: Frontiers, "Failures and cures".
    """

    density: float
    findings: tuple[Finding, ...]

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, name: str) -> Finding:
        """The finding of that name."""
        for finding in self:
            if finding.name == name:
                return finding
        raise KeyError(f"no finding {name!r}; there are {[finding.name for finding in self]}")

    def __contains__(self, name: object) -> bool:
        return any(finding.name == name for finding in self)

    def __repr__(self) -> str:
        count = f"{len(self)} finding{'s' * (len(self) > 1)}" if self else "no finding"
        return "\n".join([f"density {self.density:.2%}, {count}", *map(repr, self)])
