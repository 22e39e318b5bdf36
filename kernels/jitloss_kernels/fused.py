"""The fused engine: scores, row losses and gradients of a block of rows while it is in cache; X is read once.

Which way a problem goes (``short``, ``narrow`` or ``wide``), and into what parts it is cut, follows from shapes and
dtypes alone. Every part is summed in one fixed order, so the result is the same to the last bit for any number of
threads.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from math import isfinite
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from . import narrow, narrow_block, narrow_plan, short, short_plan, wide, wide_plan, workers
from .blocks import handed, reading_of, shape_of
from .jit import Kernel
from .memory import SHARED, Pool
from .options import Options, make
from .records import handed as handed_plan
from .records import record
from .rows import SCORE_FLOPS, compiled
from .rows import tag as tag_of

# Lanes with a gradient of their own are the faster way for few classes anyhow (`wide` would leave vectors half empty);
# for some, if there are rows enough, also for two lanes, to be worth packing W; for many, if W is not too large, too.
_FEW_CLASSES, _SOME_CLASSES, _MANY_CLASSES = 8, 128, 400
_ROWS_A_CLASS = 2
_CACHED_BYTES = 2 << 20
# Other threads are called for what takes one thread some thirty microseconds: so many bytes, or flops in float32.
_WORTH_BYTES = 1 << 20
_WORTH_FLOPS = 2 << 20


class Setup(NamedTuple):
    """All that follows from shapes, dtypes and what is wanted: worked out once for many calls."""

    kernel: Kernel
    key: tuple[Hashable, ...]  # stands for the types of the kernel's arguments
    loss: Any  # its tag
    given: Any  # the plan, as the kernel is given it
    record: np.ndarray  # where it lies
    n_counts: int
    n_items: int  # scratch for all threads together, and for each; then float64 sums likewise
    member_items: int
    n_sums: int
    member_sums: int
    most_threads: int  # that find something to do; 1 where calling others does not pay
    n_flops: int
    pivots: bool


def linear_loss(
    loss: str,
    W: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    bias: np.ndarray | None,
    options: Options,
    arrays: tuple[np.ndarray | None, ...],
    decay: float,
    gradients: dict[str, np.ndarray],
    n_threads: int | None,
    rows: np.ndarray | None = None,
    pool: Pool = SHARED,
    may_pivot: bool = True,
) -> tuple[float, float]:
    """The sum of a `loss` (a name in ``rows.ROWS``) over the rows of ``X W + bias``, and ``decay * sum(W * W)``.

    The `gradients`, of ``options.scale`` times the one plus the other, are written to, by name. `W` (D, C), `bias` (C,)
    and the gradients are C-contiguous and of the compute dtype. `X` (N, D) is float32, float64 or uint8 with any
    strides; `y` (N,) is int64 within 0 … C − 1. `arrays` are those that the `options` hold addresses of. With `rows`
    (N,), int64 within X, X[rows] stands in the place of X. Scratch comes from the `pool`. `may_pivot`: see ``pivots``.
    """
    shape = shape_of(X, rows)
    task = setup(loss, len(y), *W.shape, W.dtype, X.dtype, shape, rows is not None, tuple(gradients), may_pivot)
    nothing = _NOTHING[W.dtype.char]
    dW = gradients["W"].reshape(-1) if "W" in gradients else nothing
    db = gradients.get("b", nothing)
    dX = gradients["X"].reshape(-1) if "X" in gradients else nothing
    total, penalty = solve(
        task, W.reshape(-1), handed(X, shape, rows), y, nothing if bias is None else bias, options, arrays, decay,
        dW, db, dX, n_threads, pool,
    )  # fmt: skip
    if is_to_be_redone(task, total):
        return linear_loss(
            loss, W, X, y, bias, options, arrays, decay, gradients, n_threads, rows, pool, may_pivot=False
        )
    return total, penalty


def solve(
    task: Setup,
    W: np.ndarray,
    X: Any,
    y: np.ndarray,
    bias: np.ndarray,
    options: Options,
    arrays: tuple[np.ndarray | None, ...],
    decay: float,
    dW: np.ndarray,
    db: np.ndarray,
    dX: np.ndarray,
    n_threads: int | None = None,
    pool: Pool = SHARED,
) -> tuple[float, float]:
    """The same for arrays as kernels are given them: flat, X as ``handed``; empty where nothing is given or wanted."""
    n_members = workers.size(n_threads, task.most_threads)
    scratch = pool.borrow(
        task.n_items + n_members * task.member_items, task.n_sums + n_members * task.member_sums, W.dtype
    )
    # New for every call: a thread that comes late finds that all is done, and touches nothing else.
    counts = np.zeros(task.n_counts, np.int64)
    arguments = (
        counts, 0, task.loss, task.given, W, X, y, bias, options, 2 * decay, scratch.items, scratch.sums, dW, db, dX,
    )  # fmt: skip
    workers.run(task.kernel, task.key, n_members, arguments, task.n_flops, (arrays, task))
    total, squares = scratch.sums.item(0), scratch.sums.item(1)
    pool.give_back(scratch)
    return total, decay * squares if decay else 0.0  # not 0 · infinity


def is_to_be_redone(task: Setup, total: float) -> bool:
    """Whether the sum of the losses says that there may be no pivot: what it says of some classes may be wrong then."""
    return task.pivots and not isfinite(total)


def options_of(
    loss: str, dtype: np.dtype[Any], shape: tuple[int, int, int], *asked: Any
) -> tuple[Options, tuple[np.ndarray | None, ...]]:
    """The Options of a call for a problem of the shape (N, D, C); see ``options.make``."""
    return make(compiled, loss, dtype, way_of(*shape, dtype.itemsize)[1] is not wide_plan, *asked)


_NOTHING = {char: np.empty(0, char) for char in "fd"}


@lru_cache
def setup(
    loss: str,
    n_rows: int,
    n_features: int,
    n_classes: int,
    dtype: np.dtype[Any],
    x_dtype: np.dtype[Any],
    x_shape: str,
    chosen: bool,
    wrt: tuple[str, ...],
    may_pivot: bool,
) -> Setup:
    """How a problem is solved."""
    kernel, way = way_of(n_rows, n_features, n_classes, dtype.itemsize)
    how: dict[str, Any] = {}
    if way is narrow_plan:
        inputs_code = narrow_block.inputs_address(dtype) if "X" in wrt else 0
        how = {"cut": narrow_plan.Cut(may_pivot=may_pivot), "inputs_code": inputs_code}
    plan = way.plan(n_rows, n_features, n_classes, dtype.itemsize, reading_of(x_shape, x_dtype, dtype), wrt, **how)
    tag, recorded = tag_of(loss), record(plan)
    return Setup(
        kernel=kernel,
        key=(type(tag).__name__, dtype.num, x_dtype.num, x_shape, chosen),
        loss=tag,
        given=handed_plan(plan, recorded),
        record=recorded,
        n_counts=way.n_counts(plan),
        **way.sizes(plan)._asdict(),
        most_threads=way.most_threads(plan) if worth_threads(n_rows, n_features, n_classes, dtype.itemsize) else 1,
        n_flops=n_rows * n_classes * (4 * n_features + SCORE_FLOPS),
        pivots=way is narrow_plan and plan.n_columns < n_classes,
    )


@lru_cache
def way_of(n_rows: int, n_features: int, n_classes: int, item_bytes: int) -> tuple[Kernel, ModuleType]:
    """The kernel that solves problems of this shape, and the module that makes plans for it."""
    if short_plan.fits(n_rows, n_features, n_classes, item_bytes):
        return short.run, short_plan
    few, many = (narrow.run, narrow_plan), (wide.run, wide_plan)
    if n_classes <= _FEW_CLASSES or n_rows == 0:  # no rows at all: a lane that clears its gradient
        return few
    n_bytes = n_features * n_classes * item_bytes
    most = _MANY_CLASSES if n_bytes <= _CACHED_BYTES else _SOME_CLASSES
    least = max(_ROWS_A_CLASS * n_classes, 2 * narrow_plan.LARGE_LANE_ROWS if n_bytes > narrow_plan.LARGE_BYTES else 0)
    return few if n_classes <= most and n_rows >= least else many


def worth_threads(n_rows: int, n_features: int, n_classes: int, item_bytes: int) -> bool:
    """Whether calling other threads pays; it changes no bit of the result."""
    n_bytes = (n_rows + 2 * n_classes) * n_features * item_bytes
    n_flops = n_rows * n_classes * (4 * n_features + SCORE_FLOPS)
    return n_bytes > _WORTH_BYTES or n_flops * item_bytes > 4 * _WORTH_FLOPS
