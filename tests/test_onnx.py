"""A compacted network leaves PyTorch: exported to ONNX, it computes the same in another runtime."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import bregtutorial as bt

reason = "needs pip install 'bregtutorial[onnx]'"
onnxruntime = pytest.importorskip("onnxruntime", reason=reason)
pytest.importorskip("onnxscript", reason=reason)


def sparse_resnet() -> nn.Module:
    """A ResNet with dead filters, and batch norms that shift."""
    model, g = bt.models.resnet(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight[torch.rand(len(module.weight), generator=g) < 0.5] = 0.0
            elif isinstance(module, nn.BatchNorm2d):
                module.bias.normal_(-0.5, generator=g)
                module.running_mean.normal_(generator=g)
    return model.eval()


@pytest.mark.parametrize("make", [sparse_resnet, lambda: bt.models.mlp((3072, 40, 10)).eval()])
def test_onnxruntime_agrees(make, tmp_path: Path) -> None:
    model = make()
    small, x = bt.compact(model), torch.rand(2, 3, 32, 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(small, (x,), tmp_path / "small.onnx", dynamo=True, external_data=False, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "small.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        expected = model(x)
    assert (torch.from_numpy(y) - expected).abs().max() <= 1e-5 * expected.abs().max()
