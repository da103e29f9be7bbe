"""Verdicts teach: they say what is missing, and show it by few and simple numbers."""

from __future__ import annotations

import numpy as np
import torch

import bregtutorial as bt
from bregtutorial import certificates as cert


def test_a_function_that_is_not_written_is_told_so():
    def stub(*arguments):
        raise NotImplementedError("my_prox is not written yet")

    verdict = cert.check_prox(stub, bt.L1())
    assert (verdict.failed, verdict.counterexample) == ("it returns a value", "my_prox is not written yet")


def test_a_step_is_refuted_by_two_weights_and_simple_numbers():
    def shrinks_the_gradient_only(w, v, g, lr, lam, delta):
        return w - lr * (g - g.clamp(-lam, lam)), v - lr * g

    assert "v = [[1.5, -2.5]]" in cert.check_step(shrinks_the_gradient_only).counterexample
    forgotten_rate = cert.check_step(lambda w, v, g, lr, lam, delta: (w, v - g)).counterexample
    assert forgotten_rate == "v = [[2, -0.5]], g = [[1, 4]], lr = 0.5: yours is v = [[1, -4.5]]"


def test_large_tensors_are_compared_by_the_first_entry_that_differs():
    wanted = torch.arange(20.0).view(4, 5)

    def verdict(answer):
        return cert.check_equal("grid", lambda: answer, lambda: wanted, [()], hint="")

    assert verdict(wanted)
    wrong = wanted.clone()
    wrong[2, 1:3] = 0
    assert "entry (2, 1) is 11, yours is 0; 2 of 20 differ" in verdict(wrong).counterexample
    assert "the shape is (4, 5), yours is (20,)" in verdict(wanted.flatten()).counterexample


def test_varied_cases_catch_an_answer_that_knows_only_the_visible_ones():
    cases = [(2.0, 3), (np.array([1.0, 3.0]), [torch.ones(2, dtype=torch.float64)])]
    (a, whole), (array, (tensor,)) = cert.vary(cases)
    assert (a, whole, array.tolist(), tensor.tolist()) == (1.8, 3, [0.9, 2.7], [0.9, 0.9])
    learnt = {(2.0,): 4.0}
    assert cert.check_equal("square", lambda x: learnt.get((x,), 0.0), lambda x: x * x, [(2.0,)], hint="")
    assert not cert.check_equal(
        "square", lambda x: learnt.get((x,), 0.0), lambda x: x * x, cert.vary([(2.0,)]), hint=""
    )
