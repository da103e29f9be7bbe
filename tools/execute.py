"""Runs chapters several at a time, each in a kernel of its own, and keeps them in Jupyter Book's cache.

    python tools/execute.py --jobs 2 book/1-foundations/*.ipynb

Prints the seconds of each chapter. A chapter that fails is shown with its traceback, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import nbclient.output_widget
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

if TYPE_CHECKING:  # a slow import that few need
    from jupyter_cache.base import JupyterCacheAbstract

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "_build" / ".jupyter_cache"
CELL_TIMEOUT = 120


class Run(NamedTuple):
    """One executed chapter; `error` is the traceback of the cell that failed, or empty."""

    path: Path
    notebook: NotebookNode
    seconds: float
    error: str


def disarm_output_widgets() -> None:
    """Keeps nbclient from sending an Output widget's state back: that can hang (jupyter/nbclient#312)."""
    nbclient.output_widget.OutputWidget.sync_state = lambda self: None


def shorten_errors(notebook: NotebookNode) -> None:
    """Of an exception shown on purpose the reader needs the message, not the paths of the machine that ran it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.traceback = [f"{output.ename}: {output.evalue}"]


def run(path: Path) -> Run:
    """Executes one chapter in its own folder, as Jupyter would."""
    notebook = nbformat.read(path, as_version=4)
    start, error = time.perf_counter(), ""
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,  # timings in the metadata would make the cache miss
        extra_arguments=["--IPKernelApp.log_level=40"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as problem:
        error = str(problem)
    shorten_errors(notebook)
    return Run(path, notebook, time.perf_counter() - start, error)


def run_all(paths: Iterable[Path], jobs: int) -> Iterator[Run]:
    """Yields the chapters as they finish and says how each went."""
    disarm_output_widgets()
    with ThreadPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(run, path) for path in paths]):
            done = future.result()
            word = "FAILED" if done.error else "ran"
            print(f"{word:6} {done.seconds:6.1f} s  {done.path.relative_to(ROOT)}", flush=True)
            if done.error:
                print(done.error, file=sys.stderr, flush=True)
            yield done


def cache() -> JupyterCacheAbstract:
    """Jupyter Book's cache of executed chapters."""
    from jupyter_cache import get_cache

    return get_cache(str(CACHE))


def keep(done: Run) -> None:
    """Puts an executed chapter into the cache."""
    from jupyter_cache.base import CacheBundleIn

    bundle = CacheBundleIn(done.notebook, str(done.path), data={"execution_seconds": done.seconds})
    cache().cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def main() -> int:
    """Fills the cache with the chapters that are not in it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("notebooks", nargs="*", type=Path)
    args = parser.parse_args()
    known, todo, failed = cache(), [], False
    for path in args.notebooks:
        try:
            known.match_cache_file(str(path.resolve()))
        except KeyError:
            todo.append(path.resolve())
    for done in run_all(todo, args.jobs):
        failed |= bool(done.error)
        if not done.error:
            keep(done)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
