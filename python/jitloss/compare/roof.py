"""The machine's roof: what memory and arithmetic allow, measured with NumPy alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from .results import Row

_MEMORY_BYTES = 1 << 28  # more than any cache holds
# Which of them memory keeps waiting, and not its own additions, depends on the machine; the faster one counts.
_READERS = (np.sum, np.max)
_PRODUCT_SIZE = 2048
_REPEATS = 5


@dataclass(frozen=True)
class Roof:
    """Bytes a second that all threads read together, and flops a second of a matrix product, by dtype."""

    bandwidth: float
    product: dict[str, float]


def intensity(row: Row) -> float:
    """Flops for each byte of X: 4·N·D·C over N·D numbers."""
    return 4 * row.shape[2] / np.dtype(row.dtype).itemsize


def measure(n_threads: int, dtypes: tuple[str, ...]) -> Roof:
    """The roof for `n_threads` threads; BLAS is held at that number by the caller."""
    parts = [np.ones(_MEMORY_BYTES // n_threads // 8) for _ in range(n_threads)]
    with ThreadPoolExecutor(n_threads) as pool:
        seconds = min(_best(_reads(pool, reader, parts)) for reader in _READERS)
    product = {dtype: 2 * _PRODUCT_SIZE**3 / _best(_squares(dtype)) for dtype in dtypes}
    return Roof(_MEMORY_BYTES / seconds, product)


def _reads(pool: ThreadPoolExecutor, reader: Callable[..., object], parts: list[np.ndarray]) -> Callable[[], object]:
    return lambda: list(pool.map(reader, parts))


def _squares(dtype: str) -> Callable[[], object]:
    a, b, out = (np.ones((_PRODUCT_SIZE, _PRODUCT_SIZE), dtype) for _ in range(3))
    return lambda: np.matmul(a, b, out=out)


def _best(call: Callable[[], object]) -> float:
    """Seconds of the fastest call, after one that does not count."""
    call()
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
