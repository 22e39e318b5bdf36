"""A lane of rows, block by block, with a gradient of its own; and blocks of other lanes (``stealing.py``)."""

from __future__ import annotations

from .counts import is_stopped
from .jit import helper, merged
from .memory import RESULTS
from .narrow_block import bias_gradient, gradient, is_to_be_missed, losses, rows_at, run_inputs, scores
from .narrow_plan import TASK_FEATURES, opened
from .pivots import exchange
from .stealing import (
    DB,
    claim_range,
    counts_of,
    dscores_of,
    finish_range,
    hand_over,
    is_taken,
    receive,
    share_out,
    shared_out,
    steal,
    sums_of,
    wait_for_ranges,
)
from .tiles import DOT_ROWS


@merged
def start_of(plan, lane):
    """The first row of a lane: lanes are as even as they can be if the dot tile is to have whole groups of rows."""
    n_groups = (plan.n_rows + DOT_ROWS - 1) // DOT_ROWS
    return min(lane * n_groups // plan.n_lanes * DOT_ROWS, plan.n_rows)


@helper
def lane(task, own, counts, loss, given, X, y, bias, options, scratch, w0, sums, dX):
    """The rows of one lane; if it is not one's `own`, what blocks of it there are to steal."""
    plan = opened(given)
    start, stop, steals = start_of(plan, task), start_of(plan, task + 1), task != own
    n_left = n_blocks = (stop - start + plan.block_rows - 1) // plan.block_rows
    s0, g0, slots = own * plan.lane_items, task * plan.lane_items + plan.gradient_at, dscores_of(plan, task)
    c0, sums0, totals = counts_of(plan, task), sums_of(plan, task), RESULTS + own * plan.lane_sums
    d0, fresh, n_shared = s0, True, 0
    at = sums0
    if not steals:
        sums[at : at + plan.slot_sums] = 0.0
    while n_left > 0 and not is_stopped(counts):
        n_left -= 1
        back = n_left
        if steals:
            back = steal(counts, plan, c0, n_blocks)
            at = sums0 + (back + 1) * plan.slot_sums
        elif d0 == s0 and is_taken(counts, plan, c0, back):
            missed = receive(counts, plan, c0, back + 1, sums, sums0)
            n_shared = 0 if fresh or missed > 0 else back + 1  # what is not that simple the owner does alone
            share_out(counts, c0, n_shared)
            d0 = -1
        if back < 0 or n_shared > 0:
            break
        first = start + (n_blocks - 1 - back) * plan.block_rows
        n = min(plan.block_rows, stop - first)
        if d0 == s0:
            scores(plan, X, first, n, bias, scratch, s0, w0, -plan.block_rows if steals else plan.block_rows)
            loss_of_block, missed = losses(loss, plan, y, first, n, options, scratch, s0, sums, totals)
            if steals:
                sums[at : at + plan.slot_sums] = 0.0
            sums[at] += loss_of_block
            sums[at + 1] = missed
            if plan.want_b:
                bias_gradient(plan, n, scratch, s0, sums, at + DB)
            exchange(plan, scratch, s0, 0)
            if plan.want_x:
                run_inputs(plan.inputs_code, given, first, n, scratch, s0, w0, dX)
        else:
            d0 = slots + back * plan.slot_items
            missed = sums[sums0 + (back + 1) * plan.slot_sums + 1]
        if steals:
            hand_over(counts, plan, c0, back, scratch, s0, slots + back * plan.slot_items)
            n_shared = -1
        elif plan.want_w:
            fresh = add_gradient(plan, X, y, first, n, options, missed, fresh, scratch, s0, d0, g0)
    if plan.want_w:
        if n_shared < 0:
            n_shared = shared_out(counts, plan, c0)
        add_shared(counts, plan, X, scratch, c0, start, stop, n_blocks, n_shared, slots, g0)
        if n_shared > 0 and not steals:
            wait_for_ranges(counts, plan, c0)
        elif fresh and not steals:
            scratch[g0 : g0 + plan.n_columns * plan.width] = 0


@merged
def add_gradient(plan, X, y, first, n, options, missed, fresh, scratch, s0, d0, g0):
    """dW at `g0` += Xᵀ dscores of a block, which are at `d0`; whether there is still nothing to add to.

    Rows without weight that hold NaN or infinity, which 0 would not hide, are passed over.
    """
    x, x0, x_row = rows_at(plan, X, first, scratch, s0)
    step = n if missed == 0 else 1
    for i in range(0, n, step):
        if step == n or not is_to_be_missed(x, x0 + i * x_row, plan.n_features, options, y, first + i):
            gradient(plan, x, x0 + i * x_row, x_row, step, fresh, scratch, d0 + i, g0, 0, plan.n_features)
            fresh = False
    return fresh


@merged
def add_shared(counts, plan, X, scratch, c0, start, stop, n_blocks, n_shared, slots, g0):
    """The same for the last blocks of a lane together, in what ranges of features nobody else has claimed."""
    while n_shared > 0:
        left = claim_range(counts, c0) * TASK_FEATURES
        if left >= plan.n_features:
            break
        back, right = n_shared, min(left + TASK_FEATURES, plan.n_features)
        while back > 0:
            back -= 1
            first = start + (n_blocks - 1 - back) * plan.block_rows
            n = min(plan.block_rows, stop - first)
            x, x0, x_row = rows_at(plan, X, first, scratch, 0)  # where it lies: what is copied is not stolen
            gradient(plan, x, x0, x_row, n, False, scratch, slots + back * plan.slot_items, g0, left, right)
        finish_range(counts, c0)
