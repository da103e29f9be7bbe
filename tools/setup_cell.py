# The first cell of every chapter: the package (fetched from GitHub on Colab), and the same random numbers for everyone.
import subprocess
import sys

SOURCE = "bregtutorial[book] @ git+https://github.com/bregtutorial/bregtutorial@main"
try:
    import bregtutorial as bt
except ModuleNotFoundError as missing:
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError(f"{missing}; to install it: pip install '{SOURCE}'") from None
    subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", "--no-deps", SOURCE])
    import bregtutorial as bt
import matplotlib.pyplot as plt
import numpy as np
import torch

bt.plotting.use_style()
_ = torch.manual_seed(0)
