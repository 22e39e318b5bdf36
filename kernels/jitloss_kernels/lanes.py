"""Lanes: contiguous ranges of rows, run side by side, folded in order.

Their number and bounds depend on the shape of the problem alone, never on the number of threads, and their
results are added in lane order. So the same inputs give the same bits for any number of threads, and whether
the lanes run in parallel or one after the other.

::

    rows   0 ─────────────────────────────────────────── N
    lanes  │    0    │    1    │    2    │  …  │  L − 1  │    prange, each lane on one thread
    chunks │ · · · · │ · · · · │ · · · · │     │ · · · · │    long float32 sums are cut into short ones
    fold   └────┴─────────┴─────────┴─────────────┴──────→    dW = Σ lanes + regulariser, in lane order
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import prange, typeof, types

from . import loops, pointers
from .jit import Kernel, helper, overload
from .memory import aligned, whole_lines
from .tags import TAGS
from .threads import launch, pool_size

# A lane is worth a launch from about this many flops on, a tenth of a millisecond; and with this many rows in
# each, folding the lanes costs a few per cent at most. All partial gradients together stay below LANES_BYTES.
LANE_FLOPS = 2_000_000
LANE_ROWS = 64
LANES_BYTES = 32 << 20
MAX_LANES = 64
# Python sees a Ctrl-C only between two launches; this takes a fraction of a second.
SLICE_FLOPS = 1 << 31
# Rounding errors grow with the length of a sum. A float32 gradient is therefore added up over this many rows at a
# time, then the sums are added up: as close to the truth as a blocked BLAS, for about 1 % of the time.
CHUNK_ROWS = 1024


TEXTBOOK = {type(tag): loops.ROWS[name] for name, tag in TAGS.items()}


def lane_count(n_rows: int, n_features: int, n_classes: int) -> int:
    """How many lanes a problem is cut into; from its shape alone."""
    by_work = 4 * n_rows * n_features * n_classes // LANE_FLOPS
    by_memory = LANES_BYTES // (8 * n_features * n_classes)
    most = max(1, min(by_work, by_memory, n_rows // LANE_ROWS, MAX_LANES))
    return 1 << (most.bit_length() - 1)  # a power of two shares out evenly among 2, 4, 8 … threads


def slices(n_rows: int, row_flops: int, n_lanes: int) -> Iterator[tuple[int, int, int, int]]:
    """What is done between two looks for a Ctrl-C: a range of lanes and, in each of them, a range of chunks."""
    rows = -(-n_rows // n_lanes)  # of the longest lane
    n_chunks = max(-(-rows // CHUNK_ROWS), 1)
    lanes_at_once = min(max(SLICE_FLOPS // max(rows * row_flops, 1), pool_size()), n_lanes)
    chunks_at_once = max(SLICE_FLOPS // (lanes_at_once * CHUNK_ROWS * row_flops), 1)
    for lane in range(0, n_lanes, lanes_at_once):
        for chunk in range(0, n_chunks, chunks_at_once):
            yield lane, min(lane + lanes_at_once, n_lanes), chunk, min(chunk + chunks_at_once, n_chunks)


def linear_loss(
    loss: str,
    W: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    decay: float,
    dW: np.ndarray | None,
    dX: np.ndarray | None,
    n_threads: int | None,
) -> float:
    """Mean `loss` (a name of TAGS) of the rows of X plus ``decay * sum(W * W)``; gradients go into `dW`, `dX` if given.

    `W` (D, C) and `X` (N, D) are C-contiguous and of one float dtype, `y` (N,) is int64 within 0 … C − 1, and all
    three are read-only views: one array type each, so one compiled signature. `dW` and `dX` are C-contiguous.
    """
    (n_rows, n_features), n_classes, dtype = X.shape, W.shape[1], X.dtype
    n_lanes = lane_count(n_rows, n_features, n_classes)
    width = whole_lines(n_features, dtype.itemsize)
    Wt = aligned((n_classes, width), dtype)
    Wt[:, :n_features] = W.T
    chunked = dW is not None and dtype == np.float32 and n_rows > CHUNK_ROWS * n_lanes
    partials = aligned((n_lanes, n_classes, width) if dW is not None else (n_lanes, 0, 0), dtype)
    chunks = aligned((n_lanes, n_classes, width) if chunked else (n_lanes, 0, 0), dtype)
    scores = aligned((n_lanes, whole_lines(n_classes, dtype.itemsize)), dtype)
    losses = np.empty(n_lanes)
    scale = dtype.type(1 / max(n_rows, 1))
    nothing = np.empty((0, 0), dtype)
    given = (TAGS[loss], Wt, X, y, scale, scores, chunks, partials, losses, nothing if dX is None else dX)
    address = _lane_address(given)
    for part in slices(n_rows, 4 * n_features * n_classes, n_lanes):
        launch(run_lanes, n_lanes, n_threads, (*part, address, *given))
    value = losses.sum() / max(n_rows, 1)
    if dW is None and not decay:
        return float(value)
    squares = fold.serial(Wt, n_features, 2 * decay, partials, nothing if dW is None else dW)
    return float(value + decay * squares if decay else value)  # not 0 · infinity


@Kernel
def run_lanes(first, stop, begin, end, address, loss, Wt, X, y, scale, scores, chunks, partials, losses, dX):
    """Run some chunks of some of the lanes, by the address of ``one_lane``."""
    for lane in prange(first, stop):
        run_lane(address, lane, begin, end, loss, Wt, X, y, scale, scores, chunks, partials, losses, dX)


@Kernel
def one_lane(lane, begin, end, loss, Wt, X, y, scale, scores, chunks, partials, losses, dX):
    """Lane l leaves its loss in losses[l], its gradient in partials[l]; with chunks, added up a chunk at a time.

    What it does now are its chunks of rows from `begin` to `end`; 0 is the first.

    Inlined into a parallel and into a serial loop, the same source may be vectorised in two ways and differ in the last
    bit. Called by its address, it is one piece of machine code for every launch.
    """
    n_lanes = losses.shape[0]
    start, stop = lane * X.shape[0] // n_lanes, (lane + 1) * X.shape[0] // n_lanes
    chunk, partial, scores = chunks[lane], partials[lane], scores[lane]
    if begin == 0:
        partial[:] = 0
        losses[lane] = 0
    total = losses[lane]
    for first in range(start + begin * CHUNK_ROWS, min(start + end * CHUNK_ROWS, stop), CHUNK_ROWS):
        last = min(first + CHUNK_ROWS, stop)
        if len(chunk) == 0:
            total += rows(loss, Wt, X, y, first, last, scale, scores, partial, dX)
        else:
            chunk[:] = 0
            total += rows(loss, Wt, X, y, first, last, scale, scores, chunk, dX)
            for j in range(chunk.shape[0]):
                for k in range(chunk.shape[1]):
                    partial[j, k] += chunk[j, k]
    losses[lane] = total


run_lane = pointers.outlined(one_lane)
_addresses: dict[tuple[Any, ...], int] = {}


def _lane_address(given: tuple[Any, ...]) -> int:
    """Where ``one_lane`` is, compiled for arguments like these, and for a lane and its chunks before them."""
    key = (type(given[0]), given[1].dtype.num)
    found = _addresses.get(key)
    if found is None:
        signature = (*(types.int64,) * 3, *map(typeof, given))
        found = pointers.address_of(one_lane, signature) if pointers.by_address() else 0
        _addresses[key] = found
    return found


@Kernel
def fold(Wt, n_features, twice_decay, partials, dW):
    """dW = Σ lanes + 2 · decay · W, lane after lane; returns sum(W * W). An empty dW is not wanted."""
    n_lanes, n_classes = partials.shape[0], Wt.shape[0]
    squares = 0.0
    for j in range(n_classes):
        for k in range(n_features):
            squares += np.float64(Wt[j, k]) * np.float64(Wt[j, k])
        if len(dW) > 0:
            for lane in range(1, n_lanes):
                for k in range(n_features):
                    partials[0, j, k] += partials[lane, j, k]
            for k in range(n_features):
                dW[k, j] = partials[0, j, k] + twice_decay * Wt[j, k]
    return squares


def rows(loss, Wt, X, y, start, stop, scale, scores, dWt, dX):
    """The textbook loops of `loss`; compiled, the choice is made once, by the type of the tag."""
    return TEXTBOOK[type(loss)](Wt, X, y, start, stop, scale, scores, dWt, dX)


@overload(rows)
def _rows_compiled(loss, Wt, X, y, start, stop, scale, scores, dWt, dX):
    textbook = helper(TEXTBOOK[loss.instance_class])

    def rows_of_this_loss(loss, Wt, X, y, start, stop, scale, scores, dWt, dX):
        return textbook(Wt, X, y, start, stop, scale, scores, dWt, dX)

    return rows_of_this_loss
