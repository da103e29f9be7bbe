"""Lightning Fabric: ``setup`` wraps the optimizer, ``backward`` is its own, the weights are those of the plain loop."""

from __future__ import annotations

import pytest
from integrations._problem import OPTIMIZERS, assert_same, batches, network, trained_by_hand
from torch.nn import functional as F

fabric_package = pytest.importorskip("lightning.fabric", reason="lightning is not installed: make test-integrations")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fabric(name: str) -> None:
    fabric = fabric_package.Fabric(accelerator="cpu", devices=1)
    net = network()
    model, opt = fabric.setup(net, OPTIMIZERS[name](net))
    for x, y in batches():
        opt.zero_grad()
        fabric.backward(F.cross_entropy(model(x), y))
        opt.step()
    assert_same(trained_by_hand(OPTIMIZERS[name]), net)
