"""The training loop of the book: one function for a CPU, a GPU, or several processes.

Book: Experiments, "MNIST and the MLP"; Frontiers, "Scaling out".
"""

from bregtutorial.training.evaluation import evaluate
from bregtutorial.training.loop import fit

__all__ = ["evaluate", "fit"]
