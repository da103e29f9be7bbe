"""The small network, its optimizer, and the way down and up.

Book: Frontiers, "Multilevel training".
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bregtutorial.groups import group_size
from bregtutorial.multilevel.cuts import EntryCut, RowCut
from bregtutorial.multilevel.layers import SmallLayer, SmallNorm
from bregtutorial.multilevel.plan import Plan, Support
from bregtutorial.optim import AdaBreg, LinBreg

BregmanOptimizer = LinBreg | AdaBreg


class Slot:
    """A parameter of the network, and the small one that stands for a part of it.

    Args:
        big: the parameter.
        group: its group in the optimizer.
        small: the one in the small network.
    """

    def __init__(self, big: nn.Parameter, group: dict[str, Any], small: nn.Parameter) -> None:
        self.big, self.group, self.small = big, group, small
        self.cut: RowCut | EntryCut
        self.factor = 1.0  # of lam, because a row has another number of entries

    def gather(self, cut: RowCut | EntryCut) -> None:
        """Cut the parameter anew."""
        self.cut = cut
        self.small.data = cut.down(self.big.detach())
        self.small.grad = None
        self.note()
        if isinstance(cut, RowCut):
            self.small.requires_grad_(self.big.requires_grad and not cut.empty)
            self.factor = math.sqrt(group_size("filters", self.big.shape) / group_size("filters", self.small.shape))

    def note(self) -> None:
        """Remember the strength that the weights are made with: it may have changed when they are written back."""
        self.lam, self.delta = self.group["lam"], self.group["delta"]

    @torch.no_grad()
    def scatter(self, small: Mapping[str, Tensor], big: dict[str, Tensor]) -> None:
        """Write the state back, and the weights that follow from it."""
        whole = self.cut.prolong(dict(small))
        for key, x in whole.items():
            if x.ndim == 0:
                big[key].copy_(x)
            else:
                target = big[key] if key in big else big.setdefault(key, torch.zeros_like(self.big))
                target.index_copy_(0, self.cut.index, x)
        rows = self.small.detach()
        if isinstance(self.cut, RowCut):
            rows = self.group["reg"].prox(self.delta * whole["dual"], self.delta * self.lam)
        self.big.index_copy_(0, self.cut.index, rows)


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
        self.optimizer = self._optimizer()

    def _slot(self, name: str, big: nn.Parameter, small: nn.Parameter | None = None) -> nn.Parameter:
        """A small parameter in place of ``big``; one that the optimizer does not train stays apart from it."""
        small = nn.Parameter(big.detach()[:0]) if small is None else small
        self.slots[name] = Slot(big, self._groups.get(id(big), {"lam": 0.0, "delta": 1.0}), small)
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

    def _optimizer(self) -> BregmanOptimizer:
        """Of the same kind; each cut weight is a group of its own, for its rows have their own number of entries."""
        cut = {id(slot.big): slot for slot in self.slots.values()}
        groups = []
        self._sources: list[tuple[dict[str, Any], Slot | None]] = []
        for group in self.fine.param_groups:
            settings = self._settings(group)
            slots = [(p, cut.get(id(p))) for p in group["params"]]
            alone = [s for p, s in slots if s is not None and p.ndim > 1]
            together = [p if s is None else s.small for p, s in slots if s not in alone or s is None]
            for params, slot in [([s.small], s) for s in alone] + [(together, None)] * bool(together):
                groups.append({**settings, "params": params})
                self._sources.append((group, slot))
        return type(self.fine)(groups)

    def _settings(self, group: dict[str, Any]) -> dict[str, Any]:
        return {key: group[key] for key in self.fine.defaults if key in group}  # torch adds defaults that no group has

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
        self._share_states()

    def _gather(self, name: str, cut: RowCut | EntryCut) -> None:
        slot = self.slots.get(name)
        if slot is None:
            return
        slot.gather(cut)
        self.optimizer.state.pop(slot.small, None)
        if slot.big in self.fine.state:
            self.optimizer.state[slot.small] = cut.restrict(self.fine.state[slot.big])

    def _share_states(self) -> None:
        """Parameters that are whole on both levels have one state."""
        for group in self.fine.param_groups:
            for p in group["params"]:
                if p in self.fine.state:
                    self.optimizer.state[p] = self.fine.state[p]

    def step(self, closure: Any = None) -> Any:
        """One step of the small optimizer with the settings that the optimizer has now."""
        for group, (source, slot) in zip(self.optimizer.param_groups, self._sources, strict=True):
            group.update(self._settings(source))
            if slot is not None:
                slot.note()
                group["lam"] = slot.lam * slot.factor
        return self.optimizer.step(closure)

    @torch.no_grad()
    def scatter(self) -> None:
        """Go up: write everything back. May be called at any time and changes nothing on the coarse level."""
        for slot in self.slots.values():
            if slot.small in self.optimizer.state and slot.small.requires_grad:
                slot.scatter(self.optimizer.state[slot.small], self.fine.state[slot.big])
        for norm in self.norms.values():
            norm.scatter()

    def state_dict(self) -> dict[str, Any]:
        """What the coarse level has in finer resolution than rounding leaves of it on the way up and down again."""
        return {
            "keep": list(self.support.keep),
            "rows": dict(self.support.rows),
            "slots": {
                name: {
                    "value": slot.small.detach().clone(),
                    "state": {k: v.clone() for k, v in self.optimizer.state.get(slot.small, {}).items()},
                    "rest": {k: v.clone() for k, v in slot.cut.rest.items()},
                }
                for name, slot in self.slots.items()
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go down as it was done when ``state`` was saved."""
        self.gather(Support(tuple(k.cpu() for k in state["keep"]), {n: r.cpu() for n, r in state["rows"].items()}))
        for name, saved in state["slots"].items():
            slot = self.slots[name]
            slot.small.data.copy_(saved["value"])
            pairs = [(saved["state"], self.optimizer.state.get(slot.small, {})), (saved["rest"], slot.cut.rest)]
            for source, target in pairs:
                for key, x in source.items():
                    target[key].copy_(x)
