"""Cost of one optimizer step as the parameters grow, from a thousand to a hundred million, and what the state weighs.

    python benchmarks/scaling.py                      # one tensor of each size; the largest needs 6.5 GB
    python benchmarks/scaling.py --largest 10000000

One tensor, so that the calls are as few as they can be; many small ones are in step_time.py. *Beside torch* is the time
over that of the optimizer of torch of the same kind, as anybody writes it: SGD with momentum for LinBreg, Adam for
AdaBreg. All of one size run in one process, in turns.

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
SGD, ADAM = "torch SGD momentum", "torch Adam"
# name -> (what it is timed beside, how it is made)
OPTIMIZERS: Mapping[str, tuple[str, Callable[[list[torch.nn.Parameter]], Any]]] = {
    SGD: (SGD, lambda params: torch.optim.SGD(params, lr=LR, momentum=0.9)),
    "torch SGD momentum, fused": (SGD, lambda params: torch.optim.SGD(params, lr=LR, momentum=0.9, fused=True)),
    "LinBreg": (SGD, lambda params: bt.LinBreg(params, lr=LR, lam=LAM)),
    "LinBreg momentum": (SGD, lambda params: bt.LinBreg(params, lr=LR, lam=LAM, momentum=0.9)),
    ADAM: (ADAM, lambda params: torch.optim.Adam(params, lr=LR)),
    "torch Adam, fused": (ADAM, lambda params: torch.optim.Adam(params, lr=LR, fused=True)),
    "AdaBreg": (ADAM, lambda params: bt.AdaBreg(params, lr=LR, lam=LAM)),
}
WEIGHED = 10**9  # parameters on the meta device


def steps(n: int) -> dict[str, Callable[[], Any]]:
    """A step of each optimizer on ``n`` parameters of its own; they share the gradient."""
    generator = torch.Generator().manual_seed(0)
    start, gradient = (0.1 * torch.randn(n, generator=generator) for _ in range(2))
    found = {}
    for name, (_, make) in OPTIMIZERS.items():
        p = torch.nn.Parameter(start.clone())
        p.grad = gradient
        found[name] = make([p]).step
    return found


def measure(n: int, rounds: int) -> list[_harness.Row]:
    """A row for each optimizer."""
    samples = timings(steps(n), rounds=rounds)
    return [
        {
            "parameters": n,
            "step": name,
            "ms": 1e3 * median(samples[name]),
            "ns a parameter": 1e9 * median(samples[name]) / n,
            "beside torch": median(a / b for a, b in zip(samples[name], samples[beside], strict=True)),
        }
        for name, (beside, _) in OPTIMIZERS.items()
    ]


def weigh(n: int) -> list[_harness.Row]:
    """Bytes a parameter of the state that a step leaves, beside four of the weight and four of the gradient."""
    rows = []
    for name, (_, make) in OPTIMIZERS.items():
        if "fused" in name:
            continue
        p = torch.nn.Parameter(torch.empty(n, device="meta"))
        p.grad = torch.empty_like(p)
        opt = make([p])
        opt.step()
        state = sum(x.numel() * x.element_size() for x in opt.state[p].values() if x is not None and x.ndim)
        rows.append({"state": name, "bytes a parameter": state / n, "with weight and gradient": state / n + 8})
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(__doc__, argv, smallest=10**3, largest=10**8)
    sizes = [10**k for k in range(3, 10) if options.smallest <= 10**k <= options.largest]
    rows = [row for n in sizes for row in measure(n, options.rounds)]
    columns = {"parameters": ",d", "step": "", "ms": ".3f", "ns a parameter": ".2f", "beside torch": ".2f"}
    heavy = {"state": "", "bytes a parameter": ".0f", "with weight and gradient": ".0f"}
    _harness.record("scaling", {"main": (columns, rows), "memory": (heavy, weigh(WEIGHED))}, weighed=WEIGHED)


if __name__ == "__main__":
    main()
