"""The parts of what ``pip install bregtutorial`` gives, as CycloneDX JSON: ``python tools/sbom.py [FILE]``.

The package and everything that it needs at run time, with the versions that are installed here and their licences.
"""

from __future__ import annotations

import importlib.metadata as metadata
import json
import re
import sys
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
NAME = "bregtutorial"


def normal(name: str) -> str:
    """A package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needs(name: str, extras: frozenset[str] = frozenset()) -> list[Requirement]:
    """What a package asks for on this machine, beside what its extras ask for."""
    found = [Requirement(line) for line in metadata.requires(name) or []]
    return [r for r in found if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in ("", *extras))]


def closure(root: str = NAME) -> dict[str, list[str]]:
    """Every package that is needed, and what it needs itself."""
    graph: dict[str, set[str]] = {}
    waiting, seen = [(root, frozenset[str]())], set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) not in seen:
            seen.add((name, extras))
            asked = needs(name, extras)
            graph.setdefault(normal(name), set()).update(normal(r.name) for r in asked)
            waiting += [(normal(r.name), frozenset(r.extras)) for r in asked]
    return {name: sorted(others) for name, others in graph.items()}


def component(name: str) -> dict[str, Any]:
    about = metadata.metadata(name)
    licence = about.get("License-Expression") or about.get("License") or ""
    if licence in ("", "UNKNOWN") or "\n" in licence:  # some put the whole text there
        named = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier", []) if c.startswith("License ::")]
        licence = ", ".join(named)
    purl = f"pkg:pypi/{name}@{metadata.version(name).replace('+', '%2B')}"
    found = {"type": "library", "bom-ref": purl, "name": name, "version": metadata.version(name), "purl": purl}
    return found | ({"licenses": [{"license": {"name": licence}}]} if licence else {})


def bill(root: str = NAME) -> dict[str, Any]:
    """The whole document; it holds no time and no serial number, so that equal environments give equal bytes."""
    graph = closure(root)
    parts = {name: component(name) for name in sorted(graph)}
    main = parts.pop(normal(root))
    refs = {name: part["bom-ref"] for name, part in parts.items()} | {normal(root): main["bom-ref"]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": main},
        "components": list(parts.values()),
        "dependencies": [
            {"ref": refs[name], "dependsOn": [refs[other] for other in graph[name]]} for name in sorted(graph)
        ],
    }


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build" / "sbom.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    found = bill()
    target.write_text(json.dumps(found, indent=1) + "\n", "utf8")
    print(f"{target}: {NAME} {found['metadata']['component']['version']} and {len(found['components'])} packages")
