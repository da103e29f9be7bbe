"""timm: its parameter groups feed our optimizers, ours feed its models, and its schedulers drive ``lr``."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import bregtutorial as bt

timm = pytest.importorskip("timm", reason="timm is not installed: make test-integrations")


def test_a_timm_model_is_grouped_whole_and_trains_sparsely() -> None:
    torch.manual_seed(0)
    net = timm.create_model("resnet10t", pretrained=False, num_classes=4)
    bt.sparse_init_(net, density=0.1)
    groups = bt.parameter_groups(net, lam=0.05)
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))
    opt = bt.AdaBreg(groups, lr=0.01)
    norms = {name: p.detach().clone() for name, p in net.named_parameters() if p.ndim == 1}
    x, y = torch.randn(8, 3, 32, 32), torch.arange(8) % 4
    losses = []
    for _ in range(5):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert bt.density(net) < 0.5
    moved = [name for name, p in net.named_parameters() if p.ndim == 1 and not torch.equal(p, norms[name])]
    assert moved, "biases and norms are not penalised, but they train"


def test_timm_s_groups_and_schedule() -> None:
    from timm.optim import param_groups_weight_decay
    from timm.scheduler import CosineLRScheduler

    net = bt.models.resnet((4, 8), (1, 1), generator=torch.Generator().manual_seed(0))
    vectors, weights = param_groups_weight_decay(net, weight_decay=0.1)
    # LinBreg has no weight decay: what theirs splits off is what ours leaves unpenalised
    groups = [
        {"params": weights["params"], "lam": 0.05},
        {"params": vectors["params"], "reg": bt.Zero()},
    ]
    opt = bt.LinBreg(groups, lr=0.1)
    schedule = CosineLRScheduler(opt, t_initial=10, lr_min=0.01)
    schedule.step(10 - 1)
    assert all(0.01 < group["lr"] < 0.02 for group in opt.param_groups)
    with pytest.raises(ValueError, match="no setting 'weight_decay'"):
        bt.LinBreg([weights], lr=0.1)
