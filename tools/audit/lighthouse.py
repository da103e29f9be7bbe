"""Lighthouse's four scores of a few pages, at a desk and on a phone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from audit.findings import Section

TARGET = 95
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
NOTE = (
    f"Of 100, target {TARGET}. The phone is Lighthouse's: a slow connection, and a processor four times slower than "
    "this one. Its performance is shown, not asked for, since the formulas are set on the reader's own device."
)


def scores(address: str, preset: str, chromium: str, node: Path, out: Path) -> dict[str, int]:
    """The scores of a page; everything else that Lighthouse says is kept in `out`."""
    flags = "--headless=new --disable-gpu" + (" --no-sandbox" if os.geteuid() == 0 else "")
    command = [str(node / ".bin" / "lighthouse"), address, "--quiet", "--output=json", f"--output-path={out}"]
    command += [f"--chrome-flags={flags}", *(["--preset=desktop"] if preset == "desktop" else [])]
    subprocess.run(command, check=True, env={**os.environ, "CHROME_PATH": chromium})
    categories = json.loads(out.read_text("utf8"))["categories"]
    return {name: round(100 * categories[name]["score"]) for name in CATEGORIES}


def lighthouse(base: str, names: list[str], chromium: str, node: Path) -> Section:
    """The section of the report."""
    section = Section("Lighthouse", NOTE, ("page", "device", *CATEGORIES))
    for name in names:
        for preset in ("desktop", "mobile"):
            out = node.parent / f"lighthouse-{Path(name).stem}-{preset}.json"
            found = scores(f"{base}/{name}", preset, chromium, node, out)
            section.rows.append((name, preset, *(str(found[c]) for c in CATEGORIES)))
            asked = CATEGORIES if preset == "desktop" else CATEGORIES[1:]
            section.problems += [f"{name}, {preset}: {c} {found[c]}" for c in asked if found[c] < TARGET]
            print(*section.rows[-1], flush=True)
    return section
