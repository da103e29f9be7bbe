"""The small network, its optimizer, and the way down and up.

Book: Frontiers, "Multilevel training".
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from bregtutorial.multilevel.cuts import EntryCut, RowCut
from bregtutorial.multilevel.flat import Flat, Slot
from bregtutorial.multilevel.fused import FusedAdaBreg, fits
from bregtutorial.multilevel.layers import SmallLayer, SmallNorm
from bregtutorial.multilevel.plan import Plan, Support
from bregtutorial.optim import AdaBreg, LinBreg
from bregtutorial.optim._base import call

BregmanOptimizer = LinBreg | AdaBreg


class Coarse:
    """The coarse level of a network under an optimizer.

    Modules that cannot shrink are those of the network itself, so that they have nothing to be written back.

    Args:
        plan: what may shrink.
        optimizer: the network's optimizer.
    """

    def __init__(self, plan: Plan, optimizer: BregmanOptimizer) -> None:
        self.plan, self.fine = plan, optimizer
        tensors = [*plan.model.parameters(), *plan.model.buffers()]
        self.network: nn.Module = copy.deepcopy(plan.model, {id(t): t for t in tensors})
        self._groups = {id(p): g for g in optimizer.param_groups for p in g["params"]}
        self.slots: dict[str, Slot] = {}
        self.layers: dict[str, SmallLayer] = {}
        self.norms: dict[str, SmallNorm] = {}
        for name in plan.cut:
            self._shrink_layer(name)
        for name in plan.cut_norms:
            self._shrink_norm(name)

    def _slot(self, name: str, big: nn.Parameter, small: nn.Parameter | None = None) -> nn.Parameter:
        """A small parameter in place of ``big``; one that the optimizer does not train stays apart from it."""
        small = nn.Parameter(big.detach()[:0]) if small is None else small
        self.slots[name] = Slot(big, self._groups.get(id(big)), small)
        return small

    def _shrink_layer(self, name: str) -> None:
        layer: Any = self.plan.layers[name]
        bias = layer.bias
        if bias is not None and self.plan.drops_outputs(name):
            bias = self._slot(f"{name}.bias", bias)
        small = SmallLayer(layer, bias)
        self._slot(f"{name}.weight", layer.weight, small.weight)
        self.layers[name] = small
        if not name:
            self.network = small
            return
        parent, _, leaf = name.rpartition(".")
        setattr(self.network.get_submodule(parent), leaf, small)

    def _shrink_norm(self, name: str) -> None:
        norm: Any = self.plan.modules[name]
        small: Any = self.network.get_submodule(name)
        for attribute in ("weight", "bias"):
            if getattr(norm, attribute) is not None:
                setattr(small, attribute, self._slot(f"{name}.{attribute}", getattr(norm, attribute)))
        self.norms[name] = SmallNorm(norm, small)

    @torch.no_grad()
    def gather(self, support: Support) -> None:
        """Go down: cut everything to what is awake."""
        self.support = support
        for big, small in zip(self.plan.model.modules(), self.network.modules(), strict=True):
            small.training = big.training
        constants = self.plan.constants(support)
        wiring = self.plan.wiring
        for name, layer in self.layers.items():
            kept = wiring.outputs(name, support.keep)
            rows = support.rows.get(name, torch.ones_like(kept))
            weight = self.plan.layers[name].weight
            cut = RowCut(rows, wiring.inputs(name, support.keep), constants[name], weight.device)
            self._gather(f"{name}.weight", cut)
            self._gather(f"{name}.bias", EntryCut(kept, weight.device))
            layer.follow(cut, rows[kept].to(weight.device))
        for name, norm in self.norms.items():
            cut_entries = EntryCut(wiring.outputs(name, support.keep), norm.device)
            for attribute in ("weight", "bias"):
                self._gather(f"{name}.{attribute}", cut_entries)
            norm.gather(cut_entries, constants[name])
        self._build_optimizer()

    def _gather(self, name: str, cut: RowCut | EntryCut) -> None:
        slot = self.slots.get(name)
        if slot is not None:
            slot.gather(cut, self.fine.state.get(slot.big, {}))

    def _build_optimizer(self) -> None:
        """Of the same kind; small parameters of a group that have taken equally many steps are one."""
        members: dict[Any, list[Slot]] = {}
        for slot in self.slots.values():
            if slot.state and slot.small.requires_grad:
                steps = float(slot.state["step"]) if "step" in slot.state else 0.0
                key = (id(slot.group), slot.small.dtype, slot.small.device, steps, *slot.state)
                members.setdefault(key, []).append(slot)
        self.flats = [Flat(slots) for slots in members.values()]
        cut = {id(slot.big) for slot in self.slots.values()}
        whole = [(g, [p for p in g["params"] if id(p) not in cut]) for g in self.fine.param_groups]
        self.sources = [flat.group for flat in self.flats] + [g for g, params in whole if params]
        groups = [{**self._settings(flat.group), "params": [flat.param], "reg": flat.reg} for flat in self.flats]
        groups += [{**self._settings(g), "params": params} for g, params in whole if params]
        params = [p for g in groups for p in g["params"]]
        self.optimizer = FusedAdaBreg(groups) if fits(self.fine, params) else type(self.fine)(groups)
        self.small = {flat.param for flat in self.flats}
        for flat in self.flats:
            self.optimizer.state[flat.param] = flat.state
        for _, params in whole:  # what is whole on both levels has one state
            self.optimizer.state.update({p: self.fine.state[p] for p in params if p in self.fine.state})

    def _settings(self, group: dict[str, Any]) -> dict[str, Any]:
        return {key: group[key] for key in self.fine.defaults if key in group}  # torch adds defaults that no group has

    def _take_settings(self) -> None:
        for group, source in zip(self.optimizer.param_groups, self.sources, strict=True):
            group.update({**self._settings(source), "reg": group["reg"]})

    def zero_grad(self) -> None:
        """Forget the gradients of the small network."""
        for p in self.network.parameters():
            p.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of the small optimizer with the settings that the optimizer has now."""
        loss = call(closure)
        for flat in self.flats:
            flat.collect_gradients()
        self._take_settings()
        self.optimizer.step()
        return loss

    def apply_prox(self) -> None:
        """Let the small weights follow the settings that the optimizer has now."""
        self._take_settings()
        self.optimizer.apply_prox()

    @torch.no_grad()
    def scatter(self) -> None:
        """Go up: write everything back. May be called at any time and changes nothing on the coarse level."""
        for flat, group in zip(self.flats, self.optimizer.param_groups, strict=False):
            flat.hand_out(self.optimizer.state[flat.param])
            for slot in flat.slots:
                slot.scatter(self.fine.state[slot.big], group["lam"], group["delta"])
        for norm in self.norms.values():
            norm.scatter()
        for p, state in self.optimizer.state.items():  # of parameters whose first gradient came on this level
            if p not in self.small:
                self.fine.state.setdefault(p, state)

    def state_dict(self) -> dict[str, Any]:
        """What the coarse level has in finer resolution than rounding leaves of it on the way up and down again."""
        for flat in self.flats:
            flat.hand_out(self.optimizer.state[flat.param])
        return {
            "keep": list(self.support.keep),
            "rows": dict(self.support.rows),
            "slots": {
                name: {
                    "value": slot.small.detach().clone(),
                    "state": {k: v.clone() for k, v in slot.state.items()},
                    "rest": {k: v.clone() for k, v in slot.cut.rest.items()},
                }
                for name, slot in self.slots.items()
            },
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go down as it was done when ``state`` was saved."""
        self.gather(Support(tuple(k.cpu() for k in state["keep"]), {n: r.cpu() for n, r in state["rows"].items()}))
        for name, saved in state["slots"].items():
            slot = self.slots[name]
            slot.small.copy_(saved["value"])
            slot.state, slot.cut.rest = dict(saved["state"]), dict(saved["rest"])
        self._build_optimizer()
