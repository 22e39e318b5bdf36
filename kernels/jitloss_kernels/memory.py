"""Scratch memory: from NumPy, aligned, made before a kernel is launched."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

CACHE_LINE = 64
# Where the float64 sums of a kernel begin; before that it leaves the sum of the losses and the sum of W².
RESULTS = 8
_FLOAT64, _INT64 = np.dtype(np.float64), np.dtype(np.int64)


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


class Workspace(NamedTuple):
    """What a kernel works in, all of it uninitialised."""

    scratch: np.ndarray  # of the compute dtype
    sums: np.ndarray  # float64
    counts: np.ndarray  # int64


# A small problem takes less time than its memory does to be made: workspaces of these sizes are kept for other calls.
_KEPT_ITEMS, _KEPT_SUMS, _KEPT_COUNTS = 1 << 15, 1 << 10, 1 << 6
_kept: dict[str, list[Workspace]] = {"f": [], "d": []}


def borrow(n_items: int, n_sums: int, n_counts: int, dtype: np.dtype[Any]) -> Workspace:
    """A workspace of at least these sizes. Nobody else has it until it is given back."""
    if n_items <= _KEPT_ITEMS and n_sums <= _KEPT_SUMS and n_counts <= _KEPT_COUNTS:
        try:
            return _kept[dtype.char].pop()  # in one step, whatever thread or signal handler may come in between
        except IndexError:
            n_items, n_sums, n_counts = _KEPT_ITEMS, _KEPT_SUMS, _KEPT_COUNTS
    return Workspace(aligned((n_items,), dtype), aligned((n_sums,), _FLOAT64), aligned((n_counts,), _INT64))


def give_back(workspace: Workspace) -> None:
    """Keep a small workspace for the next call. No other thread may be at work in it any more."""
    if len(workspace.scratch) == _KEPT_ITEMS and len(workspace.sums) == _KEPT_SUMS:
        _kept[workspace.scratch.dtype.char].append(workspace)


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
