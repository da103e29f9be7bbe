"""Verdicts teach: they say what is missing, and show it by few and simple numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bregtutorial as bt
from bregtutorial import certificates as cert


def test_a_function_that_is_not_written_is_told_so():
    def stub(*arguments):
        raise NotImplementedError("my_prox is not written yet")

    verdict = cert.check_prox(stub, bt.L1())
    assert (verdict.failed, verdict.counterexample) == ("it returns a value", "my_prox is not written yet")


def test_a_failing_verdict_gives_help_by_levels_and_the_smallest_case():
    def verdict(answer):
        cases = [(1.0,), (2.0,), (3.0,)]
        return cert.check_equal("square", answer, lambda x: x * x, cases, hint="x times what?")

    assert str(verdict(lambda x: 2 * x - 1)).splitlines() == [
        "square: not yet",
        "  property:       it agrees with the definition in every case",
        "  counterexample: for (2) the value is 4, yours is 3",
        "  think of:       x times what?",
        '  next hint:      "Hint 1: a nudge" at the exercise, then those below it',
    ]
    assert "hint" not in str(verdict(lambda x: x * x))


def test_the_checks_of_the_package_name_a_chapter_too():
    wrong = [
        cert.check_prox(lambda v, t: v, bt.L1()),
        cert.check_projection(lambda v, t: v, bt.L1()),
        cert.check_subgradient(torch.zeros_like, bt.L1()),
        cert.check_step(lambda w, v, g, lr, lam, delta: (w, v)),
    ]
    documented = [cert.check_prox, cert.check_projection, cert.check_subgradient, cert.check_step]
    for verdict, check in zip(wrong, documented, strict=True):
        assert '"Hint 1: a nudge" at the exercise' in str(verdict)
        chapter = verdict.next_hint.partition("chapter ")[2]
        assert chapter in check.__doc__


def test_an_error_is_shown_with_the_call_that_raised_it():
    def divides(v):
        v -= 1
        return 1 / v

    cases = [(3.0,), (1.0,), (1.0,)]
    assert cert.check_equal("f", divides, lambda v: 1 / (v - 1) if v != 1 else 0.0, cases, hint="").counterexample == (
        "for (1) ZeroDivisionError: float division by zero"
    )
    before = cert.check_prox(lambda v, t: v.zero_().nothing, bt.L1()).counterexample
    assert before.startswith("for ([[0.5]], 1) AttributeError")


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (np.array([0.5, 1.0]), "[0.5, 1]"),
        (np.zeros((40, 80)), "a tensor of shape (40, 80)"),
        ([0.1] * 98, f"({', '.join(['0.1'] * 12)}, … 98 in all)"),
        (torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()), "Sequential( (0): Linear("),
    ],
)
def test_a_counterexample_stands_on_one_line(value, line):
    shown = cert.check_equal("f", lambda x: 1, lambda x: 0, [(value,)], hint="").counterexample
    assert shown.startswith(f"for ({line}")
    assert "\n" not in shown


def test_no_further_hint_where_the_first_says_all():
    assert "next hint" not in str(cert.grade("f", lambda: None, [cert.Property("it is 1", lambda f: f(), "")]))
    w = torch.nn.Parameter(torch.ones(2))
    opt = bt.LinBreg([w], lam=0.1)
    w.sum().backward()
    opt.step()
    w.data.mul_(2)
    assert "next hint" not in str(cert.check_duals(opt))


@pytest.mark.parametrize(
    ("check", "solution"),
    [
        (cert.check_prox, bt.L1().prox),
        (cert.check_projection, lambda v, t: v.clamp(-t, t)),
        (cert.check_subgradient, torch.sign),
        (
            cert.check_step,
            lambda w, v, g, lr, lam, delta: (bt.L1().prox(delta * (v - lr * g), delta * lam), v - lr * g),
        ),
    ],
)
def test_another_seed_refutes_who_knows_the_points_of_the_first(check, solution):
    known = {}

    def learns(*given):
        return known.setdefault(str(given), solution(*given))

    def recalls(*given):
        return known.get(str(given), given[0])

    assert check(learns, bt.L1())
    assert check(recalls, bt.L1())
    assert not check(recalls, bt.L1(), seed=1)


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
