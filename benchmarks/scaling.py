"""Cost of one optimizer step as the parameters grow, from a thousand to a hundred million, and what the state weighs.

    python benchmarks/scaling.py                      # the largest needs 6.5 GB
    python benchmarks/scaling.py --largest 10000000

The parameters lie in tensors of at most a million, as in the layers of a network. *Beside torch* is the time over that
of the optimizer of torch of the same kind, SGD with momentum for LinBreg and Adam for AdaBreg: as anybody writes it,
which on a CPU is a loop over tensors, and with ``fused=True``. All of one size run in one process, in turns.

The second table needs no memory: the state of a step on the meta device, where tensors have sizes and no numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import _harness
import torch

import bregtutorial as bt
from bregtutorial.cost import timings

LAM, LR = 0.1, 1e-9  # the rate is tiny, so that thousands of steps leave the tensors what they are
LAYER = 10**6
SGD, ADAM, FUSED = "torch SGD momentum", "torch Adam", ", fused"
OPTIMIZERS: Mapping[str, Callable[[list[torch.nn.Parameter]], Any]] = {
    SGD: lambda params: torch.optim.SGD(params, lr=LR, momentum=0.9),
    SGD + FUSED: lambda params: torch.optim.SGD(params, lr=LR, momentum=0.9, fused=True),
    "LinBreg": lambda params: bt.LinBreg(params, lr=LR, lam=LAM),
    "LinBreg momentum": lambda params: bt.LinBreg(params, lr=LR, lam=LAM, momentum=0.9),
    ADAM: lambda params: torch.optim.Adam(params, lr=LR),
    ADAM + FUSED: lambda params: torch.optim.Adam(params, lr=LR, fused=True),
    "AdaBreg": lambda params: bt.AdaBreg(params, lr=LR, lam=LAM),
}
WEIGHED = 10**9  # parameters on the meta device


def steps(n: int) -> dict[str, Callable[[], Any]]:
    """A step of each optimizer on ``n`` parameters of its own; they share the gradients."""
    generator = torch.Generator().manual_seed(0)
    parts = max(1, n // LAYER)
    start, *gradients = (0.1 * torch.randn(n // parts, generator=generator) for _ in range(1 + parts))
    found = {}
    for name, make in OPTIMIZERS.items():
        params = [torch.nn.Parameter(start.clone()) for _ in gradients]
        for p, g in zip(params, gradients, strict=True):
            p.grad = g
        found[name] = make(params).step
    return found


def measure(n: int, rounds: int) -> list[_harness.Row]:
    """A row for each optimizer."""
    samples = timings(steps(n), rounds=rounds)

    def beside(name: str, other: str) -> float:
        return median(a / b for a, b in zip(samples[name], samples[other], strict=True))

    rows = []
    for name, times in samples.items():
        kin = ADAM if name in (ADAM, ADAM + FUSED, "AdaBreg") else SGD
        row = {"parameters": n, "step": name, "ms": 1e3 * median(times), "ns a parameter": 1e9 * median(times) / n}
        rows.append(row | {"beside torch": beside(name, kin), "beside fused": beside(name, kin + FUSED)})
    return rows


def weigh(n: int) -> list[_harness.Row]:
    """Bytes a parameter of the state that a step leaves, beside four of the weight and four of the gradient."""
    rows = []
    for name, make in OPTIMIZERS.items():
        if FUSED in name:
            continue
        p = torch.nn.Parameter(torch.empty(n, device="meta"))
        p.grad = torch.empty_like(p)
        opt = make([p])
        opt.step()
        state = sum(x.nbytes for x in opt.state[p].values() if x.ndim)
        rows.append({"state": name, "bytes a parameter": state / n, "with weight and gradient": state / n + 8})
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(__doc__, argv, smallest=10**3, largest=10**8)
    sizes = [10**k for k in range(3, 10) if options.smallest <= 10**k <= options.largest]
    rows = [row for n in sizes for row in measure(n, options.rounds)]
    ratio = {"beside torch": ".2f", "beside fused": ".2f"}
    columns = {"parameters": ",d", "step": "", "ms": ".3f", "ns a parameter": ".2f", **ratio}
    heavy = {"state": "", "bytes a parameter": ".0f", "with weight and gradient": ".0f"}
    _harness.record("scaling", {"main": (columns, rows), "memory": (heavy, weigh(WEIGHED))}, weighed=WEIGHED)


if __name__ == "__main__":
    main()
