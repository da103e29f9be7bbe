"""Multilevel training: dense steps are rare, and between them only a small dense network is trained.

Book: Frontiers, "Multilevel training".
"""

from bregtutorial.multilevel.wrapper import Multilevel

__all__ = ["Multilevel"]
