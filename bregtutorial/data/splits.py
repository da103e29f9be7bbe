"""Stratified splits: seeded, portable, every class in the same proportion on both sides."""

import numpy as np
import numpy.typing as npt

from bregtutorial.data._random import permutation

TRAIN_SHARE = 0.8


def stratified_rank(labels: npt.NDArray[np.int64], *stream: int | str) -> npt.NDArray[np.float64]:
    """Give the members of each class, in random order, the ranks ``(0.5, 1.5, ...) / size of the class``.

    So ``rank < p`` selects the share ``p`` of every class, and sorting by rank mixes the classes evenly: every
    beginning of the sorted list is stratified, too.

    Example:
        >>> stratified_rank(np.array([0, 0, 1, 1, 1, 1]), "a split", 0).round(3).tolist()
        [0.75, 0.25, 0.375, 0.125, 0.625, 0.875]
    """
    rank = np.empty(len(labels))
    for k in np.unique(labels):
        (members,) = np.nonzero(labels == k)
        rank[members] = (permutation(len(members), *stream, int(k)) + 0.5) / len(members)
    return rank


def train_test_rows(labels: npt.NDArray[np.int64], split: str, *stream: int | str) -> npt.NDArray[np.int64]:
    """Return the rows of ``split``, evenly mixed: 80 % of every class are ``"train"``, the others ``"test"``."""
    rank = stratified_rank(labels, *stream)
    order = np.argsort(rank, kind="stable")
    chosen = rank[order] < TRAIN_SHARE
    return order[chosen if split == "train" else ~chosen]
