"""Quadratic losses on which every constant of the convergence theory is known, and LinBreg on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

import bregtutorial as bt
from bregtutorial import certificates as cert

N, DELTA, LAM, SIGMA = 6, 2.0, 0.3, 0.7
Pair = tuple[Tensor, Tensor]


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True)
class Problem:
    """The loss (w - target)' H (w - target) / 2, and LinBreg on it."""

    hessian: Tensor
    target: Tensor
    lam: float = LAM

    @property
    def mu(self) -> float:
        return float(torch.linalg.eigvalsh(self.hessian)[0])

    @property
    def smooth(self) -> float:
        return float(torch.linalg.eigvalsh(self.hessian)[-1])

    @property
    def nu(self) -> float:
        """The constant of A5 for the 1-norm, as the chapter's lemma has it."""
        smallest = self.target[self.target != 0].abs().min()
        return self.mu * DELTA / (1 + 4 * DELTA * self.lam / float(smallest))

    def loss(self, w: Tensor) -> float:
        return float((w - self.target) @ self.hessian @ (w - self.target)) / 2

    def distance(self, pair: Pair) -> float:
        return float(cert.elastic_distance(bt.L1(), self.target, *pair, lam=self.lam, delta=DELTA))

    def start(self, w: Tensor) -> Pair:
        return w, self.lam * w.sign() + w / DELTA

    def step(self, pair: Pair, lr: float, noise: Tensor | None = None) -> Pair:
        w = torch.nn.Parameter(pair[0].clone())
        opt = bt.LinBreg([w], lr=lr, lam=self.lam, delta=DELTA)
        opt.state[w]["dual"] = pair[1].clone()
        w.grad = self.hessian @ (pair[0] - self.target) + (0 if noise is None else noise)
        opt.step()
        return w.detach(), opt.state[w]["dual"]

    def path(self, lr: float, steps: int, w: Tensor) -> list[Pair]:
        pairs = [self.start(w)]
        for _ in range(steps):
            pairs.append(self.step(pairs[-1], lr))
        return pairs


def sparse_regression() -> Problem:
    rows = torch.randn(30, N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Problem(rows.T @ rows / 30, vector(2, -1.5, 0.8, 0, 0, 0))


SPARSE = sparse_regression()
ROUND = Problem(1.5 * torch.eye(N, dtype=torch.float64), SPARSE.target, lam=0.0)  # curvature L everywhere, J = 0
STARTS = [torch.zeros(N, dtype=torch.float64), torch.linspace(-2, 3, N, dtype=torch.float64)]
NOISES = [s * SIGMA * e for e in torch.eye(N, dtype=torch.float64) for s in (1, -1)]  # mean 0, mean square SIGMA^2


def mean(f: Callable[[Pair], float], pairs: list[Pair]) -> float:
    return math.fsum(map(f, pairs)) / len(pairs)


def noisy_steps(problem: Problem, rate: Callable[[int], float], steps: int) -> Iterator[tuple[Pair, list[Pair], float]]:
    """A walk; at each of its points all that a noisy step can lead to."""
    generator = torch.Generator().manual_seed(1)
    here = problem.start(STARTS[0])
    for k in range(steps):
        ahead = [problem.step(here, rate(k), noise) for noise in NOISES]
        yield here, ahead, rate(k)
        here = ahead[int(torch.randint(len(ahead), (), generator=generator))]


def duals_around(problem: Problem, count: int) -> Iterator[Pair]:
    """Weights near and far, with every kind of subgradient where they are zero."""
    generator = torch.Generator().manual_seed(2)
    for k in range(count):
        w = problem.target + 4.0 ** (k % 4 - 2) * torch.randn(N, generator=generator, dtype=torch.float64)
        w = w * (torch.rand(N, generator=generator) > 0.4)
        wild = (2 * torch.rand(N, generator=generator, dtype=torch.float64) - 1).sign()
        yield w, problem.lam * torch.where(w == 0, wild, w.sign()) + w / DELTA
