"""Hugging Face accelerate: ``prepare`` wraps the optimizer, also for accumulated gradients; checkpoints load again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from integrations._problem import OPTIMIZERS, assert_same, batches, network, trained_by_hand
from torch.nn import functional as F

accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed: make test-integrations")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_prepare(name: str) -> None:
    accelerator = accelerate.Accelerator(cpu=True)
    net = network()
    model, opt = accelerator.prepare(net, OPTIMIZERS[name](net))
    for x, y in batches():
        opt.zero_grad()
        accelerator.backward(F.cross_entropy(model(x), y))
        opt.step()
    assert_same(trained_by_hand(OPTIMIZERS[name]), net)


def test_accumulated_gradients_make_one_step() -> None:
    """Two half batches, one step: the mean of their gradients moves the dual once."""
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    net = network()
    model, opt = accelerator.prepare(net, OPTIMIZERS["LinBreg"](net))
    for x, y in batches():
        for half in (slice(None, 8), slice(8, None)):
            with accelerator.accumulate(model):
                accelerator.backward(F.cross_entropy(model(x[half]), y[half]))
                opt.step()
                opt.zero_grad()
    by_hand = trained_by_hand(OPTIMIZERS["LinBreg"])
    for a, b in zip(by_hand.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_save_state_and_load_state(tmp_path: Path) -> None:
    accelerator = accelerate.Accelerator(cpu=True)
    net = network()
    model, opt = accelerator.prepare(net, OPTIMIZERS["AdaBreg"](net))
    for k, (x, y) in enumerate(batches()):
        if k == 6:
            accelerator.save_state(str(tmp_path))
            with torch.no_grad():
                for p in net.parameters():
                    p.zero_()
            accelerator.load_state(str(tmp_path))
        opt.zero_grad()
        accelerator.backward(F.cross_entropy(model(x), y))
        opt.step()
    assert_same(trained_by_hand(OPTIMIZERS["AdaBreg"]), net)
