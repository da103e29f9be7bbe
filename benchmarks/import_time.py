"""How long ``import bregtutorial`` takes beside ``import torch``, each in a process of its own.

    python benchmarks/import_time.py

Interleaved, so that both find the files in the same cache. The target is 1.3 times torch's own time.
"""

import subprocess
import sys
from collections.abc import Sequence

import _harness

COLUMNS = {"import": "", "ms": ".0f", "ratio": ".2f"}


def importing(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=_harness.ROOT, check=True)


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(__doc__, argv)
    modules = {name: lambda name=name: importing(name) for name in ("torch", "bregtutorial")}
    _harness.record(
        "import_time", {"main": (COLUMNS, _harness.compare(modules, rounds=options.rounds, label="import"))}
    )


if __name__ == "__main__":
    main()
