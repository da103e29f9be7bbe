"""A stand-in for a Colab runtime, and every chapter run in it.

    python tools/colab_runtime.py [PART OF A NAME ...]

What a reader's runtime has: the packages that Colab lists and our chapters import, a kernel in which `google.colab`
is imported, an empty folder. What it lacks: this repository, bregtutorial, and here also the network. The first cell
asks pip for bregtutorial and gets this tree's wheel. The notebooks are those that the Colab buttons open (colab.py).

The packages are links to those of the environment that runs this. For one of Colab's past runtimes make that one from
its list: Python 3.11 with torch 2.6 is the floor (tools/constraints-lowest.txt), 3.12 with torch 2.9 is 2026.01.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from colab import write_copies
from execute import CELL_TIMEOUT, ROOT
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from packaging.requirements import Requirement

LISTED = [
    *("torch", "torchvision", "numpy", "matplotlib", "tqdm", "ipywidgets", "scipy", "scikit-learn", "scikit-image"),
    *("mlxtend", "ipykernel"),
]
PIP = '''"""Colab's pip, which fetches what the first cell asks for: here this tree's wheel, and no dependencies."""
import sys, sysconfig, zipfile
arguments = sys.argv[1:]
assert arguments[:3] == ["install", "-q", "--no-deps"] and "git+https://github.com/" in arguments[3], arguments
zipfile.ZipFile(WHEEL).extractall(sysconfig.get_path("purelib"))
'''
START = '''"""What holds in all processes of the runtime: no other computer, and google.colab is imported."""
import google.colab
import offline
offline.block()
'''
ARGUMENTS = ["-m", "ipykernel_launcher", "-f", "{connection_file}", "--IPKernelApp.log_level=40"]


def build_wheel(folder: Path) -> Path:
    """The wheel of this tree, built from a copy: setuptools leaves traces where it works."""
    with tempfile.TemporaryDirectory() as copy:
        names = ["bregtutorial", "results", "pyproject.toml", "setup.py", "README.md", "LICENSE"]
        ignored = ["--exclude=__pycache__", "-C", str(ROOT), "-cf", "-", *names]
        packed = subprocess.run(["tar", *ignored], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-C", copy, "-xf", "-"], input=packed, check=True)
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), copy]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
    (wheel,) = folder.glob("bregtutorial-*.whl")
    return wheel


def needed(names: list[str]) -> set[str]:
    """These distributions and all that they require."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name not in found:
            found.add(name)
            requires = map(Requirement, importlib.metadata.requires(name) or [])
            todo += [r.name for r in requires if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


def link_packages(packages: Path) -> None:
    """Links into `packages` what belongs to the listed distributions, and nothing else."""
    for name in needed(LISTED):
        files = importlib.metadata.files(name) or []
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            here = Path(str(importlib.metadata.distribution(name).locate_file(top)))
            if not (packages / top).exists():
                (packages / top).symlink_to(here)


class Runtime:
    """A fresh runtime in a folder; each chapter gets one of its own, as in Colab."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder, self.content = folder, folder / "content"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
        self.python = folder / "env" / "bin" / "python"
        self.packages = next((folder / "env" / "lib").glob("python*")) / "site-packages"
        link_packages(self.packages)
        for path, text in {
            "google/colab/__init__.py": "",
            "pip/__main__.py": PIP.replace("WHEEL", repr(str(wheel))),
            "offline.py": (ROOT / "tests" / "offline" / "offline.py").read_text("utf8"),
            "sitecustomize.py": START,
            "../kernels/colab/kernel.json": json.dumps(
                {"argv": [str(self.python), *ARGUMENTS], "display_name": "Colab"}
            ),
        }.items():
            (self.packages / path).parent.mkdir(parents=True, exist_ok=True)
            (self.packages / path).write_text(text, "utf8")
        self.content.mkdir()

    def environment(self) -> dict[str, str]:
        """The variables of its processes: none of ours but the language, and a home of its own."""
        kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "OMP_NUM_THREADS") if name in os.environ}
        return {**kept, "PATH": f"{self.python.parent}:/usr/bin:/bin", "HOME": str(self.folder)}

    def run(self, notebook: NotebookNode) -> NotebookNode:
        """Executes a notebook from top to bottom; the first error that is not meant to be shown is raised."""
        specs = KernelSpecManager(kernel_dirs=[str(self.packages.parent / "kernels")])
        manager = AsyncKernelManager(kernel_name="colab", kernel_spec_manager=specs)
        resources = {"metadata": {"path": str(self.content)}}
        client = NotebookClient(notebook, km=manager, timeout=CELL_TIMEOUT, resources=resources)
        client.owns_km = True  # so that it ends the kernel, too
        return client.execute(env=self.environment())


def main() -> int:
    """Runs the chapters whose names contain one of the arguments, or all."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        wheel, copies = build_wheel(Path(folder)), write_copies(Path(folder) / "copies")
        for path in [p for p in copies if any(part in p.stem for part in sys.argv[1:] or [""])]:
            start, error = time.perf_counter(), ""
            runtime = Runtime(Path(folder) / path.stem, wheel)
            try:
                runtime.run(nbformat.read(path, as_version=4))
            except Exception as problem:  # whatever it is, the next chapter runs
                error = str(problem)
                failed.append(path.stem)
            left = [p.name for p in runtime.content.iterdir()]
            print(
                f"{'FAILED' if error else 'ran':6} {time.perf_counter() - start:6.1f} s  {path.stem}  {left or ''}",
                flush=True,
            )
            print(error, end="\n" if error else "", flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "every chapter ran alone, as in Colab")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
