"""What `pip install bregtutorial` gives: a complete wheel, and chapters that need nothing but it and what Colab has."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import nbformat
import pytest
from colab import write_copies
from colab_runtime import Runtime
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from rules import cells

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("bregman-distances", "proximal-operators")  # all of them: make colab-test
LACKS = """
import importlib.util, os, sys, urllib.request
print(*[name for name in "bregtutorial torch yaml pytest bs4 myst_nb".split() if not importlib.util.find_spec(name)])
try:
    urllib.request.urlopen("https://example.org")
except BaseException as refused:
    print(str(refused).partition(":")[0])
print(os.listdir(), "google.colab" in sys.modules)
"""
RECORDS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "results").rglob("*.json"))
FILES = [path for kind in ("*.py", "*.js") for path in (ROOT / "bregtutorial").rglob(kind)]
SOURCES = sorted(path.relative_to(ROOT).as_posix() for path in FILES)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without this repository on Python's path; its output is the message if it fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "COV_"))}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of what git would hold: setuptools leaves traces where it works."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in (*SOURCES, *RECORDS, "bregtutorial/py.typed", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", built, source, cwd=built)
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """A fresh environment with the wheel; its dependencies are this environment's."""
    home = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", home, cwd=home)
    python = home / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=home)
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip()
    # only the folder itself: what an editable install has put into .pth files there stays out
    Path(packages, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


def test_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    code = [name for name in names if ".dist-info/" not in name]
    recorded = [f"bregtutorial/recorded/{path.removeprefix('results/')}" for path in RECORDS]
    assert sorted(code) == sorted([*SOURCES, *recorded, "bregtutorial/py.typed"])
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_says_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    assert "Requires-Python: >=3.11" in metadata
    assert "Requires-Dist: torch>=" in metadata
    assert "License-Expression: MIT" in metadata


def test_installed_package_is_complete(python, tmp_path):
    code = "import bregtutorial as bt; [getattr(bt, name) for name in bt.__all__]; print(bt.__file__)"
    assert run(python, "-c", code, cwd=tmp_path).startswith(str(site_packages(python, tmp_path)))


def test_recorded_runs_come_with_the_installed_package(python, tmp_path):
    code = "from bregtutorial import results; print(results.folder(), *[p.name for p in results.paths()], sep='\\n')"
    folder, *names = run(python, "-c", code, cwd=tmp_path).split()
    assert folder == str(site_packages(python, tmp_path) / "bregtutorial" / "recorded")
    runs = [path for path in map(Path, RECORDS) if path.parent.name not in ("benchmarks", "growth")]
    assert names == [path.name for path in runs] != []


def test_the_console_script_is_the_module(python, tmp_path):
    script, module = (
        run(*command, "list", "mnist-mlp", cwd=tmp_path)
        for command in ([python.with_name("bregtutorial")], [python, "-m", "bregtutorial"])
    )
    assert script == module
    assert script.startswith("mnist-mlp/sgd")


def printed(notebook: NotebookNode) -> list[str]:
    return [output.text for cell in cells.code(notebook) for output in cell.outputs if output.output_type == "stream"]


@pytest.mark.parametrize("chapter", QUICK)
def test_chapter_runs_alone_in_colab(wheel, tmp_path, chapter):
    (copy,) = [path for path in write_copies(tmp_path / "copies") if path.stem == chapter]
    notebook = nbformat.read(copy, as_version=4)
    notebook.cells.append(new_code_cell("print(bt.__file__)"))
    runtime = Runtime(tmp_path, wheel)
    runtime.run(notebook)
    assert printed(notebook)[-1].startswith(str(runtime.packages / "bregtutorial"))
    assert list(runtime.content.iterdir()) == []


def test_the_runtime_lacks_what_a_readers_lacks(wheel, tmp_path):
    """No package of this project, no tool of ours, no other computer, nothing around; only what Colab lists."""
    runtime = Runtime(tmp_path, wheel)
    notebook = new_notebook(cells=[new_code_cell(LACKS)])
    runtime.run(notebook)
    assert printed(notebook) == ["bregtutorial yaml pytest bs4 myst_nb\na test wants to reach example.org\n[] True\n"]
    with pytest.raises(CellExecutionError, match="No module named 'yaml'"):
        runtime.run(new_notebook(cells=[new_code_cell("import yaml")]))


def site_packages(python: Path, cwd: Path) -> Path:
    return Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=cwd).strip())
