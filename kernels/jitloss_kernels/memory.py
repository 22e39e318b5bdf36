"""Scratch memory: from NumPy, aligned, made before a kernel is launched."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

CACHE_LINE = 64


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Uninitialised memory for scratch that starts on a cache line."""
    n_bytes = prod(shape) * dtype.itemsize
    memory = np.empty(n_bytes + CACHE_LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % CACHE_LINE
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def whole_lines(n: int, item_bytes: int) -> int:
    """`n` items rounded up to whole cache lines: rows start aligned, and no two threads write to one line."""
    per_line = CACHE_LINE // item_bytes
    return -(-n // per_line) * per_line


def row_items(n: int, item_bytes: int) -> int:
    """The length of a row of a scratch matrix of `n` columns: whole lines, and no large power of two.

    Rows a multiple of 1 KB apart share a few sets of the L1 cache and push each other out.
    """
    width = whole_lines(n, item_bytes)
    return width if width * item_bytes % 1024 else width + CACHE_LINE // item_bytes
