"""Recorded runs: read them, check them, and see them beside the paper's numbers.

    >>> from bregtutorial import results
    >>> results.compare("table 1").published.title
    'Table 1: ConvNet on Fashion-MNIST, single weights'

Book: Experiments, "MNIST and the MLP".
"""

from bregtutorial.results.benchmarks import Benchmark, Table, benchmark
from bregtutorial.results.check import check
from bregtutorial.results.compare import ComparedRow, Comparison, compare
from bregtutorial.results.environment import environment, revision
from bregtutorial.results.paper import PUBLISHED, PaperRow, Published
from bregtutorial.results.record import Result, folder, load, paths, read

__all__ = [
    "PUBLISHED",
    "Benchmark",
    "ComparedRow",
    "Comparison",
    "PaperRow",
    "Published",
    "Result",
    "Table",
    "benchmark",
    "check",
    "compare",
    "environment",
    "folder",
    "load",
    "paths",
    "read",
    "revision",
]
