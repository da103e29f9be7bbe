"""The book's networks: ordinary modules whose widths are arguments, so that a smaller one can be rebuilt."""

from bregtutorial.models.convnet import convnet
from bregtutorial.models.mlp import autoencoder, mlp
from bregtutorial.models.resnet import ResNet, resnet, resnet18

__all__ = ["ResNet", "autoencoder", "convnet", "mlp", "resnet", "resnet18"]
