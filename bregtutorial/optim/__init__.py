"""The optimizers: LinBreg, AdaBreg and the baseline ProxSGD, in the shape of ``torch.optim``."""

from bregtutorial.optim.adabreg import AdaBreg, adabreg
from bregtutorial.optim.linbreg import LinBreg, linbreg
from bregtutorial.optim.proxsgd import ProxSGD, proxsgd

__all__ = ["AdaBreg", "LinBreg", "ProxSGD", "adabreg", "linbreg", "proxsgd"]
