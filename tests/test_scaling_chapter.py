"""What the chapter "Scaling out" claims about evidence that is sent later, tested on the function that it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from optim_table import draw

import bregtutorial as bt

CHAPTER = Path(__file__).resolve().parent.parent / "book" / "4-frontiers" / "scaling-out.ipynb"
MAKE = {
    "LinBreg": lambda w: bt.LinBreg([w], lr=0.1, lam=0.5),
    "momentum": lambda w: bt.LinBreg([w], lr=0.1, lam=0.5, momentum=0.9),
    "AdaBreg": lambda w: bt.AdaBreg([w], lr=0.1, lam=0.5),
}


def send_later() -> Callable[..., Any]:
    cells = nbformat.read(CHAPTER, as_version=4).cells
    (source,) = (cell.source for cell in cells if "def send_later(" in cell.source)
    names: dict[str, Any] = {"torch": torch}
    exec(source.partition("\n\n\n")[0], names)
    return names["send_later"]


def gap(make: Callable[[Any], Any], m: int, steps: int = 40) -> float:
    """Largest distance of the duals, at every m-th step, from those that get each gradient at once."""
    later, start = send_later(), draw(30, seed=0) * (torch.arange(30) % 3 == 0)
    ends, kept, worst = [], {}, 0.0
    for _ in range(2):
        w = torch.nn.Parameter(start.clone())
        ends.append((w, make(w)))
    for k in range(1, steps + 1):
        for i, (w, opt) in enumerate(ends):
            w.grad = draw(30, seed=k)
            if i:
                later(opt, kept, k % m == 0)
            opt.step()
        if k % m == 0:
            duals = [opt.state[w]["dual"] for w, opt in ends]
            worst = max(worst, float((duals[0] - duals[1]).abs().max()))
    assert 0 < int(ends[1][0].count_nonzero()) < 30
    return worst


@pytest.mark.parametrize("m", [1, 2, 5])
def test_of_linbreg_s_evidence_nothing_is_lost_if_it_is_sent_later(m: int) -> None:
    assert gap(MAKE["LinBreg"], m) < 1e-12


@pytest.mark.parametrize("name", ["momentum", "AdaBreg"])
def test_averages_over_steps_notice(name: str) -> None:
    assert gap(MAKE[name], 1) < 1e-12
    assert gap(MAKE[name], 5) > 0.05
