"""How much faster networks are without their dead rows, filters and channels.

    python benchmarks/compaction.py

Three networks, each before and after ``bt.compact``, timed in turns. The autoencoder has the widths that the paper's
Figure 4 shows at the end of training, with weights drawn at random: time does not ask which weights they are. ConvNet
and ResNet-18 are trained here first, with ``GroupL2("filters")``, on images that come with the package (some minutes, a
file in ``_build/`` keeps them); what their rows say of the accuracy is measured on all test images, before and after.
Targets: autoencoder 5 times, ConvNet 3 times, ResNet-18 twice as fast, and not one test image classified otherwise.
"""

from collections.abc import Callable, Sequence

import _harness
import torch
from torch import Tensor, nn

import bregtutorial as bt
from bregtutorial.data import Loader

COLUMNS = {
    "network": "",
    "batch": "d",
    "ms": ".2f",
    "ms compacted": ".2f",
    "times as fast": ".2f",
    "FLOPs": ".2f",
    "bytes": ".2f",
    "memory": ".2f",
    "accuracy": ".2%",
    "changed": "d",
}
FIGURE_4 = (784, 294, 171, 74, 109, 120, 488)  # neurons of each layer that are active after 100 epochs
KEPT = _harness.ROOT / "_build" / "compaction"
FILTERS = {"reg": bt.GroupL2("filters")}


def autoencoder() -> nn.Module:
    """All layers have 784 neurons; the rows of those that Figure 4 does not count are zero."""
    model = bt.models.autoencoder(generator=torch.Generator().manual_seed(0))
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer, active in zip(layers, FIGURE_4[1:], strict=True):
            layer.weight[active:] = 0
    return model


def sparse_start(model: nn.Module, density: float, head: str) -> tuple[nn.Module, bt.AdaBreg]:
    """Few filters at first; the last layer is dense and not penalised."""
    dense = {name: p.detach().clone() for name, p in model.named_parameters() if name.startswith(head)}
    bt.sparse_init_(model, density=density, groups="filters", generator=torch.Generator().manual_seed(0))
    model.load_state_dict(dense, strict=False)
    groups = bt.parameter_groups(model, lam=0.05, conv=FILTERS, linear=FILTERS, kinds={f"{head}.weight": "other"})
    return model, bt.AdaBreg(groups, lr=1e-3)


def train(name: str, start: Callable[[], tuple[nn.Module, bt.AdaBreg]], batches: Loader, epochs: int) -> nn.Module:
    """The trained network, from its file if there is one."""
    model, optimizer = start()
    path = KEPT / f"{name}.pt"
    if not path.exists():
        bt.fit(model, optimizer, batches, epochs=epochs, precision="bfloat16", log=print)
        KEPT.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), path)
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()


def classes(model: nn.Module, test: Loader) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(x).argmax(1) for x, _ in test])


def row(name: str, model: nn.Module, x: Tensor, rounds: int, test: Loader | None = None) -> _harness.Row:
    small = bt.compact(model.eval())
    found = bt.cost.report(model, small, x, rounds=rounds)
    before, after = found.before, found.after
    numbers = {
        "network": name,
        "batch": len(x),
        "ms": 1e3 * before.seconds,
        "ms compacted": 1e3 * after.seconds,
        "times as fast": found.speedup,
        "FLOPs": before.flops / after.flops,
        "bytes": before.bytes / after.bytes,
        "memory": before.memory / after.memory,
        "parameters": [before.parameters, after.parameters],
        "density": bt.density(model),
        "largest difference": (model(x) - small(x)).abs().max().item(),
    }
    if test is not None:
        old, new, labels = classes(model, test), classes(small, test), torch.cat([y for _, y in test])
        numbers |= {"accuracy": (old == labels).double().mean().item(), "changed": int((old != new).sum())}
    return numbers


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(__doc__, argv, size=1000, epochs=4)
    digits, textures = bt.load_dataset("digits"), bt.load_dataset("textures", size=options.size)
    data = {
        "convnet": (digits, bt.load_dataset("digits", "test")),
        "resnet18": (textures, bt.load_dataset("textures", "test", size=500)),
    }
    starts: dict[str, Callable[[], tuple[nn.Module, bt.AdaBreg]]] = {
        "convnet": lambda: sparse_start(bt.models.convnet(generator=torch.Generator().manual_seed(0)), 0.15, "9"),
        "resnet18": lambda: sparse_start(bt.models.resnet18(generator=torch.Generator().manual_seed(0)), 0.25, "fc"),
    }
    nets = {
        name: train(name, start, Loader(data[name][0], 64, drop_last=True, seed=0), options.epochs)
        for name, start in starts.items()
    }
    rows = [row("autoencoder", autoencoder(), torch.rand(128, 784), options.rounds)]
    for name, model in nets.items():
        test = Loader(data[name][1], 100, shuffle=False)
        images = next(iter(test))[0]
        rows += [row(name, model, images[:n], options.rounds, test) for n in (1, 64)]
    _harness.record("compaction", {"main": (COLUMNS, rows)})


if __name__ == "__main__":
    main()
