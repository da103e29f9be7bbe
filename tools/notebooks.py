"""Keeps the committed chapters in order.

    python tools/notebooks.py --write [NOTEBOOK ...]    first cell, fresh outputs, nothing volatile
    python tools/notebooks.py --check [NOTEBOOK ...]    says what is wrong; exit status 1 if anything is

The first code cell of every chapter is `tools/setup_cell.py`: change it there, then `make notebooks`. What the check
asks for is in `tools/rules/`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import nbformat
from execute import ROOT, run_all
from nbformat import NotebookNode
from rules import problems
from rules.cells import KEPT_METADATA, SETUP, runs


def chapters() -> list[Path]:
    """Every notebook of the book."""
    return sorted(p for p in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def put_setup_cell(notebook: NotebookNode) -> None:
    """Replaces the old first cell, or puts the first cell before the first code."""
    cells = notebook.cells
    first = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    if first < len(cells) and "import bregtutorial as bt" in cells[first].source:
        del cells[first]
    prompts = {f"code_prompt_{verb}": f"{verb.title()} the first cell: install and import" for verb in ("show", "hide")}
    setup = nbformat.v4.new_code_cell(SETUP, metadata={"tags": ["hide-input"], "mystnb": prompts})
    setup["id"] = "setup"
    cells.insert(first, setup)


def merged(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """What a kernel sent in pieces, which differ from run to run, as one piece."""
    found: list[NotebookNode] = []
    for output in outputs:
        if found and output.output_type == found[-1].output_type == "stream" and output.name == found[-1].name:
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def tidy(notebook: NotebookNode) -> None:
    """Leaves in the file what a reader sees and drops what differs from run to run or from machine to machine."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in (c for c in notebook.cells if c.cell_type == "code"):
        cell.outputs = merged(cell.outputs)
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code" and runs(c)), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in KEPT_METADATA})


def write(paths: list[Path], jobs: int) -> bool:
    """Refreshes the chapters in place; one that fails stays as it was, but for its first cell."""
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        put_setup_cell(notebook)
        nbformat.write(notebook, path)
    failed = False
    for done in run_all(paths, jobs):
        failed |= bool(done.error)
        if not done.error:
            tidy(done.notebook)
            nbformat.write(done.notebook, done.path)
    return failed


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--write", action="store_true")
    task.add_argument("--check", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("notebooks", nargs="*", type=Path)
    args = parser.parse_args()
    paths = [path.resolve() for path in args.notebooks] or chapters()
    # what is committed is the quick tier, run as the tests run it
    os.environ.update({"BREGTUTORIAL_TIER": "quick", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"})
    failed = args.write and write(paths, args.jobs)
    found = [f"{path.relative_to(ROOT)}: {p}" for path in paths for p in problems(nbformat.read(path, as_version=4))]
    print("\n".join(found) or f"{len(paths)} chapters in order")
    return int(failed or bool(found))


if __name__ == "__main__":
    sys.exit(main())
