"""The index of statements: every definition, theorem and algorithm of the chapters, by its number."""

from __future__ import annotations

from pages.chapters import chapters, table


def statements() -> str:
    """A table for each chapter that states something."""
    parts = []
    for chapter in chapters().values():
        if rows := [[f"{{prf:ref}}`{s.label}`", s.title] for s in chapter.statements]:
            parts.append(f"## {chapter.link}\n\n{table(['Statement', 'About'], rows, '28 72')}")
    return "\n\n".join(parts)
