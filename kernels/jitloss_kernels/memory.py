"""Scratch memory: from NumPy, aligned, made before a kernel is launched."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

CACHE_LINE = 64
_FLOAT64 = np.dtype(np.float64)
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
SHORT = 4 << 20
_SHORTEST = 1 << 12
_MOST_KEPT = 2
_LARGE = 0  # stands for all other lengths


class Need(NamedTuple):
    """What a call needs: so many items in all, of which from `start` on the float64 sums lie."""

    n_items: int
    start: int
    key: tuple[str, int]  # of what will do, among all scratch that is kept


@lru_cache(1 << 10)
def need_of(n_items: int, n_sums: int, dtype: np.dtype[Any]) -> Need:
    """Of `n_items` of a dtype and `n_sums` behind them: each begins with a line of its own."""
    start = whole_lines(n_items, dtype.itemsize)
    total = start + whole_lines(n_sums, _FLOAT64.itemsize) * _FLOAT64.itemsize // dtype.itemsize
    length = max(_SHORTEST, 1 << (total - 1).bit_length())
    is_large = length * dtype.itemsize > SHORT
    return Need(total if is_large else length, start, (dtype.char, _LARGE if is_large else length))


class Scratch:
    """Memory for one call at a time."""

    __slots__ = ("items", "key", "start", "sums")

    def __init__(self, need: Need) -> None:
        self.key = need.key
        self.items = aligned((need.n_items,), np.dtype(need.key[0]))
        self.divide(need.start)

    def divide(self, start: int) -> None:
        """Have the sums lie from `start` on."""
        self.start, self.sums = start, self.items[start:].view(_FLOAT64)


class Pool:
    """Scratch that is kept for the next call."""

    def __init__(self, keeps_large: bool = False) -> None:
        """`keeps_large`: also what is not short, two of a dtype, each for any call that needs no more."""
        self._keeps_large = keeps_large
        self._kept: dict[tuple[str, int], list[Scratch]] = {}

    def borrow(self, n_items: int, n_sums: int, dtype: np.dtype[Any]) -> Scratch:
        """At least `n_items` of a dtype, and `n_sums` of float64, that nobody else has until they are given back."""
        need = need_of(n_items, n_sums, dtype)
        try:
            scratch = self._kept[need.key].pop()  # in one step, whatever thread or signal handler comes in between
        except (KeyError, IndexError):
            return Scratch(need)
        if len(scratch.items) < need.n_items:  # this one is let go
            return Scratch(need)
        if scratch.start != need.start:
            scratch.divide(need.start)
        return scratch

    def give_back(self, scratch: Scratch) -> None:
        """Keep `scratch` for another call, or not."""
        if self._keeps_large or scratch.key[1] != _LARGE:
            kept = self._kept.get(scratch.key)
            if kept is None:
                kept = self._kept.setdefault(scratch.key, [])
            if len(kept) < _MOST_KEPT:
                kept.append(scratch)

    def kept_bytes(self) -> int:
        """How much scratch is kept at the moment."""
        return sum(scratch.items.nbytes for kept in list(self._kept.values()) for scratch in list(kept))

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
