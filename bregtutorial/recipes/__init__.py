"""The paper's experiments as data: one frozen :class:`Recipe` for every run, and three budgets in each.

    >>> from bregtutorial import recipes
    >>> recipe = recipes.get("mnist-mlp/linbreg-0.1")
    >>> recipe.optimizer, recipe.linear.lam, recipe.full.epochs
    ('linbreg', 0.1, 100)

A new experiment is a file here with a tuple ``RECIPES``, named in ``catalogue.py``. If it needs a new network or a new
kind of task (other targets, another loss), that is an entry of ``MODELS`` or ``TASKS``.

Book: Experiments, "MNIST and the MLP".
"""

from bregtutorial.recipes.build import Experiment, build
from bregtutorial.recipes.catalogue import RECIPES, get, names
from bregtutorial.recipes.command import parse
from bregtutorial.recipes.networks import MODELS
from bregtutorial.recipes.recipe import Budget, Penalty, Recipe, from_plain, to_plain
from bregtutorial.recipes.setting import Setting
from bregtutorial.recipes.tasks import TASKS, Task

__all__ = [
    "MODELS",
    "RECIPES",
    "TASKS",
    "Budget",
    "Experiment",
    "Penalty",
    "Recipe",
    "Setting",
    "Task",
    "build",
    "from_plain",
    "get",
    "names",
    "parse",
    "to_plain",
]
