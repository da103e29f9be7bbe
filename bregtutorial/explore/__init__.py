r"""Figures that move under the reader's fingers, with or without a Python kernel.

Example:
    >>> from matplotlib import pyplot as plt
    >>> def draw(lam):
    ...     fig, ax = plt.subplots()
    ...     _ = ax.plot([-2, -lam, lam, 2], [lam - 2, 0, 0, 2 - lam])
    ...     return fig
    >>> frames(draw, [0.0, 0.5, 1.0], label="λ", alt="Soft thresholding: zero between -{} and {}, slope 1 outside.")
    Explorer: λ = 0, 0.5, 1
"""

from bregtutorial.explore.flipbook import Explorer, frames
from bregtutorial.explore.growth import growth
from bregtutorial.explore.live import Live
from bregtutorial.explore.paths import paths
from bregtutorial.explore.playground import playground

__all__ = ["Explorer", "Live", "frames", "growth", "paths", "playground"]
