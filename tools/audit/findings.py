"""What an audit says: a table to read, and what must be mended."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Section:
    """One tool's part of the report."""

    title: str
    note: str
    header: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The part as it stands in the report."""
        verdict = f"**{len(self.problems)} to mend**" if self.problems else "nothing to mend"
        lines = [f"## {self.title}: {verdict}", "", self.note, ""]
        if self.rows:
            lines += [f"| {' | '.join(self.header)} |", "|" + "---|" * len(self.header)]
            lines += [f"| {' | '.join(row)} |" for row in self.rows] + [""]
        lines += [f"- {problem}" for problem in self.problems]
        return "\n".join(lines).rstrip() + "\n"
