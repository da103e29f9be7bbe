"""Audits the built site and writes _build/audit/report.md; exit status 1 if anything is to be mended.

python -m audit [--site FOLDER] [--skip lighthouse] [PART OF A PAGE'S NAME ...]    with tools/ on Python's path
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from audit.browser import pages
from audit.findings import Section
from audit.html import html
from audit.lighthouse import lighthouse
from audit.links import links
from audit.server import serving

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / "_build" / "audit"
PARTS = ("links", "html", "pages", "lighthouse")
SAMPLE = (
    *("book/index", "book/1-foundations/a-first-sparse-network", "book/2-algorithms/convergence"),
    *("book/3-experiments/mnist-and-the-mlp", "book/api/optimizers"),
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def install() -> Path:
    """The tools from npm, once; the versions are those of package.json."""
    wanted = Path(__file__).with_name("package.json").read_text("utf8")
    have = CACHE / "package.json"
    if not have.exists() or have.read_text("utf8") != wanted:
        CACHE.mkdir(parents=True, exist_ok=True)
        have.write_text(wanted, "utf8")
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        subprocess.run(["npm", "install", *quiet], cwd=CACHE, check=True)
    return CACHE / "node_modules"


def audit(folder: Path, names: list[str], parts: list[str]) -> list[Section]:
    """The sections that are asked for."""
    node, chromium = install(), next(filter(None, map(shutil.which, BROWSERS)), "")
    sample = [f"{name}.html" for name in SAMPLE if f"{name}.html" in names]
    done = []
    with serving(folder) as base:
        if "links" in parts:
            done.append(links(folder))
        if "html" in parts:
            done.append(html(folder, node))
        if "pages" in parts:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium or None, args=["--disable-gpu"])
                done.append(pages(browser, base, names, node))
                browser.close()
        if "lighthouse" in parts:
            done.append(lighthouse(base, sample, chromium, node))
    return done


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--skip", action="append", default=[], choices=PARTS)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    listed = re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text("utf8"))
    names = [*(f"{entry}.html" for entry in listed), "search.html", "genindex.html"]
    chosen = [name for name in names if any(part in name for part in args.names or [""])]
    sections = audit(args.site, chosen, [part for part in PARTS if part not in args.skip])
    (CACHE / "report.md").write_text("# Audit of the site\n\n" + "\n".join(s.markdown() for s in sections), "utf8")
    for section in sections:
        print(f"{section.title}: {len(section.problems)} to mend")
    print(f"the report: {CACHE / 'report.md'}")
    return int(any(section.problems for section in sections))


if __name__ == "__main__":
    sys.exit(main())
