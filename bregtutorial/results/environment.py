"""On what a run ran: versions, hardware, and the revision of the source."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("bregtutorial", "torch", "torchvision", "numpy")


def environment(device: torch.device, world_size: int = 1) -> dict[str, Any]:
    """Versions and hardware of this process.

    Args:
        device: that trains.
        world_size: number of processes.

    Example:
        >>> environment(torch.device("cpu"))["processes"]
        1

    Book: Experiments, "MNIST and the MLP".
    """
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "processes": world_size,
    }


def revision() -> str:
    """The git revision of the package's source, with ``+dirty`` if its files were edited since; else ``unknown``.

    An installed package has no revision: its version says what it is.

    Example:
        >>> revision().removesuffix("+dirty").isalnum()
        True

    Book: Experiments, "MNIST and the MLP".
    """
    package = Path(__file__).resolve().parent.parent
    try:
        head = _git(package, "rev-parse", "--short=12", "HEAD")
        tracked = _git(package, "ls-files", "__init__.py")
        edited = _git(package, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    if not tracked:  # a package that is installed somewhere below another project's clone
        return "unknown"
    return head + ("+dirty" if edited else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    """The name of the processor: Linux tells it in a file, other systems by `platform`."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
