"""Values on one short line, as counterexamples show them.

Book: Foundations, "Proximal operators".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

SHOWN = 12  # entries of a tensor or a list that fit in a line
_LETTERS = 60  # of anything else


def show(value: Any) -> str:
    """A value on one short line."""
    if isinstance(value, np.ndarray):
        return show(torch.as_tensor(value))
    if isinstance(value, Tensor):
        if value.numel() > SHOWN:
            return f"a tensor of shape {tuple(value.shape)}"
        return "[" + ", ".join(map(show, value)) + "]" if value.ndim else f"{value.item():.4g}"
    if isinstance(value, tuple | list):
        parts = [*map(show, value[:SHOWN]), *([f"… {len(value)} in all"] if len(value) > SHOWN else [])]
        return f"({', '.join(parts)})"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = " ".join(repr(value).split())
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…"
