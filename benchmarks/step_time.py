"""Time of one optimizer step: ours in every form, torch's own, and the paper's form written plainly.

    python benchmarks/step_time.py                                   # ResNet-18's tensors, and 200 small ones
    python benchmarks/step_time.py --threads 2

All alternatives run in one process, in turns. Targets, on ResNet-18's tensors: compiled LinBreg <= 0.9 x torch's fused
SGD with momentum, eager LinBreg <= 1.5 x foreach SGD with momentum, eager AdaBreg <= 1.3 x foreach Adam, both at least
twice as fast as the paper's form.

A step does little arithmetic: what counts is how often a number travels between memory and processor. *Passes* are how
often at least, if each tensor is read once and written once; a tensor that is written without being read counts twice,
because the processor loads the line before it changes it. A copy has three passes, and its time, measured beside the
others, says how long they take at least: the column *limit*.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import _harness
import torch

import bregtutorial as bt

COLUMNS = {"step": "", "ms": ".2f", "ratio": ".2f", "passes": "d", "ms / limit": ".2f"}
LAM, LR = 0.1, 1e-9  # the rate is tiny, so that thousands of steps leave the tensors what they are
COPY, BASELINE = "copy", "torch SGD momentum, fused"


class PlainPaper:
    """The paper's algorithms as its equations read: a new tensor at every sign, the parameter's data rebound."""

    def __init__(self, params: list[torch.nn.Parameter], momentum: float = 0.0, adam: bool = False) -> None:
        self.params, self.momentum, self.adam, self.k = params, momentum, adam, 0
        self.v = [p.detach() + LAM * torch.sign(p.detach()) for p in params]
        self.m = [torch.zeros_like(p) for p in params]
        self.m2 = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self) -> None:
        """One step for every parameter."""
        self.k += 1
        for i, p in enumerate(self.params):
            g = p.grad
            if self.adam:
                self.m[i] = 0.9 * self.m[i] + (1 - 0.9) * g
                self.m2[i] = 0.999 * self.m2[i] + (1 - 0.999) * g**2
                root = torch.sqrt(self.m2[i] / (1 - 0.999**self.k)) + 1e-8
                self.v[i] = self.v[i] - LR * (self.m[i] / (1 - 0.9**self.k)) / root
            elif self.momentum:
                self.m[i] = self.momentum * self.m[i] + (1 - self.momentum) * LR * g
                self.v[i] = self.v[i] - self.m[i]
            else:
                self.v[i] = self.v[i] - LR * g
            p.data = torch.sign(self.v[i]) * torch.relu(torch.abs(self.v[i]) - LAM)


def parameters(shapes: Sequence[Sequence[int]]) -> list[torch.nn.Parameter]:
    """Fresh parameters with gradients, the same numbers each time."""
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(0.1 * torch.randn(*shape, generator=generator)) for shape in shapes]
    for p in params:
        p.grad = 0.1 * torch.randn(*p.shape, generator=generator)
    return params


def copies(shapes: Sequence[Sequence[int]]) -> Callable[[], None]:
    sources, targets = ([p.detach() for p in parameters(shapes)] for _ in range(2))

    def copy() -> None:
        for source, target in zip(sources, targets, strict=True):
            target.copy_(source)

    return copy


def alternatives(shapes: Sequence[Sequence[int]], compiled: bool) -> dict[str, tuple[int, Callable[[], Any]]]:
    """Name -> (passes, one step)."""

    def step(optimizer: Any, **settings: Any) -> Callable[[], Any]:
        return optimizer(parameters(shapes), **settings).step

    sgd, adam = torch.optim.SGD, torch.optim.Adam
    plain = {"lr": LR}
    heavy = {"lr": LR, "momentum": 0.9}
    found = {
        BASELINE: (5, step(sgd, **heavy, fused=True)),
        "torch SGD momentum, foreach": (5, step(sgd, **heavy, foreach=True)),
        "torch SGD momentum, loop": (5, step(sgd, **heavy, foreach=False)),
        "torch SGD, fused": (3, step(sgd, **plain, fused=True)),
        "torch SGD, foreach": (3, step(sgd, **plain, foreach=True)),
        "torch SGD, loop": (3, step(sgd, **plain, foreach=False)),
        "torch Adam, fused": (7, step(adam, **plain, fused=True)),
        "torch Adam, foreach": (7, step(adam, **plain, foreach=True)),
        "torch Adam, loop": (7, step(adam, **plain, foreach=False)),
    }
    ours = {
        "LinBreg": (5, bt.LinBreg, plain),
        "LinBreg momentum": (7, bt.LinBreg, heavy),
        "AdaBreg": (9, bt.AdaBreg, plain),
        "ProxSGD": (3, bt.ProxSGD, plain),
    }
    for name, (passes, optimizer, settings) in ours.items():
        for foreach, form in ((False, "loop"), (True, "foreach")):
            found[f"{name}, {form}"] = (passes, step(optimizer, lam=LAM, foreach=foreach, **settings))
        if compiled:
            found[f"{name}, compiled"] = (passes, torch.compile(step(optimizer, lam=LAM, **settings)))
    found["paper's LinBreg"] = (5, PlainPaper(parameters(shapes)).step)
    found["paper's LinBreg momentum"] = (7, PlainPaper(parameters(shapes), momentum=0.9).step)
    found["paper's AdaBreg"] = (9, PlainPaper(parameters(shapes), adam=True).step)
    found[COPY] = (3, copies(shapes))
    return found


def measure(shapes: Sequence[Sequence[int]], rounds: int, compiled: bool) -> list[_harness.Row]:
    chosen = alternatives(shapes, compiled)
    rows = _harness.compare({name: call for name, (_, call) in chosen.items()}, rounds=rounds, label="step")
    one_pass = next(row["ms"] for row in rows if row["step"] == COPY) / 3
    for row in rows:
        row["passes"] = chosen[row["step"]][0]
        row["ms / limit"] = row["ms"] / (row["passes"] * one_pass)
    return rows


def targets(rows: list[_harness.Row]) -> list[_harness.Row]:
    """The targets, and whether they are reached."""
    ms = {row["step"]: row["ms"] for row in rows}
    asked = [
        ("LinBreg, compiled", BASELINE, 0.9),
        ("LinBreg, loop", "torch SGD momentum, foreach", 1.5),
        ("LinBreg momentum, loop", "torch SGD momentum, foreach", 1.5),
        ("AdaBreg, loop", "torch Adam, foreach", 1.3),
        ("LinBreg, loop", "paper's LinBreg", 0.5),
        ("LinBreg momentum, loop", "paper's LinBreg momentum", 0.5),
        ("AdaBreg, loop", "paper's AdaBreg", 0.5),
    ]
    return [
        {
            "step": a,
            "beside": b,
            "ratio": ms[a] / ms[b],
            "wanted": limit,
            "reached": "yes" if ms[a] <= limit * ms[b] else "no",
        }
        for a, b, limit in asked
        if a in ms
    ]


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(__doc__, argv, compiled=1)
    large: list[Sequence[int]] = [p.shape for p in bt.models.resnet18().parameters()]
    small: list[Sequence[int]] = [(64,)] * 200
    rows = measure(large, options.rounds, bool(options.compiled))
    tables = {
        "main": (COLUMNS, rows),
        "targets": ({"step": "", "beside": "", "ratio": ".2f", "wanted": ".1f", "reached": ""}, targets(rows)),
        "small": (COLUMNS | {"ms": ".3f"}, measure(small, options.rounds, compiled=False)),
    }
    _harness.record("step_time", tables, numbers=sum(math.prod(s) for s in large), small_tensors=len(small))


if __name__ == "__main__":
    main()
