"""Recorded runs: read them, check them, and see them beside the paper's numbers.

Book: Experiments, "MNIST and the MLP".
"""

from bregtutorial.results.check import check
from bregtutorial.results.environment import environment, revision
from bregtutorial.results.record import Result, folder, load, paths, read

__all__ = ["Result", "check", "environment", "folder", "load", "paths", "read", "revision"]
