"""The numbers that the paper prints, row by row, beside the recipe that repeats them.

Tables are copied. The ends of the curves were read off the figures' vector graphics, to about 0.1 points; the paper
draws validation accuracy there. It states seeds, strengths and thresholds of no table.

References:
    Bungert, Roith, Tenbrinck, Burger (2022), "A Bregman Learning Framework for Sparse Neural Networks", JMLR 23(192).

Book: Experiments, "MNIST and the MLP".
"""

from __future__ import annotations

from dataclasses import dataclass

PERCENT = ("accuracy", "density", "n_linear", "n_conv")  # ends of the names of fractions, which the paper prints in %


@dataclass(frozen=True)
class PaperRow:
    """A row of a table, or the end of a curve.

    Attributes:
        label: what the paper calls it; after a semicolon, which of our recipes stands beside it.
        recipe: that repeats it.
        numbers: as printed, by the names of :attr:`Result.final`; fractions are in percent.

    Book: Experiments, "MNIST and the MLP".
    """

    label: str
    recipe: str
    numbers: dict[str, float]


@dataclass(frozen=True)
class Published:
    """A table or figure of the paper.

    Attributes:
        title: which it is and what of.
        rows: from top to bottom.
        curves: what a figure draws over the epochs, panel by panel.

    Book: Experiments, "MNIST and the MLP".
    """

    title: str
    rows: tuple[PaperRow, ...]
    curves: tuple[str, ...] = ()


def _rows(experiment: str, columns: str, text: str) -> tuple[PaperRow, ...]:
    """Lines of ``label | variant | numbers``; a variant with a plus is measured after its threshold."""
    found = []
    for line in text.strip().splitlines():
        label, variant, numbers = (cell.strip() for cell in line.split("|"))
        prefix = "thresholded_" if variant.endswith("+") else ""
        pairs = zip(columns.split(), numbers.split(), strict=True)
        values = {(name if "train" in name else prefix + name): float(x) for name, x in pairs if x != "-"}
        found.append(PaperRow(label, f"{experiment}/{variant.rstrip('+')}", values))
    return tuple(found)


TABLE_1 = """
    Adam                    | adam             | 100  92.1 100.0
    pruning, SGD            | pruning          | 4.7  89.2  92.0
    Lasso, SGD + threshold  | lasso+           | 3.5  90.1  94.7
    Lasso, ProxGD           | proxsgd          | 4.8  89.4  91.4
    LinBreg                 | linbreg          | 1.9  89.2  91.1
    LinBreg, momentum 0.9   | linbreg-momentum | 2.7  89.9  93.8
    AdaBreg                 | adabreg          | 2.3  90.5  93.6"""
TABLE_2 = """
    Adam                         | adam             | 100 100 92.1 100.0
    pruning, SGD                 | pruning          | 7.0 6.5 86.9  89.9
    group Lasso, SGD + threshold | lasso+           | 3.6 4.3 90.3  94.8
    group Lasso, ProxGD          | proxsgd          | 3.0 3.7 89.8  91.6
    LinBreg                      | linbreg          | 3.8 4.2 89.5  93.1
    LinBreg, momentum 0.9        | linbreg-momentum | 3.5 4.7 89.9  93.5
    AdaBreg                      | adabreg          | 3.5 2.8 89.4  92.6"""
TABLE_3 = """
    SGD, momentum                       | dense-sgd         | 100  100  92.15 99.8
    Adam                                | dense-adam        | 100  100  93.6  100
    Lasso, Adam                         | lasso-adam        | 99.7 100  91.1  100
    Lasso, Adam + threshold             | lasso-adam+       | 3.0  15.7 90.0  99.8
    LinBreg                             | linbreg           | 5.5  24.8 90.9  99.5
    LinBreg + threshold                 | linbreg+          | 3.4  16.9 90.2  99.4
    LinBreg, momentum 0.9               | linbreg-momentum  | 4.8  21.0 90.4  100
    LinBreg, momentum 0.9 + threshold   | linbreg-momentum+ | 3.6  17.4 90.0  99.9
    AdaBreg                             | adabreg           | 14.7 56.7 92.3  100
    AdaBreg + threshold                 | adabreg+          | 9.2  42.2 90.5  99.9
    SGD, momentum; ours short           | short-sgd         | 100  100  92.15 99.8
    LinBreg + threshold; ours short     | short-linbreg     | 3.4  16.9 90.2  99.4
    momentum 0.9 + thr.; ours short     | short-linbreg-momentum | 3.6 17.4 90.0 99.9
    AdaBreg + threshold; ours short     | short-adabreg     | 9.2  42.2 90.5  99.9"""
FIGURE_2 = """
    SGD             | sgd           | 99.8 97.9  100
    LinBreg, 0.001  | linbreg-0.001 | 80.8 97.96 100
    LinBreg, 0.01   | linbreg-0.01  | 35.0 97.74 99.98
    LinBreg, 0.1    | linbreg-0.1   | 11.1 97.53 99.98
    ProxGD, 0.00001 | proxsgd-1e-5  | 78.0 97.58 99.99
    ProxGD, 0.0001  | proxsgd-1e-4  | 28.8 97.92 99.96
    ProxGD, 0.001   | proxsgd-1e-3  | 9.6  96.10 96.9"""
FIGURE_3 = """
    SGD                        | sgd              | -    97.91
    LinBreg, 0.1               | linbreg-0.1      | 10.4 97.22
    LinBreg, 0.1, momentum 0.9 | linbreg-momentum | 11.2 97.39
    AdaBreg, 0.1               | adabreg          | 13.0 98.01
    AdaBreg, 0.5               | adabreg-0.5      | -    -"""
FIGURE_4 = """
    SGD     | dense-sgd | 0.89 -   -   -  -   -   -
    AdaBreg | adabreg   | 0.93 294 171 74 109 120 488"""
NEURONS = " ".join(f"active/{layer}" for layer in (1, 3, 5, 7, 9, 11))
MLP_CURVES = ("valid_accuracy", "density")

PUBLISHED = {
    "table 1": Published(
        "Table 1: ConvNet on Fashion-MNIST, single weights",
        _rows("convnet-l1", "density test_accuracy train_accuracy", TABLE_1),
    ),
    "table 2": Published(
        "Table 2: ConvNet on Fashion-MNIST, kernels and single weights of linear layers",
        _rows("convnet-groups", "n_linear n_conv test_accuracy train_accuracy", TABLE_2),
    ),
    "table 3": Published(
        "Table 3: ResNet-18 on CIFAR-10, single weights",
        _rows("cifar10-resnet18", "density n_conv test_accuracy train_accuracy", TABLE_3),
    ),
    "figure 2": Published(
        "Figure 2: MLP on MNIST, three strengths (epoch 100)",
        _rows("mnist-mlp", "density valid_accuracy train_accuracy", FIGURE_2),
        MLP_CURVES,
    ),
    "figure 3": Published(
        "Figure 3: MLP on MNIST, three Bregman optimizers (epoch 100)",
        _rows("mnist-mlp", "density valid_accuracy", FIGURE_3),
        MLP_CURVES,
    ),
    "figure 4": Published(
        "Figure 4: denoising autoencoder on MNIST, active neurons (epoch 100)",
        _rows("autoencoder", f"test_ssim {NEURONS}", FIGURE_4),
        tuple(NEURONS.split()),
    ),
}
