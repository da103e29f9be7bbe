"""What networks do to an optimizer: batches in parts, tied weights, layers that rest for a while, another device."""

from __future__ import annotations

import pytest
import torch
from optim_table import Case, draw, each_case, one_step
from torch import Tensor, nn

DEVICES = [
    "meta",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]


def loss(w: Tensor, rows: slice = slice(None)) -> Tensor:
    """Mean square error over some rows of one batch."""
    x, y = draw(8, 5, seed=1)[rows], draw(8, 3, seed=2)[rows]
    return (x @ w.T - y).square().mean()


@each_case
@pytest.mark.parametrize("parts", [2, 8])
def test_gradients_of_parts_add_up_to_the_step_of_the_whole(case: Case, parts: int) -> None:
    ends = []
    for n in (1, parts):
        w = nn.Parameter(draw(3, 5, seed=0))
        opt = case([w])
        for _ in range(3):
            opt.zero_grad()
            for i in range(n):
                (loss(w, slice(8 * i // n, 8 * (i + 1) // n)) / n).backward()
            opt.step()
        ends.append(w.detach())
    torch.testing.assert_close(*ends, rtol=1e-10, atol=1e-12)


@each_case
def test_a_weight_in_two_layers_has_one_state_and_the_sum_of_both_gradients(case: Case) -> None:
    w = draw(4, 4, seed=0)
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4, bias=False)).double()
    net[0].weight = net[2].weight = nn.Parameter(w.clone())
    opt = case(net.parameters())
    net(draw(6, 4, seed=1)).square().sum().backward()
    twice = [w.clone().requires_grad_() for _ in range(2)]
    (torch.tanh(draw(6, 4, seed=1) @ twice[0].T) @ twice[1].T).square().sum().backward()
    opt.step()
    assert len(opt.param_groups[0]["params"]) == 1
    assert len(opt.state) <= 1
    expected = one_step(case, w, twice[0].grad + twice[1].grad)
    torch.testing.assert_close(net[2].weight.detach(), expected, rtol=1e-10, atol=1e-12)
    assert net[0].weight is net[2].weight


@each_case
def test_a_layer_that_is_frozen_for_a_while_goes_on_where_it_was(case: Case) -> None:
    """Its dual and its averages rest too, so the steps without it do not count."""
    ends = []
    for rests in (False, True):
        w, other = nn.Parameter(draw(3, 5, seed=0)), nn.Parameter(draw(3, 5, seed=9))
        opt = case([w, other])
        for k in range(6):
            asleep = rests and k in (2, 3)
            w.requires_grad_(not asleep)
            if not rests and k in (2, 3):
                continue
            opt.zero_grad()
            (loss(w) + loss(other)).backward()
            before, state = w.detach().clone(), {key: x.clone() for key, x in opt.state.get(w, {}).items()}
            opt.step()
            assert torch.equal(w, before) == asleep
            if asleep:
                assert all(torch.equal(x, opt.state[w][key]) for key, x in state.items())
        ends.append(w.detach())
    assert torch.equal(*ends)


@pytest.mark.parametrize("device", DEVICES)
@each_case
def test_the_state_follows_the_weights_to_another_device(case: Case, device: str) -> None:
    """Build the optimizer anew after moving the model and load the state, as with torch's own."""
    net = nn.Linear(5, 3).double()
    opt = case(net.parameters(), momentum=0.5) if "momentum" in case([net.weight]).defaults else case(net.parameters())
    net(draw(8, 5, seed=1)).square().sum().backward()
    opt.step()
    moved = nn.Linear(5, 3).double().to(device)
    if device != "meta":
        moved.load_state_dict(net.state_dict())
    again = case(moved.parameters())
    again.load_state_dict(opt.state_dict())
    for p in moved.parameters():
        assert again.state[p]
        kinds = {key: x.device.type for key, x in again.state[p].items()}
        assert kinds.pop("step", "cpu") == "cpu"  # a counter that is read at every step waits for no device
        assert set(kinds.values()) == {device}
        p.grad = torch.ones_like(p)
    again.step()
    if device != "meta":
        for p, q in zip(net.parameters(), moved.parameters(), strict=True):
            p.grad = torch.ones_like(p)
            assert q.device.type == device
        opt.step()
        for p, q in zip(net.parameters(), moved.parameters(), strict=True):
            torch.testing.assert_close(q.cpu(), p, rtol=1e-9, atol=1e-12)
