"""Random numbers that are the same on every machine, device and version.

numpy guarantees the raw bits of PCG64 and of its seeding, but not what `Generator` methods make of them (NEP 19); torch
guarantees neither between releases. So everything here is made of raw bits, shifts and a stable sort. A stream is named
by words and integers, so that two uses of the same seed share no number, and no global generator is touched.
"""

import hashlib

import numpy as np
import numpy.typing as npt


def bits(n: int, *stream: int | str) -> npt.NDArray[np.uint64]:
    """Return the first ``n`` random 64-bit integers of the stream that ``stream`` names."""
    key = hashlib.sha256("/".join(map(str, stream)).encode()).digest()
    raw = np.random.PCG64(np.random.SeedSequence(int.from_bytes(key, "little"))).random_raw(n)
    return np.asarray(raw, dtype=np.uint64)


def uniform(shape: tuple[int, ...], *stream: int | str) -> npt.NDArray[np.float32]:
    """Return numbers from U[0, 1), multiples of 2^-24 and therefore exact in float32."""
    raw = bits(int(np.prod(shape)), *stream) >> np.uint64(40)
    return (raw.astype(np.float32) * np.float32(2.0**-24)).reshape(shape)


def permutation(n: int, *stream: int | str) -> npt.NDArray[np.int64]:
    """Return a random order of ``0 .. n-1``."""
    return np.argsort(bits(n, *stream), kind="stable").astype(np.int64)
