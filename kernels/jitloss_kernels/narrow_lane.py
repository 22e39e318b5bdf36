"""A lane of rows, block by block, with a gradient of its own; and blocks of other lanes."""

from __future__ import annotations

from .counts import is_stopped
from .jit import helper, merged
from .memory import RESULTS
from .narrow_block import bias_gradient, gradient, is_to_be_missed, losses, rows_at, run_inputs, scores
from .narrow_plan import opened
from .pivots import exchange
from .stealing import hand_over, receive, steal, take
from .tiles import DOT_ROWS


@merged
def start_of(plan, lane):
    """The first row of a lane: lanes are as even as they can be if the dot tile is to have whole groups of rows."""
    n_groups = (plan.n_rows + DOT_ROWS - 1) // DOT_ROWS
    return min(lane * n_groups // plan.n_lanes * DOT_ROWS, plan.n_rows)


@merged
def blocks_of(plan, lane):
    """How many blocks a lane has."""
    return (start_of(plan, lane + 1) - start_of(plan, lane) + plan.block_rows - 1) // plan.block_rows


@helper
def lane(task, counts, loss, given, X, y, bias, options, scratch, w0, sums, dX):
    """The rows of one lane; dscores of its last blocks may come from others."""
    plan = opened(given)
    start, stop, n_blocks = start_of(plan, task), start_of(plan, task + 1), blocks_of(plan, task)
    s0, sums0 = task * plan.lane_items, RESULTS + task * plan.lane_sums
    db0 = sums0 + 4 * plan.panel
    sums[db0 : db0 + plan.n_classes] = 0.0
    total, fresh = 0.0, True
    for block in range(n_blocks):
        if is_stopped(counts):
            break
        first = start + block * plan.block_rows
        n = min(plan.block_rows, stop - first)
        if take(counts, plan, task, block, n_blocks):
            loss_of_block, missed = _dscores(
                loss, given, X, y, first, n, bias, options, scratch, s0, w0, sums, sums0, plan.block_rows
            )
        else:
            loss_of_block, missed = receive(counts, plan, task, n_blocks - 1 - block, scratch, sums)
        total += loss_of_block
        if plan.want_b:
            bias_gradient(plan, n, scratch, s0, sums, db0)
        exchange(plan, scratch, s0, 0)
        x, x0, x_row = rows_at(plan, X, first, scratch, s0)
        if plan.want_w:
            # Rows without weight that hold NaN or infinity, which 0 would not hide, are passed over.
            step = n if missed == 0 else 1
            for i in range(0, n, step):
                if step == n or not is_to_be_missed(x, x0 + i * x_row, plan.n_features, options, y, first + i):
                    gradient(plan, x, x0, x_row, i, step, fresh, scratch, s0)
                    fresh = False
        if plan.want_x:
            run_inputs(plan.inputs_code, given, first, n, scratch, s0, w0, dX)
    if fresh and plan.want_w:
        scratch[s0 + plan.gradient_at : s0 + plan.gradient_at + plan.n_columns * plan.width] = 0
    sums[sums0 + plan.lane_sums - 1] = total


@helper
def rob(own, counts, loss, given, X, y, bias, options, scratch, w0, sums):
    """Take blocks of all other lanes and hand over their dscores; one's `own` lane has scratch for that."""
    plan = opened(given)
    s0, sums0 = own * plan.lane_items, RESULTS + own * plan.lane_sums
    for i in range(1, plan.n_lanes):
        other = (own + i) % plan.n_lanes
        n_blocks = blocks_of(plan, other)
        while not is_stopped(counts):
            block = steal(counts, plan, other, n_blocks)
            if block < 0:
                break
            first = start_of(plan, other) + block * plan.block_rows
            n = min(plan.block_rows, start_of(plan, other + 1) - first)
            found = _dscores(loss, given, X, y, first, n, bias, options, scratch, s0, w0, sums, sums0, -plan.block_rows)
            hand_over(counts, plan, other, n_blocks - 1 - block, scratch, s0, sums, found)


@helper
def _dscores(loss, given, X, y, first, n, bias, options, scratch, s0, w0, sums, sums0, next_block):
    """Scores of a block, then dscores in their place; its loss, and how many of its rows are to be missed."""
    plan = opened(given)
    scores(plan, X, first, n, bias, scratch, s0, w0, next_block)
    return losses(loss, plan, y, first, n, options, scratch, s0, sums, sums0)
