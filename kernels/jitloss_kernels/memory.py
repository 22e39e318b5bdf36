"""Scratch memory: from NumPy, aligned, made before a kernel is launched."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

CACHE_LINE = 64
# Where the float64 sums of a kernel begin; before that it leaves the sum of the losses and the sum of W².
RESULTS = 8


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Uninitialised memory for scratch that starts on a cache line."""
    n_bytes = prod(shape) * dtype.itemsize
    memory = np.empty(n_bytes + CACHE_LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % CACHE_LINE
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


class Sizes(NamedTuple):
    """The memory that a kernel needs, in items of its kind; some of it for each thread."""

    n_items: int
    member_items: int
    n_sums: int
    member_sums: int


# A short call takes less time than its scratch does to be made, page by page. Arrays of up to so many bytes are kept
# for the next one: by dtype, and by length rounded up to a power of two; two of each, for calls at the same time.
_SHORT = 4 << 20
_SHORTEST = 1 << 12
_MOST_KEPT = 2
_LARGE = 0  # stands for all other lengths


class Pool:
    """Scratch that is kept for the next call."""

    def __init__(self, keeps_large: bool = False) -> None:
        """`keeps_large`: also what is not short, two arrays of a dtype, each for any call that needs no more."""
        self._keeps_large = keeps_large
        self._kept: dict[tuple[str, int], list[np.ndarray]] = {}

    def borrow(self, n_items: int, dtype: np.dtype[Any]) -> np.ndarray:
        """Scratch of at least `n_items` that nobody else has until it is given back."""
        length = max(_SHORTEST, 1 << (n_items - 1).bit_length())
        is_large = length * dtype.itemsize > _SHORT
        try:
            # In one step, whatever thread or signal handler comes in between.
            scratch = self._kept[dtype.char, _LARGE if is_large else length].pop()
        except (KeyError, IndexError):
            return aligned((n_items if is_large else length,), dtype)
        return scratch if len(scratch) >= n_items else aligned((n_items,), dtype)  # the smaller one is let go

    def give_back(self, scratch: np.ndarray) -> None:
        """Keep `scratch` for another call, or not."""
        is_large = scratch.nbytes > _SHORT
        if self._keeps_large or not is_large:
            kept = self._kept.setdefault((scratch.dtype.char, _LARGE if is_large else len(scratch)), [])
            if len(kept) < _MOST_KEPT:
                kept.append(scratch)

    def kept_bytes(self) -> int:
        """How much scratch is kept at the moment."""
        return sum(scratch.nbytes for kept in list(self._kept.values()) for scratch in list(kept))

    def forget(self) -> None:
        """Keep nothing: the next call makes its scratch anew."""
        self._kept.clear()


SHARED = Pool()


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
