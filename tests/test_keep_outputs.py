"""A chapter that passed under nbval is in the book's cache, as it would be had it been run for the book."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

TOOLS = Path(__file__).resolve().parent.parent / "tools"
CONFTEST = """import execute
from pathlib import Path
execute.CACHE = Path("cache").resolve()
"""
CHECKED = {"tags": ["nbval-check-output"]}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The cache after a run of two chapters, the second of which fails in its last cell."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "conftest.py").write_text(CONFTEST, "utf8")
    stored = [new_output("stream", name="stdout", text="2\n")]
    cells = [
        new_markdown_cell("# Text"),
        new_code_cell("x = 1"),
        new_code_cell("print(x + 1)", execution_count=2, metadata=CHECKED, outputs=stored),
        new_code_cell("x / 0", metadata={"tags": ["raises-exception"]}),
        new_code_cell("{x}"),
    ]
    wrong = new_code_cell("print(3)", execution_count=3, metadata=CHECKED, outputs=stored)
    nbformat.write(new_notebook(cells=cells), folder / "good.ipynb")
    nbformat.write(new_notebook(cells=[*cells, wrong]), folder / "bad.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "keep_outputs", "-p", "no:cacheprovider", "-q", "-n", "2"]
    command += ["--dist=loadfile", "--nbval-lax", "--nbval-current-env", "-c", os.devnull, "--rootdir=.", "."]
    path = os.pathsep.join([str(TOOLS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert "1 failed, 8 passed" in done.stdout, done.stdout + done.stderr
    return folder


def test_a_chapter_that_passed_is_kept_with_what_it_printed(kept):
    cache = get_cache(str(kept / "cache"))
    record = cache.match_cache_file(str(kept / "good.ipynb"))
    cells = [cell for cell in cache.get_cache_bundle(record.pk).nb.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4]
    assert [len(cell.outputs) for cell in cells] == [0, 1, 1, 1]
    assert cells[1].outputs[0].text == "2\n"
    assert cells[2].outputs[0].traceback == ["ZeroDivisionError: division by zero"]
    assert cells[3].outputs[0].data["text/plain"] == "{1}"
    assert record.data["execution_seconds"] > 0


def test_a_chapter_that_failed_is_not(kept):
    with pytest.raises(KeyError):
        get_cache(str(kept / "cache")).match_cache_file(str(kept / "bad.ipynb"))
