"""Splits MyST text at its directives, whichever fence they use."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPEN = re.compile(r"^ *(:{3,}|`{3,})\{([a-z:-]+)\} *(.*)$")
OPTION = re.compile(r"^ *:([a-z-]+): *(.*)$")


@dataclass(frozen=True)
class Block:
    """One directive: `:::{kind} title`, its `:label:`, what stands inside, and all of it."""

    kind: str
    title: str
    label: str
    body: str
    source: str


def parse(text: str) -> list[Block | str]:
    """The directives of a text and what stands between them, in order; what is inside them stays unparsed."""
    found: list[Block | str] = []
    between: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        opened = OPEN.match(line)
        if not opened:
            between.append(line)
            continue
        if "\n".join(between).strip():
            found.append("\n".join(between).strip())
        between, inside = [], []
        for inner in lines:
            if inner.strip() == opened[1]:
                break
            inside.append(inner)
        source = "\n".join([line, *inside, opened[1]])
        found.append(_block(opened[2], opened[3].strip(), inside, source))
    if "\n".join(between).strip():
        found.append("\n".join(between).strip())
    return found


def _block(kind: str, title: str, inside: list[str], source: str) -> Block:
    label = ""
    while inside and (option := OPTION.match(inside[0])):
        label = option[2] if option[1] == "label" else label
        inside = inside[1:]
    return Block(kind, title, label, "\n".join(inside).strip(), source)
