"""skorch and scikit-learn: the optimizer is an argument of the estimator, and a grid search tunes ``lam``."""

from __future__ import annotations

import pytest
import torch
from integrations._problem import batches, network
from torch import nn

import bregtutorial as bt

skorch = pytest.importorskip("skorch", reason="skorch is not installed: make test-integrations")


class Penalised(bt.AdaBreg):
    """AdaBreg for libraries that pass plain parameters: weights are penalised, vectors (biases, norms) are not."""

    def __init__(self, params: list[tuple[str, nn.Parameter]] | list[nn.Parameter], lr: float, lam: float) -> None:
        tensors = [p for group in params for p in group["params"]]  # skorch hands over param groups
        weights, vectors = [p for p in tensors if p.ndim > 1], [p for p in tensors if p.ndim < 2]
        super().__init__([{"params": weights, "lam": lam}, {"params": vectors, "reg": bt.Zero()}], lr=lr)


def test_a_grid_search_over_lam() -> None:
    from sklearn.model_selection import GridSearchCV

    x, y = (torch.cat(parts) for parts in zip(*batches(), strict=True))
    net = skorch.NeuralNetClassifier(
        network(), criterion=nn.CrossEntropyLoss, optimizer=Penalised, lr=0.02, optimizer__lam=0.1,
        max_epochs=5, verbose=0, train_split=None,
    )  # fmt: skip
    search = GridSearchCV(net, {"optimizer__lam": [0.02, 0.2, 50.0]}, cv=2, scoring="accuracy", error_score="raise")
    search.fit(x.numpy(), y.numpy())
    accuracy = dict(zip((0.02, 0.2, 50.0), search.cv_results_["mean_test_score"], strict=True))
    # 50 is more than any weight can gather in these steps: the support stays that of the start
    assert search.best_params_["optimizer__lam"] < 50
    assert accuracy[50.0] < max(accuracy.values())
    assert bt.density(search.best_estimator_.module_) < 1
