"""Few classes: every lane reads its rows of X once and keeps scores and a gradient of its own.

::

    choose  which class is the pivot, if there is one (``pivots.py``)               one task
    pack    W in panels of features, all classes of a group side by side;           tasks: ranges of features
            every thread does this and that before for itself instead, if W is small
    lanes   block of rows (in L2) → scores → losses, dscores → dW, db, dX           tasks: lanes of rows
    fold    dW = Σ pairs of lanes + regulariser, in their order                     tasks: ranges of features
    add     losses, db, W²: sums of sums                                            one task

Vectors run along the features in both products, so no lane of a register is wasted on C = 2, 3 or 10; in the row stage
they run along the samples of a block. W and dW lie in panels of features (``panels.py``). For one group of classes each
of the two products fetches half of the next block's lines: only if they come evenly, a few at a time, do they come
while the arithmetic goes on. Where X is converted, the first fetches all of them. Where several groups need all of X
one after the other, a block passes through L2 in segments of features, and each segment is fetched before its turn.
"""

from __future__ import annotations

import numpy as np

from .blocks import flat, is_converted, read, where
from .counts import ALL_DONE, beginning, claim, claim_near, finish, is_stopped, wait
from .jit import Kernel, helper, merged
from .memory import RESULTS
from .narrow_plan import ADD, CHOOSE, FOLD, LANE_COUNTS, LANES, N_STAGES, PACK, opened
from .options import weightless
from .panels import fold, join, pack, place_of
from .pivots import choose, exchange
from .rows import SAMPLES
from .rows import rows as rows_of_strip
from .shapes import TALLEST
from .tiles import DOT_ROWS, converting_dot_tile, dot_tile, outer_tile


@Kernel
def run(counts, member, loss, given, W, X, y, bias, options, twice_decay, scratch, sums, dW, db, dX):
    """Do a part of every stage; see ``workers``. All arrays are flat, but an X of other strides or of chosen rows."""
    plan = opened(given)
    w0 = weights_of(plan)
    for stage in range(plan.first_stage, N_STAGES):
        n_tasks = tasks_of(plan, stage)
        near = beginning(member, n_tasks)
        while True:
            task = claim_task(counts, plan, stage, near)
            if task >= n_tasks:
                break
            if stage == CHOOSE:
                choose(plan, W, scratch)
            elif stage == PACK:
                pack(task, plan, W, scratch, w0)
            elif stage == LANES:
                if w0 < 0:
                    w0 = pack_alone(counts, plan, W, scratch)
                lane(task, counts, loss, plan, X, y, bias, options, scratch, w0, sums, dX)
                join(task, counts, plan, scratch)
                near = task + 1
            elif stage == FOLD:
                fold(task, plan, W, scratch.dtype.type(twice_decay), scratch, sums, dW)
                near = task + 1
            else:
                add(plan, twice_decay, sums, db)
            finish(counts, stage)
        wait(counts, stage, n_tasks)


@merged
def weights_of(plan):
    """Where W in panels is, if it is one for all; or less than 0."""
    return -1 if plan.first_stage == LANES else plan.weights_at


@helper
def pack_alone(counts, plan, W, scratch):
    """Pack W for the member at hand; returns where it is.

    If W is not large, that takes less time than to bring what others have packed from their caches, and their copy of
    the last call's out of this one. Only who has a lane to do may pack: a call is over when all lanes are, and then its
    scratch is somebody else's.
    """
    arrival = claim(counts, N_STAGES)
    if arrival >= ALL_DONE:  # interrupted: what is computed now is worth nothing
        return plan.weights_at
    w0 = plan.weights_at + arrival * plan.weights_items
    choose(plan, W, scratch)
    for task in range(plan.n_ranges):
        pack(task, plan, W, scratch, w0)
    return w0


@merged
def tasks_of(plan, stage):
    """How many tasks a stage has."""
    if stage == CHOOSE or stage == ADD:  # noqa: SIM109  (of `in` numba makes a function that it compiles)
        return 1
    return plan.n_lanes if stage == LANES else plan.n_ranges


@merged
def claim_task(counts, plan, stage, near):
    """The next task of a stage, or a number that is none; of lanes and folds the next one from `near` on.

    A member folds the same features in every call: if dW is small, its place is in that core's cache.
    """
    if stage == LANES or stage == FOLD:  # noqa: SIM109
        at = LANE_COUNTS if stage == LANES else LANE_COUNTS + plan.n_lanes + plan.n_lanes // 2
        return claim_near(counts, at, plan.n_lanes if stage == LANES else plan.n_ranges, near)
    return claim(counts, stage)


@merged
def start_of(plan, lane):
    """The first row of a lane: lanes are as even as they can be if the dot tile is to have whole groups of rows."""
    n_groups = (plan.n_rows + DOT_ROWS - 1) // DOT_ROWS
    return min(lane * n_groups // plan.n_lanes * DOT_ROWS, plan.n_rows)


@helper
def lane(task, counts, loss, plan, X, y, bias, options, scratch, w0, sums, dX):
    """The rows of one lane, block by block."""
    start, stop = start_of(plan, task), start_of(plan, task + 1)
    s0, sums0 = task * plan.lane_items, RESULTS + task * plan.lane_sums
    sums[sums0 : sums0 + plan.lane_sums] = 0.0
    total, fresh = 0.0, True
    for first in range(start, stop, plan.block_rows):
        if is_stopped(counts):
            break
        n = min(plan.block_rows, stop - first)
        x, x0, x_row = scores(plan, X, first, n, bias, scratch, s0, w0)
        loss_of_block, missed = losses(loss, plan, y, first, n, options, scratch, s0, sums, sums0)
        total += loss_of_block
        exchange(plan, scratch, s0, 0)
        if plan.want_w:
            # Rows without weight that hold NaN or infinity, which 0 would not hide, are passed over.
            step = n if missed == 0 else 1
            for i in range(0, n, step):
                if step == n or not _is_to_be_missed(x, x0 + i * x_row, plan.n_features, options, y, first + i):
                    gradient(plan, x, x0, x_row, i, step, fresh, scratch, s0)
                    fresh = False
        if plan.want_x:
            _inputs(plan, first, n, scratch, s0, w0, dX)
    if fresh and plan.want_w:
        scratch[s0 + plan.gradient_at : s0 + plan.gradient_at + plan.n_columns * plan.width] = 0
    sums[sums0 + plan.lane_sums - 1] = total


@merged
def scores(plan, X, first, n, bias, scratch, s0, w0):
    """S = X W + b of a block, one row a class: segments of features, in them groups of classes, in them chunks.

    Returns where the block's rows of X are from now on: a flat array, the offset of the first, the step between them.
    """
    rows, d = plan.block_rows, plan.n_features
    if not is_converted(X, scratch):
        read(X, first, n, d, scratch, s0 + plan.copy_at, plan.copy_row)
    x, x0, x_row = where(X, first, d, scratch, s0 + plan.copy_at, plan.copy_row)
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
                        scratch, s0 + j * rows, 1, rows, _ahead_of_scores(plan, begin, j, k, length, x_row),
                    )  # fmt: skip
    exchange(plan, scratch, s0, plan.n_columns)
    return x, x0, x_row


@helper
def _ahead_of_scores(plan, begin, j, k, length, x_row):
    """How far ahead half of the rows are fetched, by the first groups of classes; 0: none are.

    A single group fetches the rear half of the chunk that comes next: the gradient of the block before has fetched the
    front. Where there are more, X goes through the cache in segments: the first two fetch the halves of the next one;
    of the next block's first, if no gradient is there to do it.
    """
    half = plan.block_rows // 2 * x_row
    if not plan.fetches:
        return 0
    if plan.group == plan.n_columns:
        return half + (plan.block_rows * x_row - k if k + length == plan.n_features else plan.chunk)
    is_last = begin + plan.segment >= plan.n_features
    if j > plan.group or (is_last and plan.want_w):
        return 0
    return (plan.block_rows * x_row - begin if is_last else plan.segment) + (half if j > 0 else 0)


@merged
def losses(loss, plan, y, first, n, options, scratch, s0, sums, sums0):
    """The losses of a block; dscores take the place of the scores, their sums go to db.

    Also how many rows without weight have a loss that is NaN.
    """
    rows, c, strip = plan.block_rows, plan.n_classes, plan.panel
    part = scratch[s0 + c * rows : s0 + c * rows + 2 * strip]
    totals = sums[sums0 : sums0 + 4 * strip]
    total = missed = 0.0
    for i in range(0, n, strip):
        in_strip = min(strip, n - i)
        rows_of_strip(loss, scratch, s0 + i, rows, c, SAMPLES, y, first + i, in_strip, options, part, totals)
        total += totals[0]
        missed += totals[1]
    if plan.want_b:
        for j in range(c):
            dscores_sum = 0.0
            for dscore in scratch[s0 + j * rows : s0 + j * rows + n]:
                dscores_sum += dscore
            sums[sums0 + 4 * strip + j] += dscores_sum
    return total, missed


@merged
def gradient(plan, x, x0, x_row, i, n, fresh, scratch, s0):
    """dW += Xᵀ dscores for n rows of a block, from row i on; `fresh`: = instead of +=.

    Segments come in the order opposite to that of the scores: the last of those is in L2 yet. The first group of
    classes, and the second if there is one, each fetch half of what comes next: another segment, or the next block.
    """
    rows, c = plan.block_rows, plan.n_columns
    for back in range(0, plan.n_features, plan.segment):
        begin = (plan.n_features - 1) // plan.segment * plan.segment - back
        length = min(plan.segment, plan.n_features - begin)
        ahead = (x_row * rows if begin == 0 else -plan.segment) if plan.fetches else 0
        for j in range(0, c, plan.group):
            height = min(plan.group, c - j)
            if fresh or _any_nonzero(scratch, s0 + j * rows + i, height, rows, n):
                outer_tile(
                    plan.outer_tile, height, scratch, s0 + j * rows + i, rows, 1, x, x0 + i * x_row + begin, x_row,
                    plan.panel, n, scratch, s0 + plan.gradient_at + place_of(plan, j, begin), plan.panel,
                    height * plan.panel, length, fresh, ahead,
                )  # fmt: skip
                ahead = ahead + rows // 2 * x_row if j == 0 and plan.fetches else 0


@merged
def _is_to_be_missed(x, at, n_features, options, y, sample):
    """Whether a row has no weight and is not finite."""
    finite = True
    for k in range(n_features):
        finite = finite and np.isfinite(x[at + k])
    return not finite and weightless(options, y[sample], sample)


@merged
def _inputs(plan, first, n, scratch, s0, w0, dX):
    """dX = dscores Wᵀ of a block."""
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


@merged
def _any_nonzero(scratch, at, n_rows, step, n):
    """Whether dscores have anything to add. NaN has: it is not 0."""
    for j in range(n_rows):
        for i in range(n):
            if scratch[at + j * step + i] != 0:
                return True
    return False


@merged
def add(plan, twice_decay, sums, db):
    """The sum of the losses and db, lane after lane; the sum of W²."""
    sums[0] = sums[1] = 0.0
    for lane in range(plan.n_lanes):
        sums[0] += sums[RESULTS + (lane + 1) * plan.lane_sums - 1]
    if plan.want_b:
        for j in range(plan.n_classes):
            total = 0.0
            for lane in range(plan.n_lanes):
                total += sums[RESULTS + lane * plan.lane_sums + 4 * plan.panel + j]
            db[j] = total
    if twice_decay != 0:
        for task in range(plan.n_ranges):
            sums[1] += sums[plan.squares_at + task]
