"""What a lane does with a block of rows: scores, losses and dscores, dW, dX.

Vectors run along the features in both products, so no lane of a register is wasted on C = 2, 3 or 10; in the row stage
they run along the samples of a block. W and dW lie in panels of features (``panels.py``). For one group of classes each
of the two products fetches half of the next block's lines: only if they come evenly, a few at a time, do they come
while the arithmetic goes on. Where X is converted, the first fetches all of them. Where several groups need all of X
one after the other, a block passes through L2 in segments of features, and each segment is fetched before its turn.
"""

from __future__ import annotations

import numpy as np
from numba import from_dtype, types

from .blocks import flat, is_converted, read, where
from .jit import Kernel, helper, merged
from .narrow_plan import opened
from .options import weightless
from .panels import place_of
from .pivots import exchange
from .pointers import address_of, by_address, outlined
from .rows import SAMPLES
from .rows import rows as rows_of_strip
from .shapes import TALLEST
from .tiles import converting_dot_tile, dot_tile, outer_tile


@merged
def scores(plan, X, first, n, bias, scratch, s0, w0, next_block):
    """S = X W + b of a block, one row a class: segments of features, in them groups of classes, in them chunks.

    Then ``rows_at`` knows where the rows of X are. `next_block`: how many rows ahead is the one that comes next.
    """
    rows, d = plan.block_rows, plan.n_features
    if not is_converted(X, scratch):
        read(X, first, n, d, scratch, s0 + plan.copy_at, plan.copy_row)
    x, x0, x_row = rows_at(plan, X, first, scratch, s0)
    for j in range(plan.n_classes):
        scratch[s0 + j * rows : s0 + (j + 1) * rows] = bias[j] if len(bias) > 0 else 0
    exchange(plan, scratch, s0, 0)
    for begin in range(0, d, plan.segment):
        end = min(begin + plan.segment, d)
        for j in range(0, plan.n_columns, plan.group):
            height = min(plan.group, plan.n_columns - j)
            for k in range(begin, end, plan.chunk):
                length = min(plan.chunk, end - k)
                is_first, is_last = k == begin, k + length == end
                weights = w0 + place_of(plan, j, k)
                if j == 0 and is_converted(X, scratch):
                    converting_dot_tile(
                        plan.converting_tile, height, flat(X, scratch), first * d + k, d, x, x0 + k, x_row, n,
                        scratch, weights, length, scratch, s0 + plan.parts_at, is_first, is_last,
                        scratch, s0, 1, rows, rows * d,
                    )  # fmt: skip
                else:
                    dot_tile(
                        plan.dot_tile, height, x, x0 + k, x_row, n,
                        scratch, weights, length, scratch, s0 + plan.parts_at, is_first, is_last,
                        scratch, s0 + j * rows, 1, rows, _ahead_of_scores(plan, begin, j, k, length, x_row, next_block),
                    )  # fmt: skip
    exchange(plan, scratch, s0, plan.n_columns)


@merged
def rows_at(plan, X, first, scratch, s0):
    """Where the rows of a block are, once there are scores: a flat array, the offset of the first, the step."""
    return where(X, first, plan.n_features, scratch, s0 + plan.copy_at, plan.copy_row)


@helper
def _ahead_of_scores(plan, begin, j, k, length, x_row, next_block):
    """How far ahead half of the rows are fetched, by the first groups of classes; 0: none are.

    A single group fetches the rear half of the chunk that comes next: the gradient of the block before has fetched the
    front. Where there are more, X goes through the cache in segments: the first two fetch the halves of the next one;
    of the next block's first, if no gradient is there to do it.
    """
    half = plan.block_rows // 2 * x_row
    if not plan.fetches:
        return 0
    if plan.group == plan.n_columns:
        return half + (next_block * x_row - k if k + length == plan.n_features else plan.chunk)
    is_last = begin + plan.segment >= plan.n_features
    if j > plan.group or (is_last and plan.want_w):
        return 0
    return (next_block * x_row - begin if is_last else plan.segment) + (half if j > 0 else 0)


@merged
def losses(loss, plan, y, first, n, options, scratch, s0, sums, sums0):
    """The losses of a block; dscores take the place of the scores. Also how many rows without weight have NaN there."""
    rows, c, strip = plan.block_rows, plan.n_classes, plan.panel
    part = scratch[s0 + c * rows : s0 + c * rows + 2 * strip]
    totals = sums[sums0 : sums0 + 4 * strip]
    total = missed = 0.0
    for i in range(0, n, strip):
        in_strip = min(strip, n - i)
        rows_of_strip(loss, scratch, s0 + i, rows, c, SAMPLES, y, first + i, in_strip, options, part, totals)
        total += totals[0]
        missed += totals[1]
    return total, missed


@merged
def bias_gradient(plan, n, scratch, s0, db, at):
    """db, from `at` on, += the sums of a block's dscores."""
    for j in range(plan.n_classes):
        total = 0.0
        for dscore in scratch[s0 + j * plan.block_rows : s0 + j * plan.block_rows + n]:
            total += dscore
        db[at + j] += total


@helper
def gradient(plan, x, x0, x_row, n, fresh, scratch, s0, g0, left, right):
    """dW at `g0` += Xᵀ dscores for n rows of a block, and features `left` to `right`; `fresh`: = instead of +=.

    Segments come in the order opposite to that of the scores: the last of those is in L2 yet. The first group of
    classes, and the second if there is one, each fetch half of what comes next: another segment, or the next block.
    """
    rows, c = plan.block_rows, plan.n_columns
    for back in range(0, plan.n_features, plan.segment):
        start = (plan.n_features - 1) // plan.segment * plan.segment - back
        begin, end = max(start, left), min(start + plan.segment, right)
        ahead = (x_row * rows if start == 0 or left > 0 else -plan.segment) if plan.fetches else 0
        for j in range(0, c if begin < end else 0, plan.group):
            height = min(plan.group, c - j)
            if fresh or _any_nonzero(scratch, s0 + j * rows, height, rows, n):
                outer_tile(
                    plan.outer_tile, height, scratch, s0 + j * rows, rows, 1, x, x0 + begin, x_row,
                    plan.panel, n, scratch, g0 + place_of(plan, j, begin), plan.panel,
                    height * plan.panel, end - begin, fresh, ahead,
                )  # fmt: skip
                ahead = ahead + rows // 2 * x_row if j == 0 and plan.fetches else 0


@merged
def is_to_be_missed(x, at, n_features, options, y, sample):
    """Whether a row has no weight and is not finite."""
    finite = True
    for k in range(n_features):
        finite = finite and np.isfinite(x[at + k])
    return not finite and weightless(options, y[sample], sample)


@Kernel
def inputs(given, first, n, scratch, s0, w0, dX):
    """dX = dscores Wᵀ of a block."""
    plan = opened(given)
    rows, d, panel = plan.block_rows, plan.n_features, plan.panel
    for i in range(0, n, TALLEST):
        height = min(TALLEST, n - i)
        for begin in range(0, d, plan.segment):
            length = min(plan.segment, d - begin)
            for j in range(0, plan.n_columns, plan.group):
                classes = min(plan.group, plan.n_columns - j)
                outer_tile(
                    plan.outer_tile, height, scratch, s0 + j * rows + i, 1, rows,
                    scratch, w0 + place_of(plan, j, begin), panel, classes * panel, classes,
                    dX, (first + i) * d + begin, d, panel, length, j == 0, 0,
                )  # fmt: skip


def inputs_address(dtype):
    """Where ``inputs`` is: few calls want dX, and others need not wait until it is compiled."""
    index, items = types.int64, types.Array(from_dtype(dtype), 1, "C")
    return address_of(inputs, (index, index, index, items, index, index, items)) if by_address() else 0


run_inputs = outlined(inputs)


@merged
def _any_nonzero(scratch, at, n_rows, step, n):
    """Whether dscores have anything to add. NaN has: it is not 0."""
    for j in range(n_rows):
        for i in range(n):
            if scratch[at + j * step + i] != 0:
                return True
    return False
