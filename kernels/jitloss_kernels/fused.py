"""The fused engine: scores, row losses and gradients of a block of rows while it is in cache; X is read once.

Which way a problem goes (``narrow`` or ``wide``), and into what parts it is cut, follows from shapes and dtypes alone.
Every part is summed in one fixed order, so the result is the same to the last bit for any number of threads.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import narrow, wide, workers
from .jit import Kernel
from .memory import borrow, give_back
from .tags import TAGS

# Up to so many classes, and from so many rows on, lanes with a gradient of their own are the faster way.
_NARROW_CLASSES = 128
_NARROW_ROWS = 24
# Other threads are called for what takes one thread about a tenth of a millisecond: so many bytes, or flops in float32.
_WORTH_BYTES = 1 << 20
_WORTH_FLOPS = 16 << 20


class Setup(NamedTuple):
    """All that follows from shapes, dtypes and what is wanted: worked out once for many calls."""

    kernel: Kernel
    key: tuple[Hashable, ...]  # stands for the types of the kernel's arguments
    loss: Any  # its tag
    plan: Any
    n_stages: int
    n_items: int  # scratch for all threads together, and for each; then float64 sums likewise
    member_items: int
    n_sums: int
    member_sums: int
    in_place: bool
    worth_threads: bool


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
    or uint8 with any strides; `y` (N,) is int64 within 0 … C − 1.
    """
    n_rows, dtype = len(X), W.dtype
    layout = "C" if X.flags.c_contiguous else "F" if X.flags.f_contiguous else "A"
    task = setup(loss, *X.shape, W.shape[1], dtype, X.dtype, layout, tuple(gradients))
    n_members = workers.size(n_threads) if task.worth_threads else 1
    n_counts = workers.COUNTS * (task.n_stages + 1)
    workspace = borrow(
        task.n_items + n_members * task.member_items, task.n_sums + n_members * task.member_sums, n_counts, dtype
    )
    scratch, sums, counts = workspace
    counts[:n_counts] = 0
    nothing = _NOTHING[dtype.char]
    dW, db, dX = gradients.get("W", nothing), gradients.get("b", nothing), gradients.get("X", nothing)
    arguments = (
        counts, 0, task.n_stages, task.loss, task.plan, W.reshape(-1), X.reshape(-1) if task.in_place else X, y,
        nothing if bias is None else bias, 1 / n_rows if n_rows else 1.0, 2 * decay,
        scratch, sums, dW.reshape(-1), db, dX.reshape(-1),
    )  # fmt: skip
    workers.run(task.kernel, task.key, n_members, arguments)
    total, squares = sums.item(0), sums.item(1)
    if n_members == 1:  # else a thread that comes late may still look at the counts
        give_back(workspace)
    value = total / max(n_rows, 1)
    return value + decay * squares if decay else value  # not 0 · infinity


_NOTHING = {char: np.empty(0, char) for char in "fd"}


@lru_cache
def setup(
    loss: str,
    n_rows: int,
    n_features: int,
    n_classes: int,
    dtype: np.dtype[Any],
    x_dtype: np.dtype[Any],
    x_layout: str,
    wrt: tuple[str, ...],
) -> Setup:
    """How a problem is solved."""
    way, in_place = way_of(n_rows, n_classes), x_dtype == dtype and x_layout == "C"  # else blocks of X are copied
    plan = way.plan(n_rows, n_features, n_classes, dtype.itemsize, not in_place, wrt)
    return Setup(
        kernel=way.run,
        key=(loss, dtype.num, x_dtype.num, "flat" if in_place else x_layout),
        loss=TAGS[loss],
        plan=plan,
        n_stages=way.n_stages(plan),
        **way.sizes(plan)._asdict(),
        in_place=in_place,
        worth_threads=worth_threads(n_rows, n_features, n_classes, dtype.itemsize),
    )


def way_of(n_rows: int, n_classes: int):
    """The module that solves problems of this shape."""
    return narrow if n_classes <= _NARROW_CLASSES and (n_rows >= _NARROW_ROWS or n_rows == 0) else wide


def worth_threads(n_rows: int, n_features: int, n_classes: int, item_bytes: int) -> bool:
    """Whether calling other threads pays; it changes no bit of the result."""
    n_bytes = (n_rows + 2 * n_classes) * n_features * item_bytes
    return n_bytes > _WORTH_BYTES or 4 * n_rows * n_features * n_classes * item_bytes > 4 * _WORTH_FLOPS
