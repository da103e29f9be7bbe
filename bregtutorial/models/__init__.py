"""The book's networks: ordinary modules whose widths are arguments, so that a smaller one can be rebuilt."""

from bregtutorial.models.convnet import convnet
from bregtutorial.models.mlp import autoencoder, mlp
from bregtutorial.models.resnet import ResNet, resnet, resnet18
from bregtutorial.models.skip import SkipAutoencoder, skip_autoencoder

__all__ = ["ResNet", "SkipAutoencoder", "autoencoder", "convnet", "mlp", "resnet", "resnet18", "skip_autoencoder"]
