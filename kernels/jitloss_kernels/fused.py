"""The fused engine: scores, row losses and gradients of a block of rows while it is in cache; X is read once.

Which way a problem goes (``narrow`` or ``wide``), and into what parts it is cut, follows from shapes and dtypes alone.
Every part is summed in one fixed order, so the result is the same to the last bit for any number of threads.
"""

from __future__ import annotations

import numpy as np

from . import narrow, wide, workers
from .memory import aligned
from .tags import TAGS

# Up to so many classes, and from so many rows on, lanes with a gradient of their own are the faster way.
_NARROW_CLASSES = 128
_NARROW_ROWS = 24
# Other threads are called for what takes one thread about a tenth of a millisecond: so many bytes, or flops in float32.
_WORTH_BYTES = 1 << 20
_WORTH_FLOPS = 16 << 20
# Rows a multiple of 1 KB apart share a few sets of the L1 cache; read for many classes, they are better copied.
_CROWDED_BYTES = 1024
_CROWDED_CLASSES = 16


def linear_loss(
    loss: str,
    W: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    bias: np.ndarray | None,
    decay: float,
    gradients: dict[str, np.ndarray],
    n_threads: int | None,
) -> float:
    """Mean `loss` of the rows of ``X W + bias`` plus ``decay * sum(W * W)``; `gradients` are written to, by name.

    `W` (D, C), `bias` (C,) and the gradients are C-contiguous and of the compute dtype. `X` (N, D) is float32, float64
    or uint8 with any strides; `y` (N,) is int64 within 0 … C − 1. Inputs are read-only views: one type each.
    """
    (n_rows, n_features), n_classes, dtype = X.shape, W.shape[1], W.dtype
    way = way_of(n_rows, n_classes)
    in_place = usable_in_place(X, dtype, n_classes)
    plan = way.plan(n_rows, n_features, n_classes, dtype.itemsize, not in_place, tuple(gradients))
    n_members = workers.size(n_threads) if worth_threads(n_rows, n_features, n_classes, dtype.itemsize) else 1
    n_items, n_sums = way.scratch_items(plan, n_members)
    scratch, sums = aligned((n_items,), dtype), np.zeros(n_sums)
    n_stages = way.n_stages(plan, bool(decay))
    counts = np.zeros(workers.COUNTS * (n_stages + 1), np.int64)
    nothing = np.empty(0, dtype)
    dW, db, dX = (gradients[name].reshape(-1) if name in gradients else nothing for name in ("W", "b", "X"))
    if bias is None:
        bias = np.zeros(n_classes, dtype)
        bias.flags.writeable = False
    x = X.reshape(-1) if in_place else X
    scale, twice_decay = dtype.type(1 / max(n_rows, 1)), dtype.type(2 * decay)
    arguments = (
        counts, 0, n_stages, TAGS[loss], plan, W.reshape(-1), x, y, bias, scale, twice_decay,
        scratch, sums, dW, db, dX,
    )  # fmt: skip
    layout = "flat" if in_place else "C" if x.flags.c_contiguous else "F" if x.flags.f_contiguous else "A"
    workers.run(way.run, (loss, dtype.num, x.dtype.num, layout), n_members, arguments)
    total, squares = way.results(plan, sums)
    value = total / max(n_rows, 1)
    return float(value + decay * squares if decay else value)  # not 0 · infinity


def way_of(n_rows: int, n_classes: int):
    """The module that solves problems of this shape."""
    return narrow if n_classes <= _NARROW_CLASSES and (n_rows >= _NARROW_ROWS or n_rows == 0) else wide


def usable_in_place(X: np.ndarray, dtype: np.dtype, n_classes: int) -> bool:
    """Whether blocks of X need not be copied."""
    crowded = n_classes > _CROWDED_CLASSES and X.shape[1] * dtype.itemsize % _CROWDED_BYTES == 0
    return bool(X.dtype == dtype and X.flags.c_contiguous and not crowded)


def worth_threads(n_rows: int, n_features: int, n_classes: int, item_bytes: int) -> bool:
    """Whether calling other threads pays; it changes no bit of the result."""
    n_bytes = (n_rows + 2 * n_classes) * n_features * item_bytes
    return n_bytes > _WORTH_BYTES or 4 * n_rows * n_features * n_classes * item_bytes > 4 * _WORTH_FLOPS
