"""What torch offers for zeros without structure: compressed rows (CSR) against a dense product.

    python benchmarks/sparse_kernels.py

A 784 x 784 layer with one image and with 128, and a 3x3 convolution of 64 channels on 32 x 32 places, written as a
product with the unfolded image, as a sparse product needs it. The ratio is to the dense layer: below 1 the zeros have
become speed. The convolution is compared with torch's own, which unfolds nothing.

The other format, 2:4 semi-structured (``torch.sparse.to_sparse_semi_structured``), keeps two of every four neighbours:
density 0.5 and no other, half precision or int8, and an NVIDIA GPU of compute capability 8.0 or more. So it is not
measured on a CPU, and a network with 3 % of its weights gains from it what one with 50 % gains.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import _harness
import torch
from torch import Tensor
from torch.nn import functional as F

DENSITIES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
SIZE, CHANNELS, PLACES = 784, 64, 32
COLUMNS = {
    "density": ".3f",
    "1 image": ".2f",
    "128 images": ".2f",
    "convolution": ".2f",
    "kB": ".0f",
    "kB / dense": ".2f",
}


def sparse(shape: tuple[int, int], density: float) -> Tensor:
    """A random matrix, each entry not zero with the given probability."""
    generator = torch.Generator().manual_seed(0)
    keep = torch.rand(shape, generator=generator) < density
    return torch.randn(shape, generator=generator) * keep


def csr(matrix: Tensor, index: torch.dtype = torch.int32) -> Tensor:
    """The compressed matrix, with the short indices that torch's CPU library asks for."""
    packed = matrix.to_sparse_csr()
    parts = packed.crow_indices().to(index), packed.col_indices().to(index), packed.values()
    return torch.sparse_csr_tensor(*parts, size=matrix.shape)


def size_of(packed: Tensor) -> int:
    return packed.crow_indices().nbytes + packed.col_indices().nbytes + packed.values().nbytes


def linear(density: float, batch: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The dense product and the sparse one, with images as columns: no copy on either side."""
    w = sparse((SIZE, SIZE), density)
    packed, x = csr(w), torch.randn(SIZE, batch)
    torch.testing.assert_close(packed @ x, w @ x, rtol=1e-3, atol=1e-3)
    return lambda: w @ x, lambda: packed @ x


def convolution(density: float) -> tuple[Callable[[], Any], Callable[[], Any]]:
    w = sparse((CHANNELS, CHANNELS * 9), density)
    packed, kernel = csr(w), w.reshape(CHANNELS, CHANNELS, 3, 3)
    x = torch.randn(1, CHANNELS, PLACES, PLACES)

    def unfolded() -> Tensor:
        return (packed @ F.unfold(x, 3, padding=1)[0]).reshape(1, CHANNELS, PLACES, PLACES)

    torch.testing.assert_close(unfolded(), F.conv2d(x, kernel, padding=1), rtol=1e-3, atol=1e-3)
    return lambda: F.conv2d(x, kernel, padding=1), unfolded


def ratio(pair: tuple[Callable[[], Any], Callable[[], Any]], rounds: int) -> tuple[float, float]:
    """Milliseconds of the dense product, and how many times as long the sparse one takes."""
    dense, packed = _harness.compare(dict(zip(("dense", "sparse"), pair, strict=True)), rounds=rounds)
    return dense["ms"], packed["ratio"]


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.options(__doc__, argv)
    warnings.filterwarnings("ignore", "Sparse", UserWarning)  # torch calls the format a beta in every process
    rows, dense_ms = [], {}
    with torch.no_grad():
        for density in DENSITIES:
            pairs = {
                "1 image": linear(density, 1),
                "128 images": linear(density, 128),
                "convolution": convolution(density),
            }
            found = {name: ratio(pair, options.rounds) for name, pair in pairs.items()}
            dense_ms = {name: ms for name, (ms, _) in found.items()}
            packed, full = size_of(csr(sparse((SIZE, SIZE), density))), 4 * SIZE**2
            row = {name: quotient for name, (_, quotient) in found.items()}
            rows.append({"density": density, **row, "kB": packed / 1000, "kB / dense": packed / full})
    _harness.record("sparse_kernels", {"main": (COLUMNS, rows)}, dense_ms=dense_ms)


if __name__ == "__main__":
    main()
